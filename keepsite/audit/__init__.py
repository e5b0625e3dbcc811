"""Append-only audit records: who did what to which object, and how it ended.

Records go to a file per node and day (``files.py``), never hold secret material,
and are written before the answer leaves.
"""

from keepsite.audit.operators import ConsoleOperator, require_operator
from keepsite.audit.records import (
    ANSWER,
    REFUSE,
    Actor,
    Call,
    Change,
    call,
    finish,
    record,
    require_writable,
)

__all__ = [
    "ANSWER",
    "REFUSE",
    "Actor",
    "Call",
    "Change",
    "ConsoleOperator",
    "call",
    "finish",
    "record",
    "require_operator",
    "require_writable",
]
