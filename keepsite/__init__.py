"""Keepsite, a key manager that speaks the OpenStack Barbican API."""

__version__ = "0.1.0"
