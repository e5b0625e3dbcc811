"""What may give cause for a notice: each module looks at one part, a statement or so for each kind."""
