"""What commands that the two-person rule may guard have in common on their command line."""

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import replace

from keepsite import audit
from keepsite.approvals import commands
from keepsite.approvals.commands import Cleared, GuardedCommand


def add_arguments(parser: ArgumentParser) -> None:
    """``--ask``, ``--emergency``; and ``--reason``, where the command has none of its own."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--ask",
        action="store_true",
        help="ask another operator to approve this in the console; do nothing yet",
    )
    either.add_argument(
        "--emergency",
        action="store_true",
        help="do it without a second person; needs a reason, and everybody will see it",
    )


def cleared(  # noqa: PLR0913  # what was typed, and where to say what came of it
    command: GuardedCommand,
    arguments: Sequence[str],
    *,
    actor: audit.Actor,
    reason: str,
    ask: bool,
    emergency: bool,
    say: Callable[[str], object],
) -> Cleared | None:
    """Who acts and why, as the audit trail will say it; None where it is asked for and not done now.

    Commands that no rule guards are cleared at once.

    Raises:
        NotAllowed: a second person is needed; the words say how to get one.
        InvalidInput: there is no reason where one must be.
        Conflict: the same was asked for already.
    """
    if not command.is_guarded:
        if ask:
            say("KEEPSITE_TWO_PERSON_ACTS names nothing that guards this: no approval is needed.")
            return None
        return Cleared(actor=actor, reason=reason)
    if ask:
        request = commands.ask(command, arguments, actor=actor, reason=reason)
        say(
            f"Asked for: {request}. When another operator has approved it in the console, under Approvals,"
            f" run it once more, as it is, before {request.expires_at:%Y-%m-%d %H:%M} UTC."
        )
        return None
    if emergency:
        commands.set_aside(command, arguments, actor=actor, reason=reason)
        return Cleared(actor=actor, reason=reason)
    approved = commands.take_approval(command, arguments, actor=actor)
    if reason in {"", approved.reason}:
        return approved
    return replace(approved, reason=f"{approved.reason}; {reason}")
