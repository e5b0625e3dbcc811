from keepsite.errors import InProgress, Unprocessable


class KeyReused(Unprocessable):
    """The client's key was accepted with another request; nothing was made, and no repetition helps."""

    public = (
        "This Idempotency-Key is already used: it came with a different request before, and a key must not"
        " be reused across different requests. Send a new key."
    )


class TwinInProgress(InProgress):
    """The same request is being carried out at this moment; asked again, it is answered."""

    public = "A request with this Idempotency-Key is being processed. Try again."
