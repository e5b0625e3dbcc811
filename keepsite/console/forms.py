from typing import Any

from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from keepsite.acts.proof import attempt_of
from keepsite.console.models import OneTimePassword
from keepsite.errors import KeepsiteError


class OwnPasswordForm(AdminPasswordChangeForm):
    """A new password, which must not be the one it replaces; wrong guesses at that one are counted."""

    def __init__(
        self,
        user: User,
        *args: Any,  # Any: Django's own
        request: HttpRequest,
        **kwargs: Any,  # Any: Django's own
    ) -> None:
        super().__init__(user, *args, **kwargs)
        self._request = request
        given = OneTimePassword.objects.filter(user=user).exists()
        self.fields["old_password"].label = _("One-time password") if given else _("Present password")
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""

    def clean_old_password(self) -> str:
        """Refuse a password that is not theirs, and after some of these even to look."""
        try:
            attempt = attempt_of(self._request, self.user.get_username())
        except KeepsiteError as error:
            raise ValidationError(error.public) from error
        try:
            old: str = super().clean_old_password()
        except ValidationError:
            attempt.failed()
            raise
        attempt.give_back()
        return old

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        """Refuse to keep a password that a terminal has shown."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data  # Any: Django's own
        old, new = cleaned.get("old_password"), cleaned.get("new_password1")
        if old and old == new:
            self.add_error(
                "new_password1", ValidationError(_("Choose a password that differs from the present one."))
            )
        return cleaned
