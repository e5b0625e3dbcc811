"""Runs: started, paused, resumed, cancelled and watched, by command, in the console and by workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from keepsite import audit, writes
from keepsite.audit import Actor
from keepsite.errors import Conflict, InvalidInput
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.keyring.models import KEKRun, KEKRunFailure
from keepsite.keyring.rotation.reencrypt import Reencrypt
from keepsite.keyring.rotation.rewrap import Rewrap
from keepsite.keyring.rotation.rotate import Rotate
from keepsite.keyring.rotation.runners import has_died
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.work import Work

LOST_AFTER_S = 30  # without a heartbeat a runner is taken for dead; a page takes far less
HAND_OUT_AGAIN_S = 15  # a queued run that no worker took
LARGEST_BATCH = 1_000  # rows of one transaction: a cluster certifies each
ENDED = (KEKRun.State.DONE, KEKRun.State.FAILED, KEKRun.State.CANCELLED)
OVER = (KEKRun.State.DONE, KEKRun.State.CANCELLED)
STARTABLE = (KEKRun.State.PAUSED, KEKRun.State.FAILED)
TAKEN_UP_WITHIN = timedelta(days=1)  # an older one that was left behind is no longer what a command means


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run would touch, counted now."""

    noun: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is; ``eta_s`` is None while nobody can say."""

    done: int
    left: int
    failed: int
    per_second: float
    eta_s: float | None


def work_of(kind: str, scope: Scope, *, actor: Actor) -> Work:
    """What a run of this kind does.

    Raises:
        Conflict, InvalidInput, NoCurrentMKEK: it cannot be begun; says why.
    """
    scope.check()
    match KEKRun.Kind(kind):
        case KEKRun.Kind.REWRAP:
            return Rewrap(scope)
        case KEKRun.Kind.ROTATE:
            return Rotate(scope, actor=actor)
        case KEKRun.Kind.REENCRYPT:
            return Reencrypt(scope, actor=actor)


def preview(kind: str, scope: Scope, *, actor: Actor) -> Preview:
    """Count what a run would touch; nothing changes.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict, InvalidInput, NoCurrentMKEK: the run cannot be begun.
    """
    audit.require_operator(actor)
    work = work_of(kind, scope, actor=actor)
    return Preview(noun=work.noun, rows=work.left())


def start(  # noqa: PLR0913  # what an operator decides
    kind: str,
    scope: Scope,
    *,
    actor: Actor,
    reason: str = "",
    rate: float | None = None,
    batch_rows: int = 100,
    by_workers: bool = True,
) -> KEKRun:
    """Queue a run; workers take it within seconds, or the command that makes it does.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: rate or batch make no sense.
        Conflict, NoCurrentMKEK: the run cannot be begun.
    """
    audit.require_operator(actor)
    _check_pace(rate, batch_rows)
    work = work_of(kind, scope, actor=actor)
    run = KEKRun(
        id=new_id(),
        kind=kind,
        scope=scope.written(),
        started_by=actor.user_id or "",
        reason=reason[:255],
        rate=rate,
        batch_rows=batch_rows,
        rows_left=work.left(),
        by_workers=by_workers,
    )
    writes.commit(lambda: run.save(force_insert=True), committed=KEKRun.objects.filter(id=run.id).exists)
    begun = {"kind": kind, "rows_left": run.rows_left, "by_workers": by_workers}
    change = audit.Change(after=begun | run.scope | {"rate": rate, "batch_rows": batch_rows})
    audit.record("kek_run.started", actor=actor, subject=run, reason=reason, change=change)
    return run


def pause(run: KEKRun, *, actor: Actor, reason: str = "") -> None:
    """Let a run rest after its current batch.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: it is neither queued nor running.
    """
    audit.require_operator(actor)
    change = _move(run, (KEKRun.State.QUEUED, KEKRun.State.RUNNING), KEKRun.State.PAUSED)
    audit.record("kek_run.paused", actor=actor, subject=run, reason=reason, change=change)


def resume(run: KEKRun, *, actor: Actor, by_workers: bool = True, reason: str = "") -> None:
    """Queue a paused or failed run again; what failed is tried again.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: it is neither paused nor failed.
    """
    audit.require_operator(actor)
    change = _move(
        run,
        STARTABLE,
        KEKRun.State.QUEUED,
        by_workers=by_workers,
        handed_out_at=None,
        ended_at=None,
        last_error="",
        rows_failed=0,
    )
    failures = KEKRunFailure.objects.filter(run=run)
    writes.commit(failures.delete, committed=lambda: not failures.exists())
    audit.record("kek_run.resumed", actor=actor, subject=run, reason=reason, change=change)


def cancel(run: KEKRun, *, actor: Actor, reason: str = "") -> None:
    """End a run after its current batch; what it did stays done.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: it has ended already.
    """
    audit.require_operator(actor)
    change = _move(
        run,
        (KEKRun.State.QUEUED, KEKRun.State.RUNNING, KEKRun.State.PAUSED, KEKRun.State.FAILED),
        KEKRun.State.CANCELLED,
        ended_at=timezone.now(),
    )
    audit.record("kek_run.cancelled", actor=actor, subject=run, reason=reason, change=change)


def set_pace(run: KEKRun, *, rate: float | None, batch_rows: int, actor: Actor, reason: str = "") -> None:
    """Give a run another rate and batch, from its next slice or start on.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: rate or batch make no sense.
    """
    audit.require_operator(actor)
    _check_pace(rate, batch_rows)
    this = KEKRun.objects.filter(id=run.id)
    before = {"rate": run.rate, "batch_rows": run.batch_rows}
    writes.commit(lambda: this.update(rate=rate, batch_rows=batch_rows), committed=lambda: False)
    run.rate, run.batch_rows = rate, batch_rows
    after = {"rate": rate, "batch_rows": batch_rows}
    if after != before:
        change = audit.Change(before=before, after=after)
        audit.record("kek_run.pace_set", actor=actor, subject=run, reason=reason, change=change)


def progress(run: KEKRun) -> Progress:
    """How far ``run`` is, from its row alone."""
    per_second = run.rows_done / run.busy_s if run.busy_s else 0.0
    expected = per_second if run.rate is None else min(per_second, run.rate)  # waits are not in busy_s
    return Progress(
        done=run.rows_done,
        left=run.rows_left,
        failed=run.rows_failed,
        per_second=per_second,
        eta_s=run.rows_left / expected if expected and run.state not in ENDED else None,
    )


def is_lost(run: KEKRun, *, now: datetime) -> bool:
    """Whether whoever ran it has died: gave no sign for long, or was a process of this host that is gone."""
    return run.state == KEKRun.State.RUNNING and (
        run.heartbeat_at is None
        or run.heartbeat_at < now - timedelta(seconds=LOST_AFTER_S)
        or has_died(run.runner)
    )


def unfinished(kind: str, scope: Scope, *, now: datetime) -> KEKRun | None:
    """The run of this kind and scope that a killed or stopped command left behind within a day.

    Of a rotation the moment does not count: the one that is left behind ends first.
    """
    left_behind = KEKRun.objects.filter(kind=kind, by_workers=False, created_at__gt=now - TAKEN_UP_WITHIN)
    for run in left_behind.exclude(state__in=OVER).order_by("created_at"):
        if _without_moment(run.scope) == _without_moment(scope.written()) and (
            run.state != KEKRun.State.RUNNING or is_lost(run, now=now)
        ):
            return run
    return None


def shared_moment(kind: str, scope: Scope, *, now: datetime) -> Scope:
    """``scope`` with the moment of a rotation that is under way, so that two at once have one goal."""
    open_runs = KEKRun.objects.filter(kind=kind, created_at__gt=now - TAKEN_UP_WITHIN).exclude(
        state__in=ENDED
    )
    for run in open_runs.order_by("created_at"):
        if _without_moment(run.scope) == _without_moment(scope.written()):
            return Scope.read(run.scope)
    return scope


def _without_moment(told: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values
    return {name: value for name, value in told.items() if name != "created_before"}


def due_for_workers(now: datetime) -> Sequence[str]:
    """Ids of runs to hand to workers: queued and not handed out lately, or held by a dead one."""
    waiting = Q(state=KEKRun.State.QUEUED) & (
        Q(handed_out_at=None) | Q(handed_out_at__lt=now - timedelta(seconds=HAND_OUT_AGAIN_S))
    )
    return list(KEKRun.objects.filter(waiting | _lost(now), by_workers=True).values_list("id", flat=True))


def hand_out(run_id: str, now: datetime) -> bool:
    """Note that a run goes to the broker now; whether this caller is the one to send it."""
    due = KEKRun.objects.filter(id=run_id).filter(
        Q(handed_out_at=None) | Q(handed_out_at__lt=now - timedelta(seconds=HAND_OUT_AGAIN_S))
    )
    mine = KEKRun.objects.filter(id=run_id, handed_out_at=now)
    writes.commit(lambda: due.update(handed_out_at=now), committed=mine.exists)
    return mine.exists()


def claim(run_id: str, *, runner: str, now: datetime) -> KEKRun | None:
    """Take hold of a queued run, or of one whose runner died; None if somebody else has it."""
    seen = KEKRun.objects.filter(id=run_id).first()
    if seen is None:
        return None
    takeable = Q(state=KEKRun.State.QUEUED) | _lost(now)
    if is_lost(seen, now=now):
        takeable |= Q(state=KEKRun.State.RUNNING, runner=seen.runner)
    free = KEKRun.objects.filter(takeable, id=run_id)
    mine = KEKRun.objects.filter(id=run_id, state=KEKRun.State.RUNNING, runner=runner)

    def take() -> None:
        free.update(state=KEKRun.State.RUNNING, runner=runner, heartbeat_at=now, ended_at=None)
        mine.filter(started_at=None).update(started_at=now)

    writes.commit(take, committed=mine.exists)
    return mine.first()


def worker_of(run: KEKRun) -> Principal:
    """Who acts while workers execute a run: whoever wanted it."""
    return Principal(
        project_id="-",
        user_id=run.started_by,
        roles=frozenset(),
        method="worker",
        credential_id=run.id,
    )


def _lost(now: datetime) -> Q:
    silent_since = now - timedelta(seconds=LOST_AFTER_S)
    return Q(state=KEKRun.State.RUNNING) & (Q(heartbeat_at=None) | Q(heartbeat_at__lt=silent_since))


def _move(run: KEKRun, origins: Sequence[str], target: str, **columns: object) -> audit.Change:
    left: list[str] = []
    this = KEKRun.objects.filter(id=run.id)

    def move() -> None:
        origin = this.values_list("state", flat=True).get()
        moved = origin in origins and this.filter(state=origin).update(state=target, **columns)
        left[:] = [origin] if moved else []

    writes.commit(move, committed=lambda: False)
    run.refresh_from_db()
    if not left and run.state != target:
        raise Conflict(f"The run is {run.state}; that is possible only while it is {' or '.join(origins)}.")
    return audit.Change(before={"state": left[0] if left else target}, after={"state": target})


def _check_pace(rate: float | None, batch_rows: int) -> None:
    if rate is not None and not rate > 0:
        raise InvalidInput("A rate is a number of rows per second above 0.")
    if not 1 <= batch_rows <= LARGEST_BATCH:
        raise InvalidInput(f"A batch is from 1 to {LARGEST_BATCH} rows.")
