"""What the canaries of MKEKs and pKEKs say, and the context they are bound to.

Stored with every key for ever: a new layout needs a new domain string.
"""

from keepsite.keyring.canonical import canonical_bytes


def text(key_id: str) -> bytes:
    """The known plaintext of a key's canary: the key's id."""
    return key_id.encode("ascii")


def mkek_aad(mkek_id: str) -> bytes:
    """AAD of an MKEK's canary."""
    return canonical_bytes("keepsite:mkek:v1", mkek_id)


def pkek_aad(external_project_id: str, pkek_id: str) -> bytes:
    """AAD of a pKEK's canary: it opens for this project and this row only."""
    return canonical_bytes("keepsite:pkek:v1", external_project_id, pkek_id)
