"""Audit records: one per API call and one per operator act."""

import contextvars
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from django.conf import settings

from keepsite.audit.files import audit_file
from keepsite.errors import Unavailable

log = structlog.get_logger(__name__)

REFUSE, ANSWER = "refuse", "answer"  # KEEPSITE_AUDIT_IF_UNWRITABLE


class Actor(Protocol):
    """Who acts, as far as an audit record is concerned."""

    @property
    def project_id(self) -> str: ...  # noqa: D102
    @property
    def user_id(self) -> str | None: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def credential_id(self) -> str | None: ...  # noqa: D102


@dataclass(slots=True, kw_only=True)
class Call:
    """One API call under way: what its record will say."""

    action: str  # "POST /v1/secrets"
    request_id: str
    global_request_id: str  # of the request that another service made this one for; empty: none
    client: str
    actor: Actor | None = None
    acts: list[dict[str, Any]] = field(default_factory=list)  # Any: JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an act changed, by name: numbers, texts, moments, lists of texts; an empty side did not exist."""

    before: Mapping[str, object] = field(default_factory=dict)
    after: Mapping[str, object] = field(default_factory=dict)


_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("audit_call", default=None)


@contextmanager
def call(*, action: str, request_id: str, client: str, global_request_id: str = "") -> Iterator[Call]:
    """Collect what happens inside into one record; ``finish`` writes it."""
    started = Call(action=action, request_id=request_id, global_request_id=global_request_id, client=client)
    token = _current.set(started)
    try:
        yield started
    finally:
        _current.reset(token)


def require_writable(*, is_required: bool = False) -> None:
    """Refuse a call whose record would have nowhere to go, before any work is done.

    Raises:
        Unavailable: today's file cannot be opened, and settings say to refuse, or the
            record ``is_required`` whatever they say.
    """
    try:
        audit_file().open()
    except OSError as error:
        if is_required or settings.AUDIT_IF_UNWRITABLE == REFUSE:
            raise _unwritable(error) from error


def finish(ended: Call, *, status: int) -> None:
    """Write the record of a call that is about to be answered with ``status``.

    Raises:
        Unavailable: it could not be written, and settings say that the answer must then be
            withheld: what is not recorded is not disclosed.
    """
    _write(
        {
            "kind": "api",
            "request_id": ended.request_id,
            **({"global_request_id": ended.global_request_id} if ended.global_request_id else {}),
            "client": ended.client,
            "action": ended.action,
            "acts": ended.acts,
            "outcome": status,
            **_who(ended.actor),
        }
    )


def record(
    action: str,
    *,
    actor: Actor,
    subject: object,
    reason: str = "",
    change: Change | None = None,
    is_required: bool = False,
) -> None:
    """Note that ``actor`` did ``action`` to ``subject``, a model instance.

    ``change`` says what the subject was like before and after, where an operator may
    want to know; like the rest, it never holds secret material.

    Called once the act is durable.  Inside an API call it becomes part of the call's
    one record, written with its outcome.  Elsewhere (console, commands, workers) it
    is a record of its own, written at once.

    Raises:
        Unavailable: the record could not be written, and settings say to refuse, or it
            ``is_required`` whatever they say: of an act that is not done without its record.
    """
    act: dict[str, Any] = {"action": action, "subject": _name_of(subject)}  # Any: JSON values
    if reason:
        act["reason"] = reason
    if change is not None:
        act |= {"before": _as_json(change.before), "after": _as_json(change.after)}
    current = _current.get()
    if current is not None:
        current.acts.append(act)
        return
    _write({"kind": "act", "outcome": "done", **act, **_who(actor)}, is_required=is_required)


def _name_of(subject: object) -> str:
    meta = getattr(subject, "_meta", None)
    return f"{meta.model_name}:{subject.pk}" if meta else str(subject)  # type: ignore[attr-defined]  # a model


def _as_json(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _who(actor: Actor | None) -> dict[str, str | None]:
    if actor is None:
        return {"project_id": None, "user_id": None, "method": None, "credential_id": None}
    who = {
        "project_id": actor.project_id,
        "user_id": actor.user_id,
        "method": actor.method,
        "credential_id": actor.credential_id,
    }
    approved_by: str = getattr(actor, "approved_by", "")  # operators alone have it
    return who | {"approved_by": approved_by} if approved_by else who


def _write(entry: dict[str, Any], *, is_required: bool = False) -> None:
    head = {
        "id": str(uuid.uuid4()),
        "at": datetime.now(UTC).isoformat(timespec="microseconds"),
        "node": settings.NODE_NAME,
    }
    try:
        audit_file().append(head | entry)
    except OSError as error:
        refusal = _unwritable(error)
        if is_required or settings.AUDIT_IF_UNWRITABLE == REFUSE:
            raise refusal from error


def _unwritable(error: OSError) -> Unavailable:
    # metrics.files.share must have run before anything imports the metrics library
    from keepsite.metrics.audit import NOT_WRITTEN  # noqa: PLC0415

    NOT_WRITTEN.inc()
    log.critical("audit.not_written", folder=str(settings.AUDIT_DIR), exc_info=error)
    return Unavailable("The audit trail cannot be written, so nothing is answered. Try again.")
