"""How the people who run Keepsite prove who they are: second factor, and what guessing costs.

It lies below the console's acts, whose pages ask for a proof again.
"""
