"""Where Django's admin looks for pages; ours register as they are imported."""

from keepsite.keyring.console.mkeks import MKEKAdmin
from keepsite.keyring.console.pkeks import ProjectKEKAdmin
from keepsite.keyring.console.runs import KEKRunAdmin

__all__ = ["KEKRunAdmin", "MKEKAdmin", "ProjectKEKAdmin"]
