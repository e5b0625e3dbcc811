"""Settings of notices that must hold, or nothing would arrive."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

MIN_SECRET_CHARS = 32
MAX_PERCENT = 100


@register()
def webhook_is_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Reached by https, unless somebody says otherwise, it can tell what it is sent from forgery."""
    url, problems = settings.NOTICE_WEBHOOK_URL, []
    if not url:
        return []
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        problems.append(("KEEPSITE_NOTICE_WEBHOOK_URL is no http or https URL.", "https://host/path"))
    elif parts.scheme == "http" and not settings.NOTICE_WEBHOOK_PLAIN:
        problems.append(
            (
                "KEEPSITE_NOTICE_WEBHOOK_URL is not https.",
                "Use https, or set KEEPSITE_NOTICE_WEBHOOK_PLAIN=on if nobody else is on that network.",
            )
        )
    if len(settings.NOTICE_WEBHOOK_SECRET) < MIN_SECRET_CHARS:
        problems.append(
            (
                f"KEEPSITE_NOTICE_WEBHOOK_SECRET has fewer than {MIN_SECRET_CHARS} characters.",
                "Make one with `openssl rand -hex 32`, and give it to the receiver too.",
            )
        )
    return [Error(words, hint=hint, id="keepsite.E030") for words, hint in problems]


@register()
def notice_limits_are_usable(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Numbers that would raise a notice about everything, or about nothing ever."""
    wrong = []
    if settings.NOTICE_EXPIRY_DAYS <= 0:
        wrong.append("KEEPSITE_NOTICE_EXPIRY_DAYS is not above 0.")
    if not 0 < settings.NOTICE_QUOTA_PERCENT <= MAX_PERCENT:
        wrong.append("KEEPSITE_NOTICE_QUOTA_PERCENT is not from 1 to 100.")
    if settings.NOTICE_REPEAT_H < 0:
        wrong.append("KEEPSITE_NOTICE_REPEAT_H is below 0.")
    return [Error(words, hint="Leave it out for its default.", id="keepsite.E031") for words in wrong]
