"""What the audit trail has to say for itself, as metrics."""

from prometheus_client import Counter

from keepsite.metrics.registry import REGISTRY

NOT_WRITTEN = Counter(
    "keepsite_audit_not_written",
    "Audit records that this node could not write: its folder is full or broken.",
    registry=REGISTRY,
)
