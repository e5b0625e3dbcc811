"""A package, so that one product serves all its modules: see ``product`` in conftest.py."""
