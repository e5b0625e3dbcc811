"""Promoting blue to green, going on after a stop, and the way back."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome
from keepsite.acts.act import Rows
from keepsite.nodes.console.words import names, step_words
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Promotion, PromotionStep
from keepsite.nodes.promotion import services
from keepsite.nodes.promotion.plan import way_back
from keepsite.nodes.promotion.preflight import Check, preflight
from keepsite.nodes.promotion.services import nodes_of
from keepsite.nodes.states import Colour
from keepsite.readonly import Fact, Tone, detail_url, pill, text
from keepsite.translation import gettext_lazy

STEER = "nodes.steer_promotion"


class StartPromotion(Act):
    """Exchange blue and green, if every check holds."""

    name = "start"
    label = gettext_lazy("Promote")
    permission = STEER
    scope = "list"
    is_destructive = True

    def for_page(self) -> "StartPromotion":
        """A new one, which asks the nodes once."""
        return StartPromotion()

    @cached_property
    def _checks(self) -> list[Check]:
        return preflight(NodeLimits.from_settings(), now=timezone.now())

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What the page asks."""
        return _("Promote blue to green")

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What that means."""
        limits = NodeLimits.from_settings()
        return _(
            "One node at a time, and never fewer than %(min_green)s green ones in service. Node"
            " agents take the steps, so closing this page stops nothing; a step that cannot be taken"
            " stops it, and it can be rolled back at any moment."
        ) % {"min_green": limits.min_green}

    def facts(self, rows: Rows) -> tuple[Fact, ...]:  # noqa: ARG002  # of the list as a whole
        """The checks with what each saw, and then the steps."""
        limits = NodeLimits.from_settings()
        blue, green = nodes_of(Colour.BLUE), nodes_of(Colour.GREEN)
        return (
            *(_fact(check) for check in self._checks),
            Fact(
                label=_("First turn green"),
                value=names(blue),
                note=_("One after the other, each watched for %(duration)s s.")
                % {"duration": f"{limits.settle.total_seconds():g}"},
            ),
            Fact(
                label=_("Then drain and turn blue"),
                value=names(green),
                note=_("One after the other, each with %(duration)s s to finish its work.")
                % {"duration": f"{limits.drain.total_seconds():g}"},
            ),
        )

    def is_idle(self, rows: Rows) -> bool:  # noqa: ARG002  # of the list as a whole
        """A check does not hold."""
        return not all(check.holds for check in self._checks)

    def idle_words(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """How many."""
        failed = sum(not check.holds for check in self._checks)
        return ngettext(
            "One check does not hold, so nothing is started. Mend what stands there, and reload the page.",
            "%(count)s checks do not hold, so nothing is started. Mend what stands there, and reload the"
            " page.",
            failed,
        ) % {"count": failed}

    def phrase(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What must be typed."""
        return "promote"

    def perform(
        self,
        rows: Rows,  # noqa: ARG002  # of the list as a whole
        *,
        actor: audit.Actor,
        wanted: dict[str, Any],  # Any: a form
    ) -> Outcome:
        """Durable on return; node agents take the steps."""
        promotion = services.start(
            NodeLimits.from_settings(), actor=actor, reason=wanted["reason"], now=timezone.now()
        )
        return Outcome(done=_("The promotion has begun."), url=detail_url(Promotion, promotion.pk))


class ResumePromotion(Act):
    """Try the step anew that failed."""

    name = "resume"
    label = gettext_lazy("Resume")
    permission = STEER

    def applies_to(self, row: Promotion, *, now: datetime) -> bool:  # noqa: ARG002  # the row says it
        """It has stopped."""
        return row.state == Promotion.State.STOPPED

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # the page's trail names it
        """What the page asks."""
        return _("Resume this promotion")

    def lead(self, rows: Rows) -> str:
        """What that means."""
        return (
            _("It goes on with the step that failed. %(problem)s") % {"problem": rows[0].problem}
            if rows
            else ""
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Whose it is, how far it came, and what is to come."""
        return _about(rows[0], to_come=services.steps_to_come(rows[0])) if rows else ()

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        services.resume(rows[0], actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The promotion goes on."))


class RollBackPromotion(Act):
    """Every node its old colour; needs no second person, since it is the way out of trouble."""

    name = "rollback"
    label = gettext_lazy("Roll back")
    permission = STEER
    tone = Tone.BAD
    can_wait = False

    def applies_to(self, row: Promotion, *, now: datetime) -> bool:  # noqa: ARG002  # nodes say it
        """It is open and not being rolled back, or is done and its colours still stand."""
        return services.can_be_rolled_back(row)

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # the page's trail names it
        """What the page asks."""
        return _("Roll this promotion back")

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "Every node that was touched gets its old colour again, the old green ones first. It never"
            " touches the schema, and no request is lost. A node that is silent by then is passed over."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Whose it is, how far it came, and each step back."""
        if not rows:
            return ()
        (promotion,) = rows
        is_on_its_way = promotion.steps.filter(is_rollback=True).exists()
        back = services.steps_to_come(promotion) if is_on_its_way else way_back(promotion)
        again_green = [step.node for step in back if step.act == PromotionStep.Act.TO_GREEN]
        serves = Fact(
            label=_("Version that turns green again"),
            value=", ".join(sorted({node.version for node in again_green})) or _("none"),
            note=names(again_green),
        )
        return (*_about(promotion, to_come=back), serves)

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return; node agents take the steps."""
        services.roll_back(rows[0], actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The promotion is being rolled back."))


STEER_ACTS: tuple[Act, ...] = (ResumePromotion(), RollBackPromotion())


def _about(promotion: Promotion, *, to_come: Sequence[PromotionStep]) -> tuple[Fact, ...]:
    done = promotion.steps.filter(state=PromotionStep.State.DONE).count()
    return (
        Fact(
            label=_("Promotion"),
            value=text(promotion.reason),
            note=_("started by %(operator)s") % {"operator": promotion.started_by},
        ),
        Fact(label=_("Steps done"), value=text(done)),
        Fact(label=_("What it will do"), value=text("; ".join(step_words(step) for step in to_come))),
    )


def _fact(check: Check) -> Fact:
    return Fact(
        label=check.name if check.node else check.name[:1].upper() + check.name[1:],
        value=pill(_("Holds"), Tone.GOOD) if check.holds else pill(_("Not so"), Tone.BAD),
        note=check.seen,
    )
