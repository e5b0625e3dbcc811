"""Second factors: time-based codes of an authenticator app, and recovery codes for when it is lost.

Source: RFC 6238 (TOTP) with the parameters that every authenticator app knows: SHA-1,
six digits, 30 seconds.
"""

import base64
import os
import time
from collections.abc import Collection
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from keepsite import audit, writes
from keepsite.errors import Conflict, InvalidInput, NotFound
from keepsite.operators.models import Authenticator, RecoveryCode
from keepsite.operators.sealing import open_sealed, seal

SECRET_BYTES = 20  # RFC 4226 §4, R6: 160 bits
DIGITS = 6
STEP_S = 30
DRIFT_STEPS = (0, -1, 1)  # RFC 6238 §5.2: clocks of phones are a little off
RECOVERY_CODES = 10
FEW_RECOVERY_CODES = 4  # fewer than these deserve a warning
RECOVERY_CODE_BYTES = 10  # 80 random bits, 16 characters of base32
EVERYBODY = "everyone"
ISSUER = "Keepsite"


def new_secret() -> bytes:
    """A fresh secret for an authenticator app."""
    return os.urandom(SECRET_BYTES)


def provisioning_uri(secret: bytes, *, username: str) -> str:
    """What an app reads from the QR code.

    Source: Google Authenticator's Key Uri Format, which other apps follow.
    """
    return _totp(secret).get_provisioning_uri(username, ISSUER)


def in_letters(secret: bytes) -> str:
    """The secret for those who type it: base32 in groups of four."""
    return _grouped(base64.b32encode(secret).decode().rstrip("="), " ")


def is_demanded(roles: Collection[str], *, has_all_rights: bool) -> bool:
    """Whether KEEPSITE_CONSOLE_SECOND_FACTOR demands one of an operator in these roles.

    Who has all rights has those of every role, so naming any role demands it of them too.
    """
    wanted = set(settings.CONSOLE_SECOND_FACTOR)
    return EVERYBODY in wanted or (bool(wanted) and (has_all_rights or not wanted.isdisjoint(roles)))


def enrol(user: User, *, secret: bytes, code: str, actor: audit.Actor) -> tuple[str, ...]:
    """Take ``secret`` as the operator's second factor, once ``code`` shows that their app has it.

    Durable on return.  Returns the recovery codes, which nobody can show again.

    Raises:
        InvalidInput: the code is not of this secret, or not of now.
        Conflict: there is a second factor already.
    """
    step = _step_of(secret, _plain(code))
    if step is None:
        raise InvalidInput(_("This is not the code that the app shows now. Is the clock of the phone right?"))
    codes, rows = _new_codes(user)
    authenticator = Authenticator(user=user, sealed_secret=seal(secret, user_id=user.pk), last_step=step)

    def write() -> None:
        if Authenticator.objects.filter(user=user).exists():
            raise Conflict(_("You have a second factor already. Remove it first."))
        authenticator.save(force_insert=True)
        _save_codes(authenticator, rows)

    writes.commit(write, committed=Authenticator.objects.filter(pk=authenticator.pk).exists)
    change = audit.Change(after={"enrolled_at": authenticator.enrolled_at, "recovery_codes_left": len(codes)})
    audit.record("operator.second_factor_enrolled", actor=actor, subject=user, change=change)
    return codes


def accepts(user: User, answer: str, *, now: datetime | None = None) -> bool:
    """Whether ``answer`` is a code of the operator's app, or one of their recovery codes; it is used up.

    A code is taken once on all nodes together, by a conditional update.  Counting wrong
    answers is the caller's (``keepsite.operators.lockout``).

    Raises:
        UnreadableSecret: the stored secret does not open.
    """
    authenticator = Authenticator.objects.filter(user=user).first()
    if authenticator is None:
        return False
    now = now or timezone.now()
    plain = _plain(answer)
    if len(plain) == DIGITS and plain.isdecimal():
        return _takes_code(authenticator, plain, now=now)
    return _takes_recovery_code(authenticator, plain, now=now)


def recovery_codes_left(authenticator: Authenticator) -> int:
    """How many recovery codes have not been used."""
    return authenticator.recovery_codes.filter(used_at=None).count()


