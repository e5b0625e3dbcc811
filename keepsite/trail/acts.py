"""What auditors do with the trail in the console."""

from typing import Any

from keepsite import audit
from keepsite.acts import Act, Outcome
from keepsite.readonly import Tone
from keepsite.trail import services
from keepsite.trail.models import AuditRemoval


class Verify(Act):
    """Have chains verified, from their beginning."""

    name = "verify"
    label = "Verify now"
    permission = "trail.verify_auditchain"
    scope = "many"
    tone = Tone.GOOD

    def title(self, rows: Any) -> str:  # Any: chains
        """What the page asks."""
        return f"Verify the audit trail of {rows[0]}" if len(rows) == 1 else f"Verify {len(rows)} chains"

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: chains
        """What that means."""
        return (
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
                done=f"{done} verified; {waiting} under way, the chain's page will say what was found."
            )
        broken = sum(bool(chain.findings) for chain in rows)
        if broken:
            return Outcome(done="", refused=tuple(_words(chain) for chain in rows if chain.findings))
        if AuditRemoval.objects.filter(chain__in=rows).exists():
            return Outcome(
                done="Verified: nothing was changed, and nothing is missing but what the retention removed."
            )
        return Outcome(done="Verified: nothing is missing, nothing was changed.")


def _words(chain: Any) -> str:  # Any: a chain
    return f"{chain} is not whole: {len(chain.findings)} findings, listed on its page."
