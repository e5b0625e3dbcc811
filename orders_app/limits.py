from dataclasses import dataclass

from django.conf import settings

MOST_TOGETHER = 50  # keys that one message stands for: they are made and committed together


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """How patient the order machinery is."""

    lease_s: int  # a worker's claim on an order for a key pair
    key_lease_s: int  # and for a symmetric key
    handout_s: int  # an order handed out and not claimed is handed out again after this
    max_attempts: int  # claims that ended without a word before an order is given up
    poll_s: float  # the relay looks for work at least this often

    @classmethod
    def from_settings(cls) -> "OrderLimits":
        """What the environment says."""
        return cls(
            lease_s=settings.ORDER_LEASE_S,
            key_lease_s=min(settings.ORDER_KEY_LEASE_S, settings.ORDER_LEASE_S),
            handout_s=settings.ORDER_HANDOUT_S,
            max_attempts=settings.ORDER_MAX_ATTEMPTS,
            poll_s=settings.RELAY_POLL_S,
        )
