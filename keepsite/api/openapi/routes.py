"""The routes of the API, read from Django's own table of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from keepsite.api.openapi.operations import ATTRIBUTE, Operation
from keepsite.identity.paths import needs_identity

_ARGUMENT = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path, and what its view says that it does."""

    path: str  # /v1/secrets/{secret_id}
    method: str  # in capitals
    operation: Operation
    viewset: Any  # Any: a viewset class; None for function views
    action: str = ""

    @property
    def arguments(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def asks_who_calls(self) -> bool:
        """Whether a credential is needed."""
        return needs_identity(self.path)

    @property
    def has_rule(self) -> bool:
        """Whether a policy rule decides, as it does but for what everybody may know."""
        return self.action in getattr(self.viewset, "rules", {})


def routes() -> Iterator[Route]:
    """Every route whose view is described, in the order of the table of routes."""
    for path, view in _leaves(get_resolver().url_patterns):
        if hasattr(view, "actions"):
            for method, action in view.actions.items():
                if method == "head":  # the framework's own addition, at its first request; answered with 405
                    continue
                described = getattr(getattr(view.cls, action), ATTRIBUTE)["GET"]
                operation = described if isinstance(described, Operation) else described(view.cls)
                yield Route(
                    path=path, method=method.upper(), operation=operation, viewset=view.cls, action=action
                )
        else:
            for method, operation in getattr(view, ATTRIBUTE, {}).items():
                yield Route(path=path, method=method, operation=operation, viewset=None)


def _leaves(
    patterns: Iterable[URLPattern | URLResolver], prefix: str = "/"
) -> Iterator[tuple[str, Any]]:  # Any: a function, to which the framework adds attributes
    for pattern in patterns:
        path = prefix + _ARGUMENT.sub(r"{\g<name>}", str(pattern.pattern)).removeprefix("^").removesuffix(
            "/?$"
        )
        if isinstance(pattern, URLPattern):
            yield path, pattern.callback
        else:
            yield from _leaves(pattern.url_patterns, path)
