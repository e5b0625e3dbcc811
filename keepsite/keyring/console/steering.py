"""Steering runs: pause, resume, try again, cancel, another pace.

Each act stands twice: for runs about pKEKs and payloads, which operators steer, and for
those that bring pKEKs under another MKEK, which are the crypto officers'.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome
from keepsite.acts.act import Rows
from keepsite.keyring.console.starting import REWRAP, ROTATE, PaceForm
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation import runs
from keepsite.readonly import Tone
from keepsite.translation import gettext_lazy

GOING = (KEKRun.State.QUEUED, KEKRun.State.RUNNING)


class SteerRun(Act):
    """Something done to a run of certain kinds while it is in certain states."""

    states: Collection[str]

    def __init__(self, kinds: Collection[str], *, suffix: str, permission: str) -> None:
        self._kinds = kinds
        self.name = f"{self.verb}{suffix}"  # type: ignore[misc]  # an act for either group of kinds
        self.permission = permission  # type: ignore[misc]

    verb: str

    def applies_to(self, row: KEKRun, *, now: datetime) -> bool:  # noqa: ARG002  # the service looks at the clock
        """By its kind and state."""
        return row.kind in self._kinds and row.state in self.states

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # the page's trail names the run
        """What the page asks."""
        return _("%(label)s this run") % {"label": self.label}

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        return Outcome(done=self.steer(rows[0], actor=actor, wanted=wanted))

    @abstractmethod
    def steer(self, run: KEKRun, *, actor: audit.Actor, wanted: dict[str, Any]) -> str:  # Any: a form
        """Do it; what to say."""


class PauseRun(SteerRun):
    """Let it rest."""

    verb = "pause"
    label = gettext_lazy("Pause")
    states = GOING

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _("It ends the batch it is at, then rests until somebody resumes it. What it did stays done.")

    def steer(self, run: KEKRun, *, actor: audit.Actor, wanted: dict[str, Any]) -> str:  # Any: a form
        """After its batch."""
        runs.pause(run, actor=actor, reason=wanted["reason"])
        return _("The run is paused.")


class ResumeRun(SteerRun):
    """Go on."""

    verb = "resume"
    label = gettext_lazy("Resume")
    states = (KEKRun.State.PAUSED,)

    def lead(self, rows: Rows) -> str:
        """What that means."""
        if rows and rows[0].by_workers:
            return _("Workers go on where it stopped. Rows that failed are tried again.")
        return _(
            "Workers go on where it stopped. Rows that failed are tried again. A command began it;"
            " workers go on with it."
        )

    def steer(self, run: KEKRun, *, actor: audit.Actor, wanted: dict[str, Any]) -> str:  # Any: a form
        """By workers."""
        runs.resume(run, actor=actor, reason=wanted["reason"])
        return _("The run is queued again.")


class RetryRun(ResumeRun):
    """The same for a run that failed."""

    verb = "retry"
    label = gettext_lazy("Try failed ones again")
    states = (KEKRun.State.FAILED,)

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        failed = rows[0].rows_failed
        if not failed:
            return _("Try this run again")
        words = ngettext("Try %(count)s failed row again", "Try %(count)s failed rows again", failed)
        return words % {"count": intcomma(failed)}


class CancelRun(SteerRun):
    """End it."""

    verb = "cancel"
    label = gettext_lazy("Cancel the run")
    tone = Tone.BAD
    states = (*GOING, KEKRun.State.PAUSED, KEKRun.State.FAILED)

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # the page's trail names the run
        """What the page asks."""
        return _("Cancel this run")

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "It ends the batch it is at, and does not come back. What it did stays done, nothing is half"
            " done; another run can go on with what is left."
        )

    def steer(self, run: KEKRun, *, actor: audit.Actor, wanted: dict[str, Any]) -> str:  # Any: a form
        """After its batch."""
        runs.cancel(run, actor=actor, reason=wanted["reason"])
        return _("The run is cancelled.")


class SetPace(SteerRun):
    """Faster or slower."""

    verb = "pace"
    label = gettext_lazy("Set pace")
    states = (*GOING, KEKRun.State.PAUSED, KEKRun.State.FAILED)
    form_class = PaceForm

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # the page's trail names the run
        """What the page asks."""
        return _("Set the pace of this run")

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _("It holds within seconds: workers look at it each time they take the run up.")

    def initial(self, rows: Rows) -> dict[str, Any]:  # Any: a form
        """What holds now."""
        return {"rate": rows[0].rate, "batch_rows": rows[0].batch_rows}

    def steer(self, run: KEKRun, *, actor: audit.Actor, wanted: dict[str, Any]) -> str:  # Any: a form
        """From its next slice on."""
        runs.set_pace(
            run,
            rate=wanted["rate"],
            batch_rows=wanted["batch_rows"],
            actor=actor,
            reason=wanted["reason"],
        )
        return _("The pace is set.")


def _both(act: type[SteerRun]) -> Iterator[SteerRun]:
    yield act((KEKRun.Kind.ROTATE, KEKRun.Kind.REENCRYPT), suffix="", permission=ROTATE)
    yield act((KEKRun.Kind.REWRAP,), suffix="-rewrap", permission=REWRAP)


STEER_ACTS: tuple[Act, ...] = tuple(
    act for kind in (PauseRun, ResumeRun, RetryRun, SetPace, CancelRun) for act in _both(kind)
)
