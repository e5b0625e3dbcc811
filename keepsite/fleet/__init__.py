"""What the processes of each node say of themselves: the HSM's members and the requests as they see them.

One process of a node adds up what all of them count in their shared metrics, every ten seconds, into one
row; pages read these rows and ask no node and no HSM.
"""
