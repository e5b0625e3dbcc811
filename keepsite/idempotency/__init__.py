"""Requests that their clients may repeat: each makes its object once, however often it comes.

A client names such a request by a key of its own.  ``KeyedRequest`` finds what was made under that
key before, and remembers what is made now, in the transaction that makes it.

Source: IETF draft-ietf-httpapi-idempotency-key-header; docs/decisions/0014.
"""