def renew_recovery_codes(user: User, *, actor: audit.Actor) -> tuple[str, ...]:
    """New recovery codes; the former ones end.  Durable on return.

    Raises:
        NotFound: the operator has no second factor.
    """
    authenticator = _of(user)
    codes, rows = _new_codes(user)
    before = {"recovery_codes_left": recovery_codes_left(authenticator)}

    def write() -> None:
        RecoveryCode.objects.filter(authenticator=authenticator).delete()
        _save_codes(authenticator, rows)

    known = RecoveryCode.objects.filter(authenticator=authenticator, digest=rows[0])
    writes.commit(write, committed=known.exists)
    change = audit.Change(before=before, after={"recovery_codes_left": len(codes)})
    audit.record("operator.recovery_codes_renewed", actor=actor, subject=user, change=change)
    return codes


def remove(user: User, *, actor: audit.Actor, reason: str) -> None:
    """End the operator's second factor, recovery codes included; durable on return.

    Raises:
        InvalidInput: there is no reason.
        NotFound: the operator has no second factor.
    """
    if not reason:
        raise InvalidInput(_("Give a reason."))
    authenticator = _of(user)
    rows = Authenticator.objects.filter(pk=authenticator.pk)
    writes.commit(rows.delete, committed=lambda: not rows.exists())
    audit.record(
        "operator.second_factor_removed",
        actor=actor,
        subject=user,
        reason=reason,
        change=audit.Change(before={"enrolled_at": authenticator.enrolled_at}),
    )


def _of(user: User) -> Authenticator:
    authenticator = Authenticator.objects.filter(user=user).first()
    if authenticator is None:
        raise NotFound(_("%(user)s has no second factor.") % {"user": user.get_username()})
    return authenticator


def _totp(secret: bytes) -> TOTP:
    return TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303  # RFC 6238; every app knows this one


def _step_of(secret: bytes, code: str, *, at_s: float | None = None) -> int | None:
    """The step that ``code`` belongs to, if it is one of those that may be shown now."""
    totp = _totp(secret)
    now = int((time.time() if at_s is None else at_s) // STEP_S)
    for drift in DRIFT_STEPS:
        try:
            totp.verify(code.encode(), (now + drift) * STEP_S)
        except InvalidToken:
            continue
        return now + drift
    return None


def _takes_code(authenticator: Authenticator, code: str, *, now: datetime) -> bool:
    secret = open_sealed(bytes(authenticator.sealed_secret), user_id=authenticator.user_id)
    step = _step_of(secret, code, at_s=now.timestamp())
    if step is None:
        return False
    own = Authenticator.objects.filter(pk=authenticator.pk)
    taken = {"last_step": step, "last_used_at": now}
    return _takes(own.filter(last_step__lt=step), own.filter(**taken), taken)


def _takes_recovery_code(authenticator: Authenticator, code: str, *, now: datetime) -> bool:
    own = RecoveryCode.objects.filter(
        authenticator=authenticator, digest=_digest(authenticator.user_id, code)
    )
    taken = {"used_at": now}
    return _takes(own.filter(used_at=None), own.filter(**taken), taken)


def _takes(unused: QuerySet[Any], taken: QuerySet[Any], change: dict[str, Any]) -> bool:  # Any: either model
    """Whether this very call turned an unused row into a taken one."""
    found = 0

    def write() -> None:
        nonlocal found
        found = unused.update(**change)

    writes.commit(write, committed=taken.exists)
    return bool(found)


def _new_codes(user: User) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Codes to show, and the digests to keep."""
    plain = [
        base64.b32encode(os.urandom(RECOVERY_CODE_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)
    ]
    return tuple(_grouped(code, "-") for code in plain), tuple(_digest(user.pk, code) for code in plain)


def _save_codes(authenticator: Authenticator, digests: tuple[str, ...]) -> None:
    RecoveryCode.objects.bulk_create(
        RecoveryCode(authenticator=authenticator, digest=digest) for digest in digests
    )


def _digest(user_id: object, code: str) -> str:
    """Of 80 random bits, under KEEPSITE_SECRET_KEY: quick, and of no use to who reads the database."""
    return salted_hmac("keepsite.recovery-code", f"{user_id} {code}", algorithm="sha256").hexdigest()


def _plain(answer: str) -> str:
    """As it was made: people copy blanks and hyphens along, and telephones begin with capitals."""
    return "".join(answer.lower().replace("-", " ").split())


def _grouped(letters: str, separator: str) -> str:
    return separator.join(letters[start : start + 4] for start in range(0, len(letters), 4))
