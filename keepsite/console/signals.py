"""Logins and log-outs, as Django tells of them, become audit records."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver

from keepsite import audit
from keepsite.identity.operators import console_principal


@receiver(user_logged_in)
def _logged_in(*, user: AbstractBaseUser, **_: Any) -> None:  # Any: what Django sends along
    audit.record("operator.logged_in", actor=console_principal(user.get_username()), subject=user)


@receiver(user_logged_out)
def _logged_out(*, user: AbstractBaseUser | None, **_: Any) -> None:  # Any: what Django sends along
    if user is not None:
        audit.record("operator.logged_out", actor=console_principal(user.get_username()), subject=user)


@receiver(user_login_failed)
def _refused(*, credentials: dict[str, Any], **_: Any) -> None:  # Any: what Django sends along
    record_refusal(str(credentials.get("username")))


def record_refusal(username: str) -> None:
    """Note that a password or a code did not open the console."""
    audit.record("operator.login_refused", actor=console_principal(username[:150]), subject="console")
