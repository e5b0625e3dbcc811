"""Append-only audit records: who did what to which object, and how it ended.

Records go to a file per node and day (``files.py``), never hold secret material,
and are written before the answer leaves.
"""

from keepsite.audit.records import Actor, Call, call, finish, record, require_writable

__all__ = ["Actor", "Call", "call", "finish", "record", "require_writable"]
