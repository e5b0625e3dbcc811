"""Replacing keys while traffic flows.

The rows are the progress: whatever still names an old key is what is left to do.  A run
pages through them, asks the HSM outside any transaction, and puts the new bytes in place
of the old ones only if those are still there.  So any number of runs may be at work, and
each may be killed at any moment.
"""
