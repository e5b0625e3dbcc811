from django.conf import settings
from django.http import HttpRequest

from keepsite.errors import KeepsiteError, NotAuthenticated
from keepsite.identity import api_keys, noauth
from keepsite.identity.principal import Principal
from keepsite.projects import suspension

# In the WSGI environment, where no client can write: the Principal, or the error to answer with.
VERDICT = "keepsite.identity"


def authenticate(request: HttpRequest) -> Principal:
    """Who sent ``request``, by the mode that ``KEEPSITE_AUTH`` names.

    Raises:
        NotAuthenticated: no valid credential.
        InvalidInput: in noauth mode, no project.
        Unavailable: in keystone mode, Keystone did not say whether the token is valid.
    """
    if settings.AUTH == "keystone":
        return _verified(request)
    if settings.AUTH == "noauth":
        return noauth.principal_of(request.headers)
    auth_token = request.headers.get("X-Auth-Token", "")
    if not auth_token:
        raise NotAuthenticated
    return api_keys.principal_of(auth_token)


def refuse_suspended(principal: Principal) -> None:
    """Return if the caller's project is served.

    Raises:
        ProjectSuspended: an operator has suspended it.
    """
    known = principal.is_suspended
    if suspension.is_suspended(principal.project_id) if known is None else known:
        raise suspension.ProjectSuspended


def challenge() -> str:
    """What a 401 says about how to authenticate, in its ``WWW-Authenticate`` header."""
    if settings.AUTH == "keystone":
        return f'Keystone uri="{settings.KEYSTONE_URL}"'
    return 'X-Auth-Token realm="keepsite"'


def _verified(request: HttpRequest) -> Principal:
    """What the gate in front of the application found out; without a gate nobody is known."""
    verdict = request.META.get(VERDICT)
    if isinstance(verdict, KeepsiteError):
        raise verdict
    if not isinstance(verdict, Principal):
        raise NotAuthenticated
    return verdict
