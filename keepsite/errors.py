"""Families of domain errors: what went wrong, in words a client may read.

Domain code raises them; ``keepsite.api.exceptions`` is the only place where one
meets an HTTP status.  ``public`` is the only text that leaves the process.
"""


class KeepsiteError(Exception):
    """Something failed; the client learns no more than that, the log the rest."""

    public = (
        "The server could not finish this request. Nothing more can be said here; its log has the details."
    )

    def __init__(self, public: str | None = None) -> None:
        if public is not None:
            self.public = public
        super().__init__(self.public)


class InvalidInput(KeepsiteError):
    """The request is not one Keepsite accepts: say which field, and what is accepted."""

    public = "The request could not be understood."


class UnsupportedBody(KeepsiteError):
    """The body, or its encoding, is of a kind this resource does not take."""

    public = "This resource does not take that Content-Type."


class NotAuthenticated(KeepsiteError):
    """No identity, or one that no longer holds; the caller must present another."""

    public = "The request you have made requires authentication: send a valid X-Auth-Token header."


class NotAllowed(KeepsiteError):
    """Policy or an ACL said no to this caller; the object is as it was."""

    public = "This operation is not allowed for the given identity."


class QuotaReached(NotAllowed):
    """The project holds as many of this resource as it may; delete some, or ask for more."""

    def __init__(self, *, resource: str, limit: int) -> None:
        self.resource = resource
        self.limit = limit
        super().__init__(
            f"Creation is not allowed: the project's quota of {limit} {resource} has been reached."
        )


class LimitReached(KeepsiteError):
    """The caller has sent as many requests as a rate limit allows; another try is welcome later."""

    def __init__(self, public: str, *, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(public)


class NotFound(KeepsiteError):
    """There is no such object for anybody to see."""

    public = "There is no such object."


class NotAcceptable(KeepsiteError):
    """The payload cannot be given in the form asked for."""

    public = "The payload cannot be served in the requested media type."


class Conflict(KeepsiteError):
    """The object is already in a state that this request may not change."""

    public = "The object is in a state that does not permit this."


class InProgress(Conflict):
    """The same act is under way elsewhere; when it has ended, another try is answered."""

    def __init__(self, public: str | None = None, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(public)


class Unprocessable(KeepsiteError):
    """The request is understood, but contradicts an earlier one: sent again, it is refused again."""

    public = "The request contradicts an earlier one."


class TooLarge(KeepsiteError):
    """More bytes than the limit; ``limit_bytes`` says how many are taken."""

    def __init__(self, *, what: str, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"The {what} is too large: at most {limit_bytes} bytes are accepted.")


class Unavailable(KeepsiteError):
    """A part Keepsite depends on is away; nothing was changed, and a retry is welcome."""

    public = "A service that this operation depends on is unavailable. Nothing was changed; try again."

    def __init__(self, public: str | None = None, *, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(public)


class KeyMaterialError(KeepsiteError):
    """A stored key or payload does not open; an operator must look, the client learns no step."""

    public = "The payload cannot be decrypted."
