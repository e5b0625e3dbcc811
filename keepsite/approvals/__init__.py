"""Acts that one operator asks for and another approves: the two-person rule."""
