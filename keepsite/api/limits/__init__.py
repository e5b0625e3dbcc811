"""Rate limits: how often a project or user may ask for what, counted together by all nodes.

``rules`` reads what the operator wrote, ``counters`` counts, ``limiter`` decides.
"""

from keepsite.api.limits.limiter import Remaining, charge, problems_of_settings, remaining, reset
from keepsite.api.limits.rules import LimitsFileInvalid, Rule, read_rules

__all__ = [
    "LimitsFileInvalid",
    "Remaining",
    "Rule",
    "charge",
    "problems_of_settings",
    "read_rules",
    "remaining",
    "reset",
]
