"""What auditors do with the trail in the console."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome
from keepsite.readonly import Tone
from keepsite.trail import services
from keepsite.trail.models import AuditRemoval
from keepsite.translation import gettext_lazy


class Verify(Act):
    """Have chains verified, from their beginning."""

    name = "verify"
    label = gettext_lazy("Verify now")
    permission = "trail.verify_auditchain"
    scope = "many"
    tone = Tone.GOOD

    def title(self, rows: Any) -> str:  # Any: chains
        """What the page asks."""
        return (
            _("Verify the audit trail of %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Verify %(count)s chains", "Verify %(count)s chains", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: chains
        """What that means."""
        return _(
            "Every record, segment and checkpoint is checked from the beginning, the checkpoints by the HSM."
            " Nothing is changed. A long trail goes on in the background after a few seconds."
        )

    def perform(
        self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: chains; form values
        """As far as a few seconds go; a worker does the rest."""
        done, waiting = services.want_verification(rows, actor=actor, reason=wanted["reason"])
        if waiting:
            return Outcome(
                done=_("%(done)s verified; %(waiting)s under way, the chain's page will say what was found.")
                % {"done": done, "waiting": waiting}
            )
        broken = sum(bool(chain.findings) for chain in rows)
        if broken:
            return Outcome(done="", refused=tuple(_words(chain) for chain in rows if chain.findings))
        if AuditRemoval.objects.filter(chain__in=rows).exists():
            return Outcome(
                done=_(
                    "Verified: nothing was changed, and nothing is missing but what the retention removed."
                )
            )
        return Outcome(done=_("Verified: nothing is missing, nothing was changed."))


def _words(chain: Any) -> str:  # Any: a chain
    return _("%(chain)s is not whole: %(count)s findings, listed on its page.") % {
        "chain": chain,
        "count": len(chain.findings),
    }
