"""Forms that ask operators to show again who they are, and count what is wrong."""

from typing import Any, cast

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _

from keepsite.errors import KeepsiteError
from keepsite.operators import lockout, second_factor
from keepsite.operators.addresses import client_address
from keepsite.operators.browsers import known_browser
from keepsite.operators.models import Authenticator

CODE_ATTRIBUTES = {"autocomplete": "one-time-code", "autocapitalize": "off", "spellcheck": "false"}


def attempt_of(request: HttpRequest, username: str) -> lockout.Attempt:
    """Count an attempt of whoever sent ``request`` to prove to be ``username``.

    Raises:
        LockedOut: the proof must not be looked at.
    """
    return lockout.begin(
        username=username,
        is_known=User.objects.filter(username=username).exists(),
        address=client_address(request),
        browser=known_browser(request, username=username),
    )


class ProofForm(forms.Form):
    """Takes the operator's password, and a code if they have a second factor, where ``wants_proof``.

    The proof is looked at last, when the rest of the form is right, so that a slip
    elsewhere uses up no code.
    """

    def __init__(
        self,
        *args: Any,  # Any: Django's own
        request: HttpRequest,
        wants_proof: bool = False,
        **options: Any,  # Any: Django's own
    ) -> None:
        super().__init__(*args, **options)
        self._request = request
        self.wants_proof = wants_proof
        if not wants_proof:
            return
        self.fields["password"] = forms.CharField(
            label=_("Your password"),
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        )
        if Authenticator.objects.filter(user__username=request.user.get_username()).exists():
            self.fields["code"] = forms.CharField(
                label=_("Code"),
                help_text=_("From your app, or a recovery code."),
                widget=forms.TextInput(CODE_ATTRIBUTES),
            )

    def full_clean(self) -> None:
        """Django's, then the proof: here, so that no form's own ``clean`` can leave it out."""
        super().full_clean()
        if self.is_bound and self.wants_proof and not self.errors:
            self._check_proof()

    def _check_proof(self) -> None:
        user = cast("User", self._request.user)  # admin_view lets nobody else here
        username = user.get_username()
        password, code = self.cleaned_data.pop("password"), self.cleaned_data.pop("code", "")
        try:
            attempt = attempt_of(self._request, username)
            if authenticate(self._request, username=username, password=password) is None:
                attempt.failed()
                self.add_error("password", _("This is not your password."))
            elif "code" in self.fields and not second_factor.accepts(user, code):
                attempt.failed()
                self.add_error("code", _("This code is wrong, or has been used already."))
            else:
                attempt.succeeded()
        except KeepsiteError as error:
            self.add_error(None, error.public)
