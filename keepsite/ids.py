import uuid


def new_id() -> str:
    """A fresh object id: a random UUID, lower case with hyphens.

    Source: RFC 9562 §5.4 (version 4), the form Barbican's clients expect.
    """
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Whether ``text`` is written exactly as ``new_id`` writes."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    return parsed.version == 4 and str(parsed) == text  # noqa: PLR2004  # random UUIDs
