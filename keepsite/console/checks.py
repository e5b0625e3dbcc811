"""Settings of the console that must hold before it serves."""

from collections.abc import Sequence
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.contrib import admin
from django.core.checks import CheckMessage, Error, register
from django.utils.translation import to_locale

from keepsite.acts import Act
from keepsite.console.roles import ROLES
from keepsite.operators.second_factor import EVERYBODY


@register()
def two_person_acts_exist(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """A rule about an act that does not exist, or cannot wait, would not be in force."""
    known = _acts_by_name()
    waitable = sorted(name for name, act in known.items() if act.can_wait)
    return [
        Error(
            f"KEEPSITE_TWO_PERSON_ACTS names {name!r}, "
            + ("which cannot wait for anybody." if name in known else "and there is no such act."),
            hint=f"Name any of {', '.join(waitable)}.",
            id="keepsite.E020",
        )
        for name in settings.TWO_PERSON_ACTS
        if name not in waitable
    ]


@register()
def second_factor_roles_exist(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """A demand on a role that does not exist would be no demand."""
    return [
        Error(
            f"KEEPSITE_CONSOLE_SECOND_FACTOR names {role!r}.",
            hint=f"Name {EVERYBODY}, or any of {', '.join(ROLES)}.",
            id="keepsite.E021",
        )
        for role in settings.CONSOLE_SECOND_FACTOR
        if role != EVERYBODY and role not in ROLES
    ]


@register()
def console_limits_are_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Numbers that would lock everybody out, or nobody ever."""
    numbers = {
        "KEEPSITE_CONSOLE_IDLE_MIN": settings.CONSOLE_IDLE_S,
        "KEEPSITE_CONSOLE_SESSION_H": settings.CONSOLE_SESSION_S,
        "KEEPSITE_CONSOLE_LOCKOUT_AFTER": settings.CONSOLE_LOCKOUT_AFTER,
        "KEEPSITE_CONSOLE_LOCKOUT_S": settings.CONSOLE_LOCKOUT_S,
        "KEEPSITE_CONSOLE_LOCKOUT_MAX_S": settings.CONSOLE_LOCKOUT_MAX_S,
        "KEEPSITE_APPROVAL_H": settings.APPROVAL_H,
    }
    return [
        Error(f"{name} is not above 0.", hint="Leave it out for its default.", id="keepsite.E022")
        for name, value in numbers.items()
        if value <= 0
    ]


@register()
def languages_have_translations(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """A language without a catalogue would be English, but for the words of Django."""
    return [
        Error(
            f"KEEPSITE_LANGUAGES names {code!r}, and KEEPSITE_LOCALE_DIR has no translation into it.",
            hint=f"Make {to_locale(code)}/LC_MESSAGES/django.mo there: docs/operators/languages.md says how.",
            id="keepsite.E023",
        )
        for code, _name in settings.LANGUAGES
        if code != settings.LANGUAGE_CODE
        and not any(
            (Path(folder) / to_locale(code) / "LC_MESSAGES" / "django.mo").is_file()
            for folder in settings.LOCALE_PATHS
        )
    ]


def _acts_by_name() -> dict[str, Act]:
    """Every act of the console by the name that KEEPSITE_TWO_PERSON_ACTS knows it by."""
    return {
        f"{model._meta.model_name}.{act.name}": act  # noqa: SLF001  # Django's documented way
        for model, model_admin in admin.site._registry.items()  # noqa: SLF001  # it has no public name
        for act in getattr(model_admin, "acts", ())
    }
