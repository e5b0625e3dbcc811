from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from itertools import groupby
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from keepsite.api import limits
from keepsite.api.limits.rules import Unit
from keepsite.api.openapi import Answer, Component, Operation, Parameter, array, described, one_of, record
from keepsite.api.viewsets import ResourceViewSet
from keepsite.projects import quotas
from keepsite.projects.services import ensure_project

RATE_LIMIT = Component(
    "RateLimit",
    record(
        {
            "verb": {"type": "string", "description": "a method, or ALL"},
            "value": {"type": "integer", "description": "requests in one unit"},
            "remaining": {"type": "integer", "minimum": 0},
            "unit": one_of(*Unit.__members__),
            "next-available": {
                "type": "string",
                "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
                "description": "when counting starts anew",
            },
        }
    ),
)
RATES = array(record({"uri": {"type": "string"}, "regex": {"type": "string"}, "limit": array(RATE_LIMIT)}))
ABSOLUTE = record({resource: {"type": "integer"} for resource in quotas.RESOURCES})
LIMITS = Component("Limits", record({"limits": record({"rate": RATES, "absolute": ABSOLUTE})}))


class LimitViewSet(ResourceViewSet):
    """``/v1/limits``: what the caller may ask for, and how much of it is left."""

    def rule(self) -> str | None:
        """None: everybody may know their own limits."""
        return None

    @described(
        Operation(
            summary="Show what the caller may ask for, and how much of it is left",
            parameters=(
                Parameter(
                    name="path",
                    schema={"type": "string"},
                    description="show limits that count each path apart for this one",
                ),
            ),
            answer=Answer(
                status=HTTPStatus.OK,
                description="rate limits with what remains, and the project's quotas",
                content={"application/json": LIMITS},
            ),
        )
    )
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
