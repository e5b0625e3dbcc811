"""What must hold before Keepsite serves: run by every management command and by ``check``."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  # Django's name

from keepsite import audit
from keepsite.api.limits import problems_of_settings
from keepsite.env import unknown_variables
from keepsite.identity import policy

_HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:,]+):[0-9]{1,5}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
AUTH_MODES = ("local", "keystone", "noauth")
ROLE_SETS = ("secure", "legacy", "both")
INTERFACES = ("internal", "public", "admin")
NODE_ROLES = ("api", "worker")
AUDIT_COPIES = ("all", "acts", "operators")
KEYSTONE_CACHE_MAX_S = 86_400  # a day; a revoked token is accepted that long
MAX_RECOVERY_DAYS = 36_500


@register()
def no_unknown_variables(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """A KEEPSITE_ variable that nothing reads is a slip of the pen, and its setting is not in force."""
    return [
        Error(
            f"Nothing reads the environment variable {name}.",
            hint="Correct its name or remove it; docs/operators/settings.md lists them all.",
            id="keepsite.E001",
        )
        for name in unknown_variables()
    ]


@register()
def known_choices(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Settings with a closed list of values have one of them."""
    wanted = (
        ("KEEPSITE_AUTH", settings.AUTH, AUTH_MODES),
        ("KEEPSITE_ROLE_SET", settings.ROLE_SET, ROLE_SETS),
        ("KEEPSITE_KEYSTONE_INTERFACE", settings.KEYSTONE_INTERFACE, INTERFACES),
        ("KEEPSITE_NODE_ROLE", settings.NODE_ROLE, NODE_ROLES),
        ("KEEPSITE_AUDIT_COPIES", settings.AUDIT_COPIES, AUDIT_COPIES),
        ("KEEPSITE_AUDIT_IF_UNWRITABLE", settings.AUDIT_IF_UNWRITABLE, (audit.REFUSE, audit.ANSWER)),
    )
    return [
        Error(f"{name} is {value!r}.", hint=f"Set it to one of {', '.join(accepted)}.", id="keepsite.E002")
        for name, value, accepted in wanted
        if value not in accepted
    ]


