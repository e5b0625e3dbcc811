"""What must hold before Keepsite serves: run by every management command and by ``check``."""

from collections.abc import Sequence
from ipaddress import ip_address

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  # Django's name

from keepsite.env import unknown_variables
from keepsite.identity import policy

AUTH_MODES = ("local", "noauth")
ROLE_SETS = ("secure", "legacy", "both")


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
                hint="Set KEEPSITE_AUTH=local, or bind to 127.0.0.1.",
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


def _is_loopback(bind: str) -> bool:
    host = bind.rpartition(":")[0].strip("[]")
    if bind.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
