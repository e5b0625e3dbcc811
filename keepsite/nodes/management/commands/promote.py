import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.approvals import options as two_persons
from keepsite.approvals.commands import PROMOTE_RESUME, PROMOTE_START, Cleared, GuardedCommand
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Promotion, PromotionStep
from keepsite.nodes.promotion import runner, services
from keepsite.nodes.promotion.preflight import preflight

REFUSED, TIMED_OUT = 1, 3
LOOK_EVERY_S = 0.5


class Command(BaseCommand):
    """Exchange blue and green, one node at a time, and the way back."""

    help = (
        "Make the blue nodes green and the green ones blue, one at a time. The node agents take the steps: "
        "ending this command ends the watching only. "
        "Exit codes: 0 done, 1 refused or stopped, 2 usage, 3 timed out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A verb; those that change something need a reason."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("preflight", help="check what must hold; change nothing")
        for verb, meaning in (
            ("start", "check, then promote"),
            ("resume", "go on with a promotion that has stopped"),
            ("rollback", "give every node its old colour again; also after the last one is done"),
        ):
            parsed = verbs.add_parser(verb, help=meaning)
            parsed.add_argument("--reason", required=True, help="goes into the audit trail")
            _add_watching(parsed)
            parsed.add_argument("--no-wait", action="store_true", help="do not watch it")
            if verb != "rollback":
                two_persons.add_arguments(parsed)
        _add_watching(verbs.add_parser("watch", help="watch the open promotion until it ends"))
        verbs.add_parser("status", help="the last promotion, step by step")

    def handle(self, *, verb: str, **options: Any) -> None:  # Any: argparse's values
        """Do what the verb says."""
        limits = NodeLimits.from_settings()
        try:
            if verb == "preflight":
                self._preflight(limits)
            elif verb == "status":
                self._status()
            elif verb == "watch":
                self._watch(services.open_promotion(), limits, options["timeout"])
            else:
                self._change(verb, limits, **options)
        except KeepsiteError as error:
            raise CommandError(error.public, returncode=REFUSED) from error

    def _preflight(self, limits: NodeLimits) -> None:
        checks = preflight(limits, now=timezone.now())
        for check in checks:
            self.stdout.write(f"{'ok' if check.holds else 'NOT SO':<7} {check.name}: {check.seen}")
        if not all(check.holds for check in checks):
            raise CommandError("A promotion would be refused.", returncode=REFUSED)

    def _change(
        self, verb: str, limits: NodeLimits, *, reason: str, no_wait: bool, timeout: float, **options: Any
    ) -> None:  # Any: argparse's values
        changed: Promotion | None
        if verb == "start":
            changed = self._start(limits, reason=reason, **options)
        elif verb == "resume":
            changed = self._resume(reason=reason, **options)
        else:
            changed = services.last_promotion()
            services.roll_back(changed, actor=command_principal(), reason=reason)
        if changed is not None and not no_wait:
            self._watch(changed, limits, timeout)

    def _start(self, limits: NodeLimits, *, ask: bool, **options: Any) -> Promotion | None:  # Any: as above
        """A check that does not hold uses up no approval."""
        if not ask:
            self._preflight(limits)
        cleared = self._cleared(PROMOTE_START, "start", ask=ask, **options)
        if cleared is None:
            return None
        return services.start(limits, actor=cleared.actor, reason=cleared.reason, now=timezone.now())

    def _resume(self, **options: Any) -> Promotion | None:  # Any: as above
        """An approval is of one promotion, and is not used up by one that cannot be resumed."""
        promotion = services.open_promotion()
        services.require_stopped(promotion)
        cleared = self._cleared(PROMOTE_RESUME, str(promotion.pk), **options)
        if cleared is None:
            return None
        services.resume(promotion, actor=cleared.actor, reason=cleared.reason)
        return promotion

    def _cleared(
        self, command: GuardedCommand, argument: str, *, reason: str, ask: bool, emergency: bool, **_: Any
    ) -> Cleared | None:  # Any: argparse's values
        """Who does it, and why; None where it was asked for."""
        return two_persons.cleared(
            command,
            (argument,),
            actor=command_principal(),
            reason=reason,
            ask=ask,
            emergency=emergency,
            say=self.stdout.write,
        )

    def _watch(self, promotion: Promotion, limits: NodeLimits, timeout_s: float) -> None:
        started_at = timezone.now()
        told: set[tuple[str, str]] = set()
        while True:
            runner.advance(limits, now=timezone.now())
            promotion.refresh_from_db()
            self._tell_news(promotion, told)
            if promotion.state == Promotion.State.STOPPED:
                raise CommandError(
                    f"Stopped: {promotion.problem} Mend it and `promote resume`, or `promote rollback`.",
                    returncode=REFUSED,
                )
            if promotion.open_marker is None:
                self.stdout.write(f"{promotion} is {promotion.get_state_display()}.")
                return
            if timezone.now() - started_at > timedelta(seconds=timeout_s):
                raise CommandError(
                    "It goes on without this command; `promote watch` shows it.", returncode=TIMED_OUT
                )
            time.sleep(LOOK_EVERY_S)

    def _tell_news(self, promotion: Promotion, told: set[tuple[str, str]]) -> None:
        steps = list(promotion.steps.all())
        for step in steps:
            if step.state == PromotionStep.State.WAITING or (step.id, step.state) in told:
                continue
            told.add((step.id, step.state))
            self.stdout.write(
                f"{timezone.now():%H:%M:%S}  {step.position + 1:>2}/{len(steps)}  {step}: {_state(step)}"
            )

    def _status(self) -> None:
        promotion = Promotion.objects.first()
        if promotion is None:
            self.stdout.write("There has been no promotion yet.")
            return
        self.stdout.write(
            f"{promotion}, {promotion.get_state_display()}, "
            f"started {promotion.created_at:%Y-%m-%d %H:%M:%S} UTC by {promotion.started_by}: "
            f"{promotion.reason}"
        )
        if promotion.problem:
            self.stdout.write(promotion.problem)
        for step in promotion.steps.all():
            back = " (rollback)" if step.is_rollback else ""
            self.stdout.write(f"{step.position + 1:>3}  {_state(step):<11}  {step}{back}")


def _state(step: PromotionStep) -> str:
    return "passed over" if step.is_passed_over else str(step.get_state_display())


def _add_watching(parser: ArgumentParser) -> None:
    parser.add_argument("--timeout", type=float, default=1800.0, help="s to watch (default: %(default)g)")
