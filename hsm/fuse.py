from hsm.faults import CKR_DEVICE_REMOVED, CallFailed, Kind


class Fuse:
    """Blown for good by the first call of a login that finds the token away.

    A call that hangs costs whoever makes it the vendor client's time-out.  So nobody makes
    another one on that login: neither the request that found out, nor those that waited beside it.
    """

    __slots__ = ("is_blown",)

    def __init__(self) -> None:
        self.is_blown = False

    def note(self, failed: CallFailed) -> None:
        """Blow if the failure says that the token is away."""
        if failed.kind is Kind.MEMBER:
            self.is_blown = True

    def refuse_if_blown(self) -> None:
        """Return if the token may be called.

        Raises:
            CallFailed: it was found away before.
        """
        if self.is_blown:
            raise CallFailed(CKR_DEVICE_REMOVED, "a call before")
