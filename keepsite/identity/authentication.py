from collections.abc import Mapping

from django.conf import settings

from keepsite.errors import NotAuthenticated
from keepsite.identity import api_keys, noauth
from keepsite.identity.principal import Principal

CHALLENGE = 'X-Auth-Token realm="keepsite"'  # what a 401 says about how to authenticate


def authenticate(headers: Mapping[str, str]) -> Principal:
    """Who sent a request with these headers, by the mode that ``KEEPSITE_AUTH`` names.

    Raises:
        NotAuthenticated: no valid credential.
        InvalidInput: in noauth mode, no project.
    """
    if settings.AUTH == "noauth":
        return noauth.principal_of(headers)
    auth_token = headers.get("X-Auth-Token", "")
    if not auth_token:
        raise NotAuthenticated
    return api_keys.principal_of(auth_token)
