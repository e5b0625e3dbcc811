"""The two-person rule for management commands that do what it guards in the console.

A command is asked for on the host, approved in the console, and run on the host: once, by
whoever asked, with the very arguments that were approved.  In an emergency it is run without;
then the audit trail, the log and the list of approvals say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from keepsite import audit, writes
from keepsite.approvals import services
from keepsite.approvals.models import ActRequest
from keepsite.errors import InvalidInput, NotAllowed

log = structlog.get_logger(__name__)

NOUN = "approvals.command"  # stands in a request where acts of the console have their model; there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedCommand:
    """A command, the acts of KEEPSITE_TWO_PERSON_ACTS any of which guards it, and who may approve it."""

    name: str  # with its verb, where verbs are guarded by different acts
    acts: frozenset[str]
    permissions: frozenset[str]  # all of them

    @property
    def is_guarded(self) -> bool:
        """Whether the deployment wants two persons for it."""
        return any(services.is_guarded(act) for act in self.acts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """Who runs a command, and why, as its audit records are to say it."""

    actor: audit.Actor
    reason: str


_PURGED = ("secret", "container", "order")
_MAY_PURGE = frozenset({"secrets_app.purge_secret", "secrets_app.purge_container", "orders_app.purge_order"})
MKEK_ACTIVATE = GuardedCommand(
    name="mkek_activate",
    acts=frozenset({"mkek.activate"}),
    permissions=frozenset({"keyring.activate_mkek"}),
)
MKEK_RETIRE = GuardedCommand(
    name="mkek_retire", acts=frozenset({"mkek.retire"}), permissions=frozenset({"keyring.retire_mkek"})
)
PROMOTE_START = GuardedCommand(
    name="promote", acts=frozenset({"promotion.start"}), permissions=frozenset({"nodes.steer_promotion"})
)
PROMOTE_RESUME = GuardedCommand(
    name="promote resume",
    acts=frozenset({"promotion.resume"}),
    permissions=frozenset({"nodes.steer_promotion"}),
)
PROJECT_SUSPEND = GuardedCommand(
    name="project_suspend",
    acts=frozenset({"project.suspend"}),
    permissions=frozenset({"projects.suspend_project"}),
)
PROJECT_RESUME = GuardedCommand(
    name="project_resume",
    acts=frozenset({"project.resume"}),
    permissions=frozenset({"projects.suspend_project"}),
)
PURGE_OVERDUE = GuardedCommand(
    name="purge_deleted",
    acts=frozenset(f"{noun}.purge-overdue" for noun in _PURGED),
    permissions=_MAY_PURGE,
)
PURGE_EARLY = GuardedCommand(
    name="purge_deleted",
    acts=PURGE_OVERDUE.acts | {f"{noun}.purge" for noun in _PURGED},
    permissions=_MAY_PURGE,
)
_STEER = {"green": "colour", "blue": "colour", "offline": "offline", "drain": "drain", "undrain": "undrain"}
NODE_STEERED = {
    verb: GuardedCommand(
        name=f"node_colour {verb}",
        acts=frozenset({f"node.{act}"}),
        permissions=frozenset({"nodes.steer_node"}),
    )
    for verb, act in _STEER.items()
}
NODE_FORGET = GuardedCommand(
    name="node_colour forget",
    acts=frozenset({"node.forget"}),
    permissions=frozenset({"nodes.forget_node"}),
)
GUARDED = {
    command.name: command
    for command in (
        MKEK_ACTIVATE,
        MKEK_RETIRE,
        PROMOTE_START,
        PROMOTE_RESUME,
        PROJECT_SUSPEND,
        PROJECT_RESUME,
        PURGE_EARLY,
        *NODE_STEERED.values(),
        NODE_FORGET,
    )
}


def is_about_command(request: ActRequest) -> bool:
    """Whether an approval lets a command be run, instead of doing something itself."""
    return request.noun == NOUN


def ask(command: GuardedCommand, arguments: Sequence[str], *, actor: audit.Actor, reason: str) -> ActRequest:
    """Put the command before a second person; durable on return.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: there is no reason.
        Conflict: the same waits already.
    """
    return services.ask(
        noun=NOUN,
        act=command.name,
        title=_title(command, arguments),
        row_ids=arguments,
        form={},
        reason=reason,
        actor=actor,
    )


def take_approval(
    command: GuardedCommand, arguments: Sequence[str], *, actor: audit.Actor, now: datetime | None = None
) -> Cleared:
    """Use up the approval that ``actor`` was given for exactly this; return who acts, second person included.

    The reason is the one that it was asked for with.

    Durable on return: should the command then fail, it needs another approval.

    Raises:
        NotAllowed: there is none that is left, and its words say how to get one.
    """
    now = now or timezone.now()
    approved = ActRequest.objects.filter(
        noun=NOUN,
        act=command.name,
        state=ActRequest.State.APPROVED,
        requested_by=actor.user_id or "",
        expires_at__gt=now,
    )
    for request in approved:
        if request.row_ids == list(arguments) and _use_up(request, actor=actor):
            operator = audit.ConsoleOperator(
                user_id=request.requested_by, approved_by=request.decided_by, method=actor.method
            )
            return Cleared(actor=operator, reason=request.reason)
    raise NotAllowed(
        f"Two persons are needed for this (KEEPSITE_TWO_PERSON_ACTS). Say --ask --reason '...', have another"
        f" operator approve it in the console under Approvals, and run this once more within"
        f" {settings.APPROVAL_H:g} hours. In an emergency: --emergency --reason '...', which everybody"
        " will see."
    )


def set_aside(command: GuardedCommand, arguments: Sequence[str], *, actor: audit.Actor, reason: str) -> None:
    """Note, before it is done, that the command is run without a second person; durable on return.

    Raises:
        NotAllowed: ``actor`` is no operator.
        InvalidInput: there is no reason.
    """
    audit.require_operator(actor)
    if not reason:
        raise InvalidInput("An emergency has a reason: give it with --reason.")
    now = timezone.now()
    request = ActRequest(
        noun=NOUN,
        act=command.name,
        title=_title(command, arguments),
        row_ids=list(arguments),
        reason=reason,
        requested_by=actor.user_id or "",
        requested_at=now,
        expires_at=now + timedelta(hours=settings.APPROVAL_H),
        state=ActRequest.State.DONE,
        decided_at=now,
        outcome="Run without a second person.",
    )
    writes.commit(
        lambda: request.save(force_insert=True), committed=ActRequest.objects.filter(pk=request.pk).exists
    )
    log.critical("two_person_rule.set_aside", command=request.title, by=request.requested_by, reason=reason)
    audit.record(
        "act.emergency",
        actor=actor,
        subject=request,
        reason=reason,
        change=audit.Change(after={"command": request.title, "approved_by": None}),
    )


def _use_up(request: ActRequest, *, actor: audit.Actor) -> bool:
    """Move an approval on; whether it was there to be moved.  Whoever does may run the command."""
    own = ActRequest.objects.filter(pk=request.pk)
    moved: list[int] = []
    outcome = f"Run by {actor.user_id}."
    writes.commit(
        lambda: moved.append(
            own.filter(state=ActRequest.State.APPROVED).update(state=ActRequest.State.DONE, outcome=outcome)
        ),
        committed=lambda: False,  # in doubt it must be asked for anew
    )
    if not moved[-1]:
        return False
    audit.record(
        "act.carried_out",
        actor=actor,
        subject=request,
        change=audit.Change(
            before={"state": ActRequest.State.APPROVED.value, "approved_by": request.decided_by},
            after={"state": ActRequest.State.DONE.value, "outcome": outcome},
        ),
    )
    return True


def _title(command: GuardedCommand, arguments: Sequence[str]) -> str:
    return " ".join(("manage.py", command.name, *arguments))
