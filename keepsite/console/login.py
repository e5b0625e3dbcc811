"""Logging in: name and password first, then a code, where there is a second factor."""

import time
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.acts.proof import CODE_ATTRIBUTES, attempt_of
from keepsite.console.sessions import SECOND_FACTOR
from keepsite.console.signals import record_refusal
from keepsite.errors import KeepsiteError
from keepsite.operators import second_factor
from keepsite.operators.browsers import remember_browser
from keepsite.operators.lockout import Attempt
from keepsite.operators.models import Authenticator
from keepsite.translation import gettext_lazy

HALF = "half_logged_in"  # in the session, between password and code
PATIENCE_S = 5 * 60  # for the code


class LoginForm(AdminAuthenticationForm):
    """Name and password.  One message for every refusal: it does not tell which names exist."""

    error_messages = {  # noqa: RUF012  # Django's forms declare it so
        "invalid_login": gettext_lazy(
            "This name and password do not open the console. Both tell capital from small letters. "
            "A lost password: on the server, manage.py operator reset prints a new one."
        ),
        "inactive": gettext_lazy("This name and password do not open the console."),
    }
    attempt: Attempt

    def clean(self) -> dict[str, Any]:  # Any: Django's own
        """Django's check, unless too many were wrong; it counts as wrong until the view says otherwise."""
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if not (username and password and self.request):
            return self.cleaned_data
        try:
            self.attempt = attempt_of(self.request, username)
        except KeepsiteError as error:
            raise ValidationError(error.public) from error
        try:
            return super().clean()
        except ValidationError:
            self.attempt.failed()
            raise


class PasswordStep(LoginView):
    """The first page; it opens the console for who has no second factor."""

    authentication_form = LoginForm
    template_name = "admin/login.html"

    def form_valid(self, form: Any) -> HttpResponse:  # Any: Django's generic view; it is a LoginForm
        """Log in, or go on to the code."""
        user = form.get_user()
        if not Authenticator.objects.filter(user=user).exists():
            return _let_in(self.request, user, form.attempt, to=self.get_success_url())
        form.attempt.give_back()
        self.request.session.cycle_key()
        self.request.session[HALF] = {
            "user": user.pk,
            "hash": user.get_session_auth_hash(),
            "at": int(time.time()),
            "to": self.get_success_url(),
        }
        return HttpResponseRedirect(reverse("admin:login_code"))


class CodeForm(forms.Form):
    """The code that the app shows."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        help_text=gettext_lazy(
            "Six digits from your authenticator app. Without the app: one of your recovery codes."
        ),
        widget=forms.TextInput(attrs={**CODE_ATTRIBUTES, "autofocus": True}),
    )


def code_step(
    request: HttpRequest,
    context: Callable[[HttpRequest], dict[str, Any]],  # Any: template values
) -> HttpResponse:
    """The second page; who has not passed the first in the past PATIENCE_S is sent back there."""
    user = _half_logged_in(request)
    if user is None:
        request.session.pop(HALF, None)
        return HttpResponseRedirect(reverse("admin:login"))
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        attempt = _attempt_with(request, user, form)
        if attempt is not None:
            to = request.session.pop(HALF)["to"]
            return _let_in(request, user, attempt, to=to)
    return TemplateResponse(
        request,
        "console/login_code.html",
        {**context(request), "title": _("Code"), "form": form, "username": user.get_username()},
    )


def _attempt_with(request: HttpRequest, user: User, form: CodeForm) -> Attempt | None:
    """The attempt, if its code is right."""
    try:
        attempt = attempt_of(request, user.get_username())
        if second_factor.accepts(user, form.cleaned_data["code"]):
            return attempt
    except KeepsiteError as error:
        form.add_error(None, error.public)
        return None
    attempt.failed()
    record_refusal(user.get_username())
    form.add_error("code", _("This code is wrong, or has been used already. Wait for the next one."))
    return None


def _half_logged_in(request: HttpRequest) -> User | None:
    half = request.session.get(HALF)
    if half is None or not 0 <= time.time() - half["at"] < PATIENCE_S:
        return None
    user = User.objects.filter(pk=half["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(half["hash"], user.get_session_auth_hash()):
        return None
    return user


def _let_in(request: HttpRequest, user: User, attempt: Attempt, *, to: str) -> HttpResponse:
    """Log in, after every proof that is asked for."""
    attempt.succeeded()
    login(request, user)
    authenticator = Authenticator.objects.filter(user=user).first()
    if authenticator is not None:
        request.session[SECOND_FACTOR] = authenticator.pk
        _warn_of_few_codes(request, authenticator)
    response = HttpResponseRedirect(to)
    remember_browser(request, response, username=user.get_username(), path=reverse("admin:index"))
    return response


def _warn_of_few_codes(request: HttpRequest, authenticator: Authenticator) -> None:
    left = second_factor.recovery_codes_left(authenticator)
    if left < second_factor.FEW_RECOVERY_CODES:
        words = (
            ngettext(
                "One of your recovery codes is left. Make new ones under Second factor.",
                "Only %(count)s of your recovery codes are left. Make new ones under Second factor.",
                left,
            )
            if left
            else _("None of your recovery codes is left. Make new ones under Second factor.")
        )
        messages.warning(request, words % {"count": left})
