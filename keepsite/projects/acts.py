"""What operators do with projects in the console."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.projects import quotas, suspension
from keepsite.projects.models import Project
from keepsite.readonly import Tone
from keepsite.translation import gettext_lazy

LIMIT_MAX = 2**31 - 1
RESOURCE_WORDS = {
    "secrets": gettext_lazy("Secrets"),
    "orders": gettext_lazy("Orders"),
    "containers": gettext_lazy("Containers"),
    "consumers": gettext_lazy("Consumers"),
}


class QuotaForm(ReasonForm):
    """A limit for each resource."""

    field_order = (*RESOURCE_WORDS, "reason")

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own
        super().__init__(*args, **options)
        for resource, label in RESOURCE_WORDS.items():
            self.fields[resource] = forms.IntegerField(
                label=label,
                required=False,
                min_value=-1,
                max_value=LIMIT_MAX,
                help_text=_("Empty: the deployment's limit. -1: no limit. 0: none may be made."),
            )
        self.order_fields(self.field_order)


class SetQuota(Act):
    """Give a project limits of its own."""

    name = "quota"
    label = gettext_lazy("Set quota")
    permission = "projects.set_quota_of_project"
    form_class = QuotaForm

    def title(self, rows: Any) -> str:  # Any: projects
        """What the page asks."""
        return _("Set the quota of %(row)s") % {"row": rows[0]}

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: projects
        """What that means."""
        return _("Above a limit nothing more can be made; what exists stays.")

    def initial(self, rows: Any) -> dict[str, Any]:  # Any: projects; form values
        """What holds now."""
        own = getattr(rows[0], "quota", None)
        return {resource: getattr(own, resource, None) for resource in RESOURCE_WORDS}

    def perform(self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: as above
        """All limits at once."""
        limits = {resource: wanted[resource] for resource in RESOURCE_WORDS}
        quotas.set_quota(rows[0].external_id, limits, actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The quota of %(row)s is set.") % {"row": rows[0]})


class SuspendProject(Act):
    """Refuse all its API requests."""

    name = "suspend"
    label = gettext_lazy("Suspend")
    permission = "projects.suspend_project"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Project, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """A project is suspended once."""
        return row.suspended_at is None

    def title(self, rows: Any) -> str:  # Any: projects
        """What the page asks."""
        return _("Suspend the project %(row)s") % {"row": rows[0]}

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: projects
        """What that means."""
        return _(
            "Every API request of this project is answered with 403 until it is resumed: at once for"
            " callers with API keys, within %(refresh_s)s seconds for others. What it stored is kept,"
            " and orders it placed are still fulfilled."
        ) % {"refresh_s": f"{suspension.REFRESH_S:.0f}"}

    def perform(self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: as above
        """Durable on return."""
        suspension.suspend_project(rows[0].external_id, actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The project %(row)s is suspended.") % {"row": rows[0]})


class ResumeProject(Act):
    """Serve it again."""

    name = "resume"
    label = gettext_lazy("Resume")
    permission = "projects.suspend_project"

    def applies_to(self, row: Project, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """Only what is suspended can be resumed."""
        return row.suspended_at is not None

    def title(self, rows: Any) -> str:  # Any: projects
        """What the page asks."""
        return _("Resume the project %(row)s") % {"row": rows[0]}

    def lead(self, rows: Any) -> str:  # Any: projects
        """Why it was suspended."""
        return _("Its API requests are served again. It was suspended because: %(suspension_reason)s") % {
            "suspension_reason": rows[0].suspension_reason
        }

    def perform(self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: as above
        """Durable on return."""
        suspension.resume_project(rows[0].external_id, actor=actor, reason=wanted["reason"])
        return Outcome(done=_("The project %(row)s is served again.") % {"row": rows[0]})
