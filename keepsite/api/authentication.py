from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from keepsite.api.context import context_of
from keepsite.identity.authentication import challenge
from keepsite.identity.principal import Principal


class PrincipalAuthentication(BaseAuthentication):
    """Hands Django REST framework the principal that the API middleware has verified."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """The request's principal as ``request.user``."""
        principal = context_of(request).principal
        return None if principal is None else (principal, None)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002  # the framework's signature
        """What a 401 says about how to authenticate."""
        return challenge()
