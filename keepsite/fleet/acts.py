"""What operators do with the HSM's members in the console."""

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.fleet import services
from keepsite.fleet.models import HSMMember
from keepsite.translation import gettext_lazy


class ReleaseForm(ReasonForm):
    """Whether it was the PIN, and why."""

    pin_corrected = forms.BooleanField(
        required=False,
        label=gettext_lazy("Its PIN was refused, and I have corrected it"),
        help_text=gettext_lazy(
            "On every node, in the file that the HSM configuration names. One process tries it; the others"
            " follow once the token accepted it. Without this, a PIN that was refused is not tried again."
        ),
    )
    field_order = ("pin_corrected", "reason")


class ReleaseMember(Act):
    """Have it looked at again."""

    name = "release"
    label = gettext_lazy("Release from quarantine")
    permission = "fleet.release_hsmmember"
    needs_recent_login = True
    form_class = ReleaseForm

    def applies_to(self, row: HSMMember, *, now: datetime) -> bool:
        """Only what is in quarantine somewhere."""
        return services.is_quarantined(row.name, now=now)

    def title(self, rows: Any) -> str:  # Any: HSM members
        """What the page asks."""
        return _("Release %(row)s from quarantine") % {"row": rows[0]}

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: HSM members
        """What that means."""
        return _(
            "Every process that has it in quarantine logs in again within seconds and has it prove the MKEKs."
            " It serves only if all of that succeeds; otherwise it is quarantined again. Mend it first."
        )

    def perform(self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: as above
        """Durable on return; processes follow."""
        services.release_member(
            rows[0].name,
            pin_corrected=wanted["pin_corrected"],
            actor=actor,
            reason=wanted["reason"],
            now=timezone.now(),
        )
        return Outcome(
            done=_("%(row)s is looked at again within some twenty seconds; its state tells.")
            % {"row": rows[0]}
        )
