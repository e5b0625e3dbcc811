from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api import limits
from keepsite.api.viewsets import ResourceViewSet
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project


class LimitViewSet(ResourceViewSet):
    """``/v1/limits``: what the caller may ask for, and how much of it is left."""

    def rule(self) -> str | None:
        """None: everybody may know their own limits."""
        return None

    def list(self, request: Request) -> Response:
        """Rate limits with what remains, and the project's quotas."""
        left = limits.remaining(self.principal, path=request.query_params.get("path", ""))
        absolute = quotas.effective_limits(ensure_project(self.principal.project_id))
        return Response({"limits": {"rate": _by_path(left), "absolute": absolute}})


def _by_path(left: Iterable[limits.Remaining]) -> list[dict[str, Any]]:  # Any: JSON values
    """Limits of one path together, one entry per method, as clients of Repose know them."""
    return [
        {"uri": uri, "regex": regex, "limit": [shown for item in items for shown in _shown(item)]}
        for (uri, regex), items in groupby(left, key=lambda item: (item.rule.uri, item.rule.pattern.pattern))
    ]


def _shown(item: limits.Remaining) -> list[dict[str, Any]]:  # Any: JSON values
    return [
        {
            "verb": method,
            "value": item.rule.value,
            "remaining": item.remaining,
            "unit": item.rule.unit.name,
            "next-available": _moment(item.next_available),
        }
        for method in sorted(item.rule.methods) or ["ALL"]
    ]


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
