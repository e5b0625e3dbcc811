"""How one process sees the HSM's members: it tells their changes, and looks again where operators say so."""

import os
from datetime import datetime
from functools import partial

import structlog
from django.conf import settings

from hsm.client import HSM
from hsm.config import Pin
from hsm.errors import ConfigInvalid, LoginRefused
from hsm.member import Change, MemberStatus, State
from hsm.provider import config_from_settings, hsm
from keepsite import writes
from keepsite.fleet.models import HSMMember, MemberChange
from keepsite.ids import new_id

log = structlog.get_logger(__name__)

MOST_CHANGES = 20  # of a member in one look: one that flaps must not flood the table
REASON_CHARS = 512
PIN_REFUSED = LoginRefused.__name__


class MemberWatcher:
    """Of one process; the HSM's own memory is asked, the database only when there is something to say."""

    def __init__(self) -> None:
        self._told_at: dict[str, datetime] = {}
        self._tries: dict[str, datetime] = {}  # by member: the wish on whose behalf we try its PIN

    def look(self) -> None:
        """Once.

        Raises:
            DatabaseError, Unavailable: the database is away; the next look makes up for it.
        """
        try:
            token = hsm()
        except ConfigInvalid:
            return  # start-up has said so
        statuses = token.status()
        self._tell_changes(statuses)
        self._tell_tries(statuses)
        self._follow(token, [status for status in statuses if status.state is State.QUARANTINED])

    def _tell_changes(self, statuses: tuple[MemberStatus, ...]) -> None:
        rows = [
            MemberChange(
                id=new_id(),
                member=status.name,
                node=settings.NODE_NAME,
                process=os.getpid(),
                state=change.state.value,
                reason=change.reason[:REASON_CHARS],
                at=change.at,
            )
            for status in statuses
            for change in _since(status, self._told_at.get(status.name))
        ]
        if rows:
            stored = MemberChange.objects.filter(id=rows[0].id)
            writes.commit(lambda: MemberChange.objects.bulk_create(rows), committed=stored.exists)
        for status in statuses:
            if status.history:
                self._told_at[status.name] = status.history[-1].at

    def _follow(self, token: HSM, quarantined: list[MemberStatus]) -> None:
        """Look again where that was wanted since the member was quarantined."""
        by_name = {status.name: status for status in quarantined}
        if not by_name:
            return
        for row in HSMMember.objects.filter(name__in=by_name, wanted_at__isnull=False):
            status = by_name[row.name]
            if row.wanted_at is None or row.wanted_at <= status.history[-1].at:
                continue
            if status.last_error != PIN_REFUSED:
                log.info("fleet.member_released", member=row.name, by=row.wanted_by)
                token.look_again(row.name)
            elif self._may_try_pin(row):
                log.info("fleet.member_released", member=row.name, by=row.wanted_by, pin_corrected=True)
                token.look_again(row.name, pin=_pin_now(row.name))

    def _may_try_pin(self, row: HSMMember) -> bool:
        """Whether a human said that the PIN was corrected, and it was accepted elsewhere or is ours to try.

        One process of all nodes tries first: as many wrong attempts as there are nodes could lock a token.
        """
        if not row.pin_corrected or row.pin_outcome == HSMMember.Outcome.REFUSED:
            return False
        if row.pin_outcome == HSMMember.Outcome.ACCEPTED:
            return True
        me = f"{settings.NODE_NAME}/{os.getpid()}/{new_id()[:8]}"
        wish = HSMMember.objects.filter(name=row.name, wanted_at=row.wanted_at)
        writes.commit(
            lambda: wish.filter(tried_by="").update(tried_by=me), committed=wish.filter(tried_by=me).exists
        )
        is_ours = wish.filter(tried_by=me).exists()
        if is_ours and row.wanted_at is not None:
            self._tries[row.name] = row.wanted_at
        return is_ours

    def _tell_tries(self, statuses: tuple[MemberStatus, ...]) -> None:
        """What came of a PIN that this process tried first."""
        for status in statuses:
            wanted_at = self._tries.get(status.name)
            if wanted_at is None or not (status.state.serves or status.state is State.QUARANTINED):
                continue
            refused = status.state is State.QUARANTINED and status.last_error == PIN_REFUSED
            outcome = HSMMember.Outcome.REFUSED if refused else HSMMember.Outcome.ACCEPTED
            wish = HSMMember.objects.filter(name=status.name, wanted_at=wanted_at)
            writes.commit(
                partial(wish.update, pin_outcome=outcome),
                committed=wish.filter(pin_outcome=outcome).exists,
            )
            del self._tries[status.name]


def _since(status: MemberStatus, told_at: datetime | None) -> list[Change]:
    news = [change for change in status.history if told_at is None or change.at > told_at]
    return news[-MOST_CHANGES:]


def _pin_now(member: str) -> Pin:
    """As its file or the environment has it now."""
    return next(one.pin for one in config_from_settings().members if one.name == member)
