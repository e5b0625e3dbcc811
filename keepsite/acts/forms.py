"""The forms that stand between an operator and an act."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest

REASON_MAX_CHARS = 255
UNDER_THE_KEYBOARD = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class ReasonForm(forms.Form):
    """Why it is done: stands in the audit record, for whoever asks later."""

    reason = forms.CharField(
        max_length=REASON_MAX_CHARS,
        help_text="Kept in the audit trail. A ticket number helps whoever asks later.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order: Sequence[str] = ("reason", "typed", "password")

    def __init__(
        self,
        *args: Any,  # Any: Django's own
        request: HttpRequest,
        phrase: str = "",
        wants_password: bool = False,
        **options: Any,  # Any: Django's own
    ) -> None:
        super().__init__(*args, **options)
        self._request = request
        self._phrase = phrase
        if phrase:
            self.fields["typed"] = forms.CharField(
                label=f"Type “{phrase}” to confirm", widget=forms.TextInput(attrs=UNDER_THE_KEYBOARD)
            )
        if wants_password:
            self.fields["password"] = forms.CharField(
                label="Your password",
                strip=False,
                widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
                help_text="Asked again because you logged in a while ago.",
            )
        self.order_fields(self.field_order)

    def clean_typed(self) -> str:
        """Refuse anything but the phrase."""
        typed: str = self.cleaned_data["typed"]
        if typed != self._phrase:
            raise ValidationError(f"This is not the same as “{self._phrase}”.")
        return typed

    def clean_password(self) -> str:
        """Refuse a password that does not open the console for this operator."""
        password: str = self.cleaned_data["password"]
        username = self._request.user.get_username()
        if authenticate(self._request, username=username, password=password) is None:
            raise ValidationError("This is not your password.")
        return ""  # nothing below needs it
