from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from keepsite import audit
from keepsite.console.models import OneTimePassword
from keepsite.identity.operators import console_principal

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
OPEN_TO_ONE_TIME_PASSWORDS = frozenset({"password_change", "password_change_done", "logout", "jsi18n"})


class ConsoleSite(AdminSite):
    """The operators' console, built on Django's admin."""

    site_header = "Keepsite"
    site_title = "Keepsite"
    index_title = "Overview"
    site_url = None

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002  # Django's signature
        """Django's check of who may look, and ours: a one-time password opens one page only."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # Any: its own
            name = request.resolver_match.url_name if request.resolver_match else ""
            if name not in OPEN_TO_ONE_TIME_PASSWORDS and _has_one_time_password(request):
                return HttpResponseRedirect(reverse("admin:password_change"))
            return view(request, *args, **kwargs)

        return super().admin_view(guarded, cacheable)  # type: ignore[return-value]  # as callable as the view was

    def password_change(  # type: ignore[override]  # Django's stub forgets the redirect
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponse:
        """Let an operator choose a password; a one-time password ends with it."""
        first = _has_one_time_password(request)
        response: HttpResponse = super().password_change(
            request, {**(extra_context or {}), "is_first_password": first}
        )
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            OneTimePassword.objects.filter(user=request.user.pk).delete()
            audit.record(
                "operator.password_changed",
                actor=console_principal(request.user.get_username()),
                subject=request.user,
            )
        return response


def _has_one_time_password(request: HttpRequest) -> bool:
    return OneTimePassword.objects.filter(user=request.user.pk).exists()