@register(Tags.security)
def no_unsafe_combinations(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Settings that are fine on one's own machine and nowhere else."""
    if _is_loopback(settings.BIND):
        return []
    problems: list[CheckMessage] = []
    if settings.AUTH == "noauth" and not settings.DEBUG:
        problems.append(
            Error(
                f"KEEPSITE_AUTH=noauth lets anybody who reaches {settings.BIND} be anybody.",
                hint="Set KEEPSITE_AUTH to local or keystone, or bind to 127.0.0.1.",
                id="keepsite.E003",
            )
        )
    if not settings.TLS:
        problems.append(
            Warning(
                f"KEEPSITE_TLS is off and Keepsite listens on {settings.BIND}: cookies travel unencrypted.",
                hint="Put TLS in front and set KEEPSITE_TLS=on, or bind to 127.0.0.1.",
                id="keepsite.W004",
            )
        )
    return problems


@register(Tags.security)
def policy_file_is_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """The policy file says something about rules that exist."""
    if settings.ROLE_SET not in ROLE_SETS:
        return []
    return [
        Error(problem, hint="Correct the file that KEEPSITE_POLICY_FILE names.", id="keepsite.E005")
        for problem in policy.check_policy_file()
    ]


@register()
def prefixes_are_paths(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """What stands in front of ``/v1`` is a plain path; another would make refs that lead nowhere."""
    return [
        Error(
            f"KEEPSITE_PUBLIC_PREFIXES has {prefix!r}, which is no plain path.",
            hint="Write it with a slash at its start and none at its end, as in /key-manager.",
            id="keepsite.E007",
        )
        for prefix in settings.PUBLIC_PREFIXES
        if not _PREFIX.fullmatch(prefix)
    ]


@register(Tags.security)
def origins_are_origins(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """What browsers call an origin has neither path nor slash; an entry that has one would match none."""
    return [
        Error(
            f"KEEPSITE_CORS_ORIGINS has {origin!r}, which no browser sends.",
            hint="Write scheme, host and port as in https://dashboard.example:8443, or * for any.",
            id="keepsite.E006",
        )
        for origin in settings.CORS_ORIGINS
        if origin != "*" and not _ORIGIN.fullmatch(origin)
    ]


@register()
def rate_limits_are_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """The limits file says something that can be enforced, and by all processes together."""
    problems: list[CheckMessage] = [
        Error(
            problem,
            hint="Correct KEEPSITE_LIMITS_FILE or KEEPSITE_LIMITS_MEMCACHED; see docs/operators/limits.md.",
            id="keepsite.E010",
        )
        for problem in problems_of_settings()
    ]
    if settings.LIMITS_FILE and not settings.LIMITS_MEMCACHED:
        problems.append(
            Warning(
                "Rate limits are counted by each process alone: no memcached is named.",
                hint="Set KEEPSITE_LIMITS_MEMCACHED, so that limits hold exactly and across nodes.",
                id="keepsite.W011",
            )
        )
    return problems


@register()
def recovery_window_is_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """What is deleted can be kept for a number of days."""
    if 0 <= settings.RECOVERY_DAYS <= MAX_RECOVERY_DAYS:
        return []
    return [
        Error(
            f"KEEPSITE_RECOVERY_DAYS is {settings.RECOVERY_DAYS}.",
            hint=f"Set it to a number of days from 0 to {MAX_RECOVERY_DAYS}.",
            id="keepsite.E012",
        )
    ]


@register(Tags.security)
def keystone_can_be_asked(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """In keystone mode everything is there that asking Keystone takes; it is not asked now."""
    if settings.AUTH != "keystone":
        return []
    missing = [
        Error(
            f"KEEPSITE_AUTH=keystone needs {name}, which is not set.",
            hint=f"Set it to {meaning}; docs/operators/keystone.md shows how to make the account.",
            id="keepsite.E010",
        )
        for name, value, meaning in (
            ("KEEPSITE_KEYSTONE_URL", settings.KEYSTONE_URL, "Keystone's URL"),
            ("KEEPSITE_KEYSTONE_USERNAME", settings.KEYSTONE_USERNAME, "the name of Keepsite's own user"),
            ("KEEPSITE_KEYSTONE_PASSWORD", settings.KEYSTONE_PASSWORD, "the password of Keepsite's own user"),
            ("KEEPSITE_KEYSTONE_PROJECT", settings.KEYSTONE_PROJECT, "the project of Keepsite's own user"),
        )
        if not value
    ]
    return [*missing, *_unusable_keystone_settings()]


def _unusable_keystone_settings() -> Iterator[CheckMessage]:
    if settings.KEYSTONE_URL and not settings.KEYSTONE_URL.startswith(("https://", "http://")):
        yield Error(
            f"KEEPSITE_KEYSTONE_URL is {settings.KEYSTONE_URL!r}.",
            hint="Set it to a URL such as https://keystone.example:5000.",
            id="keepsite.E011",
        )
    if settings.KEYSTONE_CA_FILE and not Path(settings.KEYSTONE_CA_FILE).is_file():
        yield Error(
            f"KEEPSITE_KEYSTONE_CA_FILE is {settings.KEYSTONE_CA_FILE!r}, and there is no such file.",
            hint="Set it to a file of CA certificates in PEM form, or leave it out to use the system's.",
            id="keepsite.E012",
        )
    if not 0 <= settings.KEYSTONE_CACHE_S <= KEYSTONE_CACHE_MAX_S:
        yield Error(
            f"KEEPSITE_KEYSTONE_CACHE_S is {settings.KEYSTONE_CACHE_S}.",
            hint=f"Set it to 0 (ask Keystone every time) to {KEYSTONE_CACHE_MAX_S} seconds.",
            id="keepsite.E013",
        )
    for server in settings.KEYSTONE_MEMCACHED:
        if not _HOST_AND_PORT.fullmatch(server):
            yield Error(
                f"KEEPSITE_KEYSTONE_MEMCACHED names {server!r}.",
                hint="List the servers as host:port, separated by commas.",
                id="keepsite.E014",
            )


def _is_loopback(bind: str) -> bool:
    host = bind.rpartition(":")[0].strip("[]")
    if bind.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
