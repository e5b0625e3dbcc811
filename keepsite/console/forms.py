from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from keepsite.console.models import OneTimePassword


class LoginForm(AdminAuthenticationForm):
    """Name and password.  One message for every refusal: it does not tell which names exist."""

    error_messages = {  # noqa: RUF012  # Django's forms declare it so
        "invalid_login": (
            "This name and password do not open the console. Both tell capital from small letters. "
            "A lost password: on the server, manage.py operator reset prints a new one."
        ),
        "inactive": "This name and password do not open the console.",
    }


class OwnPasswordForm(AdminPasswordChangeForm):
    """A new password, which must not be the one it replaces."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:  # Any: Django's own
        super().__init__(user, *args, **kwargs)
        given = OneTimePassword.objects.filter(user=user).exists()
        self.fields["old_password"].label = "One-time password" if given else "Present password"
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        """Refuse to keep a password that a terminal has shown."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data  # Any: Django's own
        old, new = cleaned.get("old_password"), cleaned.get("new_password1")
        if old and old == new:
            self.add_error(
                "new_password1", ValidationError("Choose a password that differs from the present one.")
            )
        return cleaned
