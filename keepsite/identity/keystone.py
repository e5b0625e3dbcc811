"""Identity from Keystone: its own middleware in front of the application.

keystonemiddleware validates the token, caches the answer and knows about service
tokens and access rules.  What it leaves open is decided here: that an absent
Keystone is not an invalid token, and what of a token makes a caller.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog
import webob.exc  # type: ignore[import-untyped]  # it has no types
from django.conf import settings
from django.utils.crypto import salted_hmac
from keystoneauth1 import exceptions as keystoneauth
from keystoneauth1 import loading
from keystoneauth1.access import AccessInfoV3
from keystonemiddleware import auth_token  # type: ignore[import-untyped]  # it has no types
from oslo_config import cfg

from keepsite.errors import KeepsiteError, NotAuthenticated, Unavailable
from keepsite.identity.authentication import VERDICT
from keepsite.identity.headers import drop_identity_headers
from keepsite.identity.paths import needs_identity, normalised
from keepsite.identity.principal import Principal
from keepsite.identity.token_cache import token_cache

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SERVICE_TYPE = "key-manager"  # in Keystone's catalog and in access rules
RETRY_AFTER_S = 5
_GROUP = "keystone_authtoken"  # where keystonemiddleware looks for its options
_CACHE = "keepsite.token_cache"  # in the WSGI environment, where the middleware is told to look


def in_front_of(application: "WSGIApplication") -> "WSGIApplication":
    """``application`` behind Keystone; paths that anybody may ask for cost Keystone nothing."""
    keystone = _AuthToken(application, _options())

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = normalised(environ.get("PATH_INFO", ""))
        if environ["REQUEST_METHOD"] == "OPTIONS" or not needs_identity(path):
            return application(environ, start_response)
        environ["PATH_INFO"] = path  # access rules are judged by what will be served
        structlog.contextvars.clear_contextvars()  # or the library's lines carry the last request's id
        verified: Iterable[bytes] = keystone(environ, start_response)
        return verified

    return answer


class _AuthToken(auth_token.AuthProtocol):  # type: ignore[misc]  # keystonemiddleware is untyped
    """keystonemiddleware, whose verdict goes into the environment instead of into headers and answers.

    It is told not to delay its decision, since delayed it calls every token invalid
    while Keystone is away, and clients throw their session away on a 401.
    """

    def __init__(self, application: "WSGIApplication", options: dict[str, Any]) -> None:  # Any: the library's
        super().__init__(application, options)
        self._our_cache = token_cache(settings.KEYSTONE_MEMCACHED)

    def process_request(self, request: Any) -> None:  # Any: the library's
        """Leave the caller, or why there is none, in the request's environment."""
        request.environ[_CACHE] = self._our_cache
        verdict: Principal | KeepsiteError
        try:
            super().process_request(request)
            verdict = _principal_of(request.token_auth.user)
        except (webob.exc.HTTPUnauthorized, NotAuthenticated) as error:
            verdict = error if isinstance(error, NotAuthenticated) else NotAuthenticated()
        except webob.exc.HTTPServiceUnavailable:  # and it has logged why
            verdict = _keystone_is_away()
        except keystoneauth.ClientException as error:  # a time-out, TLS, no identity endpoint in the catalog
            self.log.critical("Unable to validate token: %s", error)
            verdict = _keystone_is_away()
        drop_identity_headers(request.environ)
        request.environ[VERDICT] = verdict

    def process_response(self, response: Any) -> Any:  # Any: the library's
        """The application's answer as it is: it words its own 401."""
        return response

    def validate_allowed_request(self, request: Any, token: dict[str, Any]) -> None:  # Any: the library's
        """Check an application credential's access rules.

        The library also wants to see our service type in the token's catalog, which is
        not asked for: it is long, and the type is no matter of configuration here.
        """
        super().validate_allowed_request(request, {"catalog": [{"type": SERVICE_TYPE}], **token})


def _principal_of(user: AccessInfoV3) -> Principal:
    """The caller that a valid token stands for.

    Raises:
        NotAuthenticated: the token is for no project, so there is nothing here it could be used on.
    """
    if not user.project_id:
        raise NotAuthenticated("The token is not for a project. Ask Keystone for one that is.")
    return Principal(
        project_id=user.project_id,
        user_id=user.user_id,
        roles=frozenset(user.role_names or ()),  # Keystone has added the implied ones
        system_scope="all" if user.system_scoped else None,
        method="keystone",
        credential_id=user.application_credential_id or user.audit_id,
    )


def _keystone_is_away() -> Unavailable:
    return Unavailable(
        "The identity service is unavailable, so the token could not be checked. Try again.",
        retry_after_s=RETRY_AFTER_S,
    )


def _options() -> dict[str, Any]:  # Any: the library's
    """What keystonemiddleware is told; none come from files or from the process's other oslo.config users."""
    account = cfg.ConfigOpts()
    account.register_opts(loading.get_auth_plugin_conf_options("password"), group=_GROUP)
    for name, value in {
        "auth_url": settings.KEYSTONE_URL,
        "username": settings.KEYSTONE_USERNAME,
        "password": settings.KEYSTONE_PASSWORD,
        "user_domain_name": settings.KEYSTONE_USER_DOMAIN,
        "project_name": settings.KEYSTONE_PROJECT,
        "project_domain_name": settings.KEYSTONE_PROJECT_DOMAIN,
    }.items():
        account.set_override(name, value, group=_GROUP)
    return {
        "oslo_config_config": account,
        "auth_type": "password",
        "www_authenticate_uri": settings.KEYSTONE_URL,
        "interface": settings.KEYSTONE_INTERFACE,
        "cafile": settings.KEYSTONE_CA_FILE or None,
        "delay_auth_decision": False,  # see _AuthToken
        "include_service_catalog": False,
        "service_type": SERVICE_TYPE,
        "service_token_roles": settings.SERVICE_TOKEN_ROLES,
        "service_token_roles_required": True,
        "http_connect_timeout": 3,  # s
        "http_request_max_retries": 1,
        "cache": _CACHE,
        "token_cache_time": settings.KEYSTONE_CACHE_S,
        "memcache_security_strategy": "ENCRYPT",
        "memcache_secret_key": salted_hmac("keepsite.identity", "tokens", algorithm="sha256").hexdigest(),
    }
