"""What operators may do in the console.

Each act is one page that says what it will touch, asks why, and calls one service.
This lies below the apps, so that each can describe its own acts beside its lists; the
templates are in ``templates/console``.
"""

from keepsite.acts.act import Act, Outcome, one_by_one
from keepsite.acts.admin import ActingAdmin
from keepsite.acts.forms import ReasonForm

__all__ = ["Act", "ActingAdmin", "Outcome", "ReasonForm", "one_by_one"]
