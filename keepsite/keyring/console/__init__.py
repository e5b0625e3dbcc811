"""The console's pages of master keys, project keys and the runs that replace them."""
