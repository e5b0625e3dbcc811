"""What the viewsets of all resources share: the contract's order of checks."""

from collections.abc import Mapping
from typing import ClassVar

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from keepsite.api.context import context_of
from keepsite.api.microversions import Microversion
from keepsite.api.negotiation import require_json
from keepsite.api.openapi import Schema
from keepsite.errors import NotAuthenticated
from keepsite.identity import policy
from keepsite.identity.policy import Target
from keepsite.identity.principal import Principal


class ResourceViewSet(ViewSet):
    """Checks in the contract's order: object (404), method (405), Accept (406), policy (403).

    The body is read only after that, by the action itself.  ``rules`` names the
    policy rule of each action; the service an action calls asks the same rule
    again, so that a command or the console cannot forget it.
    """

    rules: ClassVar[dict[str, str]]
    reads_accept: ClassVar[frozenset[str]] = frozenset()  # actions that judge the Accept header themselves
    path_parameters: ClassVar[Mapping[str, tuple[Schema, str]]] = {}  # each name in the URL, for the document

    def load(self) -> None:
        """Find the objects that the URL names; raise NotFound when there is none."""

    def policy_target(self) -> Target | None:
        """What the policy is asked about, from the database alone; None for collections."""
        return None

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:  # noqa: ARG002  # the framework's
        """Run the checks that come before the action."""
        self.perform_authentication(request)
        self.load()
        if self.action is None or request.method == "HEAD":
            raise MethodNotAllowed(request.method or "")
        if self.action not in self.reads_accept:
            require_json(request)
        rule = self.rule()
        if rule is not None:
            policy.require(rule, self.principal, self.policy_target())

    def rule(self) -> str | None:
        """The policy rule of the action at hand."""
        return self.rules[self.action]

    @property
    def principal(self) -> Principal:
        """The verified caller."""
        principal = context_of(self.request).principal
        if principal is None:  # cannot be: the middleware asks everybody under /v1
            raise NotAuthenticated
        return principal

    @property
    def microversion(self) -> Microversion:
        """The version of the contract this request speaks."""
        return context_of(self.request).microversion

    @property
    def allowed_methods(self) -> list[str]:
        """For the Allow header: what the route does, in alphabetical order."""
        return sorted(method.upper() for method in self.action_map if method != "head")

    @property
    def default_response_headers(self) -> dict[str, str]:
        """None: the framework would send Allow with every answer, the contract only with 405."""
        return {}
