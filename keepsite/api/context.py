from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.request import Request

from keepsite.api.microversions import MINIMUM, Microversion
from keepsite.identity.principal import Principal

ATTRIBUTE = "keepsite"  # of Django's request; the framework's passes it on


@dataclass(slots=True, kw_only=True)
class ApiContext:
    """What the API middleware found out about a request before its view runs."""

    base_href: str  # of every ref in the answer, without a slash at its end
    principal: Principal | None = None  # None only where no identity is asked for
    microversion: Microversion = MINIMUM


def attach(request: HttpRequest, context: ApiContext) -> None:
    """Let views find ``context``."""
    setattr(request, ATTRIBUTE, context)


def context_of(request: HttpRequest | Request) -> ApiContext:
    """The context that the middleware attached."""
    context: ApiContext = getattr(request, ATTRIBUTE)
    return context
