"""What guessing costs: after a few wrong proofs, the next ones are refused for a while, unread.

Wrong passwords and codes are counted in the database, for all nodes together: by account
and by address; and apart from both in a browser that its operator has logged in with
before, so that strangers who keep guessing lock strangers out and not the operator.  A
lock ends by itself.  Each further one lasts twice as long, up to a limit, until a day has
passed without failure.  Names that no operator has are counted in the same way, so a lock does not
tell which names exist.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit, writes
from keepsite.errors import InvalidInput, LimitReached
from keepsite.operators.models import Lockout

TRIES = 5  # of a change that others made at the same moment
ADDRESS_FACTOR = 4  # several operators may come from one address
FORGIVEN_AFTER = timedelta(minutes=15)  # failures that lead to no lock
FORGOTTEN_AFTER = timedelta(days=1)
FORGOTTEN_AT_ONCE = 100  # rows


class LockedOut(LimitReached):
    """Too many wrong proofs came before this one, which has not been looked at."""

    def __init__(self, until: datetime, *, now: datetime) -> None:
        left_s = max(1, math.ceil((until - now).total_seconds()))
        minutes = math.ceil(left_s / 60)
        words = ngettext(
            "Too many wrong passwords or codes. Wait a minute, then try again; or ask another operator to"
            " release the lock.",
            "Too many wrong passwords or codes. Wait %(count)s minutes, then try again; or ask another"
            " operator to release the lock.",
            minutes,
        )
        super().__init__(words % {"count": minutes}, retry_after_s=left_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    """One key's numbers, before an attempt and with it counted as a failure."""

    before: Lockout
    after: Lockout


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A proof that is being looked at: counted as wrong until it turns out otherwise."""

    username: str
    address: str
    counts: tuple[_Count, ...]

    def succeeded(self) -> None:
        """All proofs that are asked for were right: what was counted for the account is forgotten."""
        for count in self.counts:
            if (
                count.after.kind == Lockout.Kind.ADDRESS
            ):  # one good account must not pay for guesses at others
                _restore(count)
            else:
                _delete(count.after)

    def give_back(self) -> None:
        """It was right, and more will be asked: not a failure, and not yet the end."""
        for count in self.counts:
            _restore(count)

    def failed(self) -> None:
        """It was wrong; if that locks somebody out, the audit trail says so."""
        for count in self.counts:
            row = count.after
            if row.locked_until is not None and row.locked_until > row.last_failed_at:
                audit.record(
                    "operator.locked_out",
                    actor=audit.ConsoleOperator(user_id=self.username),
                    subject=f"{row.kind}:{row.label or 'unknown'}",
                    change=audit.Change(after={"locked_until": row.locked_until, "locks": row.locks}),
                )


def begin(
    *, username: str, is_known: bool, address: str, browser: str = "", now: datetime | None = None
) -> Attempt:
    """Count an attempt of ``username`` before its proof is looked at, so that many at once are counted too.

    ``is_known`` says that there is such an operator, ``browser`` is the id of a browser
    that this operator has used before.

    Raises:
        LockedOut: the proof must not be looked at.
        Unavailable: it cannot be counted, so it must not be looked at either.
    """
    now = now or timezone.now()
    name = username.casefold()[:150]
    label = username[:150] if is_known else ""
    if browser:
        keys = [(Lockout.Kind.BROWSER, browser, label)]
    else:
        keys = [(Lockout.Kind.ACCOUNT, name, label), (Lockout.Kind.ADDRESS, address, address)]
    counts: list[_Count] = []
    try:
        for kind, what, shown in keys:
            counts.append(_counted(kind, what, shown, now=now))
    except LockedOut:
        for count in counts:
            _restore(count)
        raise
    return Attempt(username=username[:150], address=address, counts=tuple(counts))


def release(rows: Sequence[Lockout], *, actor: audit.Actor, reason: str) -> int:
    """Forget what was counted for ``rows``, locks included; how many there were.

    Raises:
        InvalidInput: there is no reason.
        NotAllowed: ``actor`` is no operator.
    """
    audit.require_operator(actor)
    if not reason:
        raise InvalidInput(_("Give a reason."))
    for row in rows:
        _delete(row)
        audit.record(
            "operator.lock_released",
            actor=actor,
            subject=f"{row.kind}:{row.label or 'unknown'}",
            reason=reason,
            change=audit.Change(before={"locked_until": row.locked_until, "failures": row.failures}),
        )
    return len(rows)


def _delete(row: Lockout, **if_still: object) -> None:
    own = Lockout.objects.filter(pk=row.pk, **if_still)
    writes.commit(own.delete, committed=lambda: not own.exists())


def _counted(kind: Lockout.Kind, what: str, label: str, *, now: datetime) -> _Count:
    key = salted_hmac("keepsite.lockout", f"{kind} {what}", algorithm="sha256").hexdigest()
    for _try in range(TRIES):
        row = Lockout.objects.filter(pk=key).first()
        if row is None:
            _forget_old(now)
            row = Lockout(key=key, kind=kind, label=label, last_failed_at=now - FORGOTTEN_AFTER)
            Lockout.objects.bulk_create([row], ignore_conflicts=True)
            continue
        if row.locked_until is not None and row.locked_until > now:
            raise LockedOut(row.locked_until, now=now)
        after = _one_more(row, label=label, now=now)
        if _moved(row, after):
            return _Count(before=row, after=after)
    raise LockedOut(now + timedelta(seconds=1), now=now)


def _one_more(row: Lockout, *, label: str, now: datetime) -> Lockout:
    quiet = now - row.last_failed_at
    failures = (0 if quiet >= FORGIVEN_AFTER else row.failures) + 1
    locks = 0 if quiet >= FORGOTTEN_AFTER else row.locks
    limit = settings.CONSOLE_LOCKOUT_AFTER * (ADDRESS_FACTOR if row.kind == Lockout.Kind.ADDRESS else 1)
    locked_until = None
    if failures >= limit:
        lock_s = min(settings.CONSOLE_LOCKOUT_S * 2 ** min(locks, 30), settings.CONSOLE_LOCKOUT_MAX_S)
        failures, locks, locked_until = 0, locks + 1, now + timedelta(seconds=lock_s)
    return Lockout(
        key=row.key,
        kind=row.kind,
        label=label,
        failures=failures,
        locks=locks,
        last_failed_at=max(now, row.last_failed_at + timedelta(microseconds=1)),
        locked_until=locked_until,
    )


def _restore(count: _Count) -> None:
    """As before the attempt, unless others came since: then theirs stands."""
    if count.before.failures or count.before.locks:
        _moved(count.after, count.before)
    else:  # nothing but this attempt
        _delete(count.after, failures=count.after.failures, last_failed_at=count.after.last_failed_at)


def _moved(seen: Lockout, wanted: Lockout) -> bool:
    """Whether the row was still as ``seen``, and is now as ``wanted``."""
    names = ("failures", "locks", "last_failed_at", "locked_until")
    was = {name: getattr(seen, name) for name in names}
    becomes = {"label": wanted.label} | {name: getattr(wanted, name) for name in names}
    found = 0

    def write() -> None:
        nonlocal found
        found = Lockout.objects.filter(pk=seen.pk, **was).update(**becomes)

    def committed() -> bool:
        nonlocal found
        found = int(Lockout.objects.filter(pk=seen.pk, **becomes).exists())
        return bool(found)

    writes.commit(write, committed=committed)
    return bool(found)


def _forget_old(now: datetime) -> None:
    """A few rows that mean nothing any more, so that made-up names do not pile up."""
    old = Lockout.objects.filter(last_failed_at__lte=now - FORGOTTEN_AFTER - timedelta(hours=1))
    keys = list(old.values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    if keys:
        old.filter(pk__in=keys).delete()
