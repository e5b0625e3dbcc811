import re

_SLASHES = re.compile(r"/{2,}")
_REF_AS_ID = re.compile(
    r"/v1/(secrets|containers|orders|secret-stores|transport_keys)"
    r"/https?:/.*/v1/\1(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:/.*)?)",
    re.DOTALL,
)


def normalised(path: str) -> str:
    """One spelling for paths that clients write with repeated or trailing slashes, or with a ref as id.

    openstacksdk asks for ``/v1/secrets/http://host/v1/secrets/{id}`` where it is handed an object.
    """
    path = _SLASHES.sub("/", path).rstrip("/") or "/"
    found = _REF_AS_ID.fullmatch(path)
    return f"/v1/{found[1]}{found[2]}" if found else path


def needs_identity(path: str) -> bool:
    """Whether a normalised ``path`` is answered only to a caller who is known.

    The version documents, health, the console (which has its own login) and static files are not.
    """
    return path == "/v1" or path.startswith("/v1/")
