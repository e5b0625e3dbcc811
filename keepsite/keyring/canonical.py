def canonical_bytes(domain: str, *parts: str) -> bytes:
    """Bytes that only this domain and these parts give, for use as AAD.

    Layout: the domain in ASCII, then each part as 4 bytes of length (big endian) and
    UTF-8.  The lengths make the mapping one to one, so no two contexts share bytes.

    Source: NIST SP 800-38D §8 (additional authenticated data binds context).
    """
    encoded = [part.encode() for part in parts]
    return domain.encode("ascii") + b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
