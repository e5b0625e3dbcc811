"""What operators should know without looking: raised once, told by e-mail and webhook, resolved by itself.

A job looks for causes; each open notice is one row.  What is to be sent is a row too, written
with the notice it is about, and another job sends it until it arrives or is given up.
"""
