"""Where Django's admin looks for pages; ours register as they are imported."""

from keepsite.nodes.console.nodes import NodeAdmin
from keepsite.nodes.console.promotions import PromotionAdmin

__all__ = ["NodeAdmin", "PromotionAdmin"]
