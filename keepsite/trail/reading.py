"""What an audit line says, as the columns of its copy."""

import json
from datetime import datetime
from typing import Any

UNREADABLE = "unreadable"
_WIDTHS = {  # characters, of AuditRecord's columns
    **dict.fromkeys(("node", "action", "subject", "project", "user"), 255),
    **dict.fromkeys(("request_id", "client"), 64),
    **dict.fromkeys(("outcome", "method"), 32),
    "kind": 16,
}


def parsed(line: str) -> dict[str, Any] | None:  # Any: JSON values
    """The record; None for a line that is none of ours."""
    try:
        record = json.loads(line)
        datetime.fromisoformat(record["at"]).utctimetuple()
    except (ValueError, TypeError, KeyError):
        return None
    return record if isinstance(record.get("acts", []), list) else None


def columns(line: str, *, collected_at: datetime) -> dict[str, Any]:  # Any: each column's own type
    """The columns of a line's copy; a call that did several things is found by the first.

    A line that is none of ours is kept too, as ``unreadable``, under the time it was collected.
    """
    record = parsed(line)
    if record is None:
        return {"at": collected_at, **dict.fromkeys(_WIDTHS, ""), "kind": UNREADABLE, "action": UNREADABLE}
    acts = record.get("acts") or [{}]
    told = {
        "node": record.get("node"),
        "kind": record.get("kind"),
        "action": acts[0].get("action") or record.get("action"),
        "subject": acts[0].get("subject") or record.get("subject"),
        "outcome": record.get("outcome"),
        "project": record.get("project_id"),
        "user": record.get("user_id"),
        "method": record.get("method"),
        "request_id": record.get("request_id"),
        "client": record.get("client"),
    }
    texts = {name: "" if value is None else str(value)[: _WIDTHS[name]] for name, value in told.items()}
    return {"at": datetime.fromisoformat(record["at"]), **texts}
