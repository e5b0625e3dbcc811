class HSMError(Exception):
    """What the HSM could not do; the base of every error that leaves ``hsm``.

    It knows no HTTP: ``keepsite.keyring`` decides what a client may hear.
    """


class ConfigInvalid(HSMError):
    """The HSM configuration cannot be used; the message names file, name and what is accepted."""


class ForkedHSM(HSMError):
    """The module was loaded before fork; start the HSM in the worker, never in its parent.

    A network module would share one socket between two processes.  No retry
    helps: mend the place that loaded it too early.
    """


class TokenNotFound(HSMError):
    """No token, or more than one, has the configured label or serial; mend the configuration or the HSM."""


class LoginRefused(HSMError):
    """The token refused the PIN; nobody tries it again, because wrong PINs lock a token.

    The verdict stands in a marker file beside the PIN file.  Correct the PIN,
    or remove the marker once the token accepts it again; then restart.
    """


class MechanismUnsupported(HSMError):
    """The token lacks a mechanism that the profile needs; choose another profile or token."""


class CallRefused(HSMError):
    """The token called our request wrong or not permitted: a bug or a wrong profile, never repeated."""


class LabelTaken(HSMError):
    """A key of this label is on the token already; choose another label."""


class ImportRefused(HSMError):
    """The token takes no key value from outside, however it is brought; use the vendor's cloning."""


class SessionLost(HSMError):
    """Sessions kept dying under one request, which was repeated once; nothing was stored, try again later."""


class PoolExhausted(HSMError):
    """No session or no room on the token within the time allowed; nothing was done, try again later."""


class KeyNotFound(HSMError):
    """A key is not on the token even after it was unwrapped or searched again; an operator must act."""


class MKEKNotFound(KeyNotFound):
    """The token holds no MKEK with this CKA_ID; an operator must clone or restore it."""


class IntegrityFailed(HSMError):
    """Stored bytes do not open under their key and AAD, and the token is known to be well; never repeated."""


class CanaryMismatch(HSMError):
    """The token works, but its MKEK is not the one that made the canary; an operator must act."""


class MemberUnavailable(HSMError):
    """This member cannot serve now and is probed; nothing was done, try again after ``retry_after_s``."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AllMembersDown(MemberUnavailable):
    """No member of the group can serve; answer at once, metadata needs no HSM."""
