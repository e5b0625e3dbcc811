from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import logout
from django.contrib.auth.views import PasswordChangeView
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from keepsite import audit
from keepsite.console.forms import OwnPasswordForm
from keepsite.console.login import LoginForm, PasswordStep, code_step
from keepsite.console.models import OneTimePassword
from keepsite.console.navigation import GROUPS, navigation
from keepsite.console.pages.dashboard import REFRESH_S, Dashboard, dashboard
from keepsite.console.pages.search import object_of_ref, search
from keepsite.console.pages.second_factor import (
    EnrolmentPage,
    OwnFactorPage,
    RecoveryCodesPage,
    second_factor_page,
)
from keepsite.console.pages.time_zone import time_zone_page
from keepsite.console.sessions import SECOND_FACTOR, why_ended
from keepsite.console.standing import Standing, standing_of
from keepsite.console.zones import COOKIE, use_chosen
from keepsite.identity.operators import console_principal
from keepsite.readonly import ReadOnlyAdmin, detail_url
from keepsite.translation import gettext_lazy

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
OPEN_TO_ONE_TIME_PASSWORDS = frozenset({"password_change", "password_change_done", "logout", "jsi18n"})
OPEN_WITHOUT_SECOND_FACTOR = OPEN_TO_ONE_TIME_PASSWORDS | {"second_factor"}
SECOND_FACTOR_TEMPLATES = {
    EnrolmentPage: "console/second_factor/enrol.html",
    OwnFactorPage: "console/second_factor/own.html",
    RecoveryCodesPage: "console/second_factor/codes.html",
}
SECOND_FACTOR_TITLES = {
    EnrolmentPage: gettext_lazy("Set up a second factor"),
    OwnFactorPage: gettext_lazy("Your second factor"),
    RecoveryCodesPage: gettext_lazy("Your recovery codes"),
}


class OwnPasswordView(PasswordChangeView):
    """Django's, with a form that counts wrong guesses and so must know where they come from."""

    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:  # Any: Django's own
        """Django's, and the request."""
        return {**super().get_form_kwargs(), "request": self.request}


class ConsoleSite(AdminSite):
    """The operators' console, built on Django's admin."""

    site_header = "Keepsite"
    site_title = "Keepsite"
    index_title = gettext_lazy("Overview")
    site_url = None
    enable_nav_sidebar = False  # ours stands in base_site.html and needs no script
    login_form = LoginForm

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: "type[ModelAdmin[Any]] | None" = None,  # Any: pages of every model
        **options: Any,  # Any: Django's signature
    ) -> None:
        """Take read-only pages alone; editable ones that other packages bring along stay out."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:  # Any: template values
        """What every page is given: Django's values, and where to go from here."""
        standing = standing_of(request)
        is_open = standing is not None and not standing.must_enrol
        may_decide = request.user.has_perm("approvals.view_actrequest")
        return {
            **super().each_context(request),
            "navigation": navigation(self, request) if is_open else (),
            "waiting_acts": standing.waiting_acts if standing and is_open and may_decide else 0,
            "settled_acts": standing.settled_acts if standing and is_open and may_decide else 0,
            "zone_cookie": COOKIE,
        }

    def index(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> TemplateResponse:
        """The overview."""
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "page": self._dashboard(request),
            "live_url": reverse("admin:live"),
            "refresh_s": REFRESH_S,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/index.html", context)

    def live(self, request: HttpRequest) -> JsonResponse:
        """The parts of the overview, as they are now."""
        page = self._dashboard(request)
        parts = {
            part.name: render_to_string("console/dashboard/parts/_part.html", {"part": part}, request)
            for part in page.parts
        }
        parts["as-of"] = render_to_string("console/dashboard/parts/_as_of.html", {"page": page}, request)
        parts["health"] = render_to_string("console/dashboard/parts/_health.html", {"page": page}, request)
        parts["steps"] = render_to_string("console/dashboard/parts/_steps.html", {"page": page}, request)
        return JsonResponse({"is_over": False, "parts": parts})

    def _dashboard(self, request: HttpRequest) -> Dashboard:
        return dashboard(
            self,
            now=timezone.now(),
            may_see=lambda model: self.get_model_admin(model).has_view_permission(request),
        )

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Django's, what the overview asks for, the search over everything, and the second factor."""
        return [
            path("live/", self.admin_view(self.live), name="live"),
            path("search/", self.admin_view(self.search), name="search"),
            path("login/code/", never_cache(self.login_code), name="login_code"),
            path("second-factor/", self.admin_view(self.second_factor), name="second_factor"),
            path("time-zone/", self.admin_view(self.time_zone), name="time_zone"),
            *super().get_urls(),
        ]

    def login(  # type: ignore[override]  # Django's stub wants a response that is no stream
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponseBase:
        """Name and password; who is logged in goes to the overview."""
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "app_path": request.get_full_path(),
            "next": request.GET.get("next") or reverse("admin:index"),
            **(extra_context or {}),
        }
        return PasswordStep.as_view(extra_context=context)(request)

    def login_code(self, request: HttpRequest) -> HttpResponse:
        """The code, after name and password."""
        request.current_app = self.name
        return code_step(request, self.each_context)

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """The operator's own."""
        request.current_app = self.name
        page = second_factor_page(request)
        if page is None:
            messages.success(
                request, _("Your second factor is removed: your password alone opens the console.")
            )
            return HttpResponseRedirect(reverse("admin:second_factor"))
        context = {**self.each_context(request), "title": SECOND_FACTOR_TITLES[type(page)], "page": page}
        return TemplateResponse(request, SECOND_FACTOR_TEMPLATES[type(page)], context)

    def time_zone(self, request: HttpRequest) -> HttpResponse:
        """The one that the operator's dates are in."""
        request.current_app = self.name
        page = time_zone_page(request, now=timezone.now())
        if page is None:
            messages.success(request, _("Kept: from now on dates are shown in this zone."))
            return HttpResponseRedirect(reverse("admin:time_zone"))
        context = {**self.each_context(request), "title": _("Your time zone"), "page": page}
        return TemplateResponse(request, "console/time_zone.html", context)

    def search(self, request: HttpRequest) -> HttpResponse:
        """Everything that matches; a full ref leads straight to its object."""
        wanted = request.GET.get("q", "").strip()
        named = object_of_ref(wanted)
        if named is not None and self._may_see(request, *named):
            model, object_id = named
            return HttpResponseRedirect(detail_url(model, object_id))
        models = [model for _label, group in GROUPS for model in group]
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": _("Search"),
            "page": search(self, request, models, wanted),
        }
        return TemplateResponse(request, "console/search.html", context)

    def _may_see(self, request: HttpRequest, model: type[Model], object_id: str) -> bool:
        allowed = self.get_model_admin(model).has_view_permission(request)
        return allowed and model._default_manager.filter(pk=object_id).exists()  # noqa: SLF001  # Django's API

    def app_index(  # type: ignore[override]  # Django's renders a page
        self,
        request: HttpRequest,  # noqa: ARG002  # Django's signature
        app_label: str,  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002  # Any: template values
    ) -> HttpResponse:
        """How our code is split into apps is nothing to an operator: the overview instead."""
        return HttpResponseRedirect(reverse("admin:index"))

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002  # Django's signature
        """Django's check of who may look, and ours: is the log-in still good, and is something else first."""

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # Any: its own
            name = request.resolver_match.url_name if request.resolver_match else ""
            if not request.user.is_authenticated or name == "logout":  # so far only log-out lets anybody in
                return view(request, *args, **kwargs)
            if reason := why_ended(request):
                return _logged_out(request, reason)
            standing = Standing.of(request, now=timezone.now())
            use_chosen(standing.zone)
            shown = request.session.get(SECOND_FACTOR)
            if standing.authenticator_id is not None and shown != standing.authenticator_id:
                return _logged_out(
                    request, _("You were logged out: this log-in did not show your second factor.")
                )
            if standing.has_one_time_password and name not in OPEN_TO_ONE_TIME_PASSWORDS:
                return HttpResponseRedirect(reverse("admin:password_change"))
            if standing.must_enrol and name not in OPEN_WITHOUT_SECOND_FACTOR:
                return HttpResponseRedirect(reverse("admin:second_factor"))
            return view(request, *args, **kwargs)

        return super().admin_view(guarded, cacheable)  # type: ignore[return-value]  # as callable as the view was

    def password_change(  # type: ignore[override]  # Django's stub forgets the redirect
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponseBase:
        """Let an operator choose a password; a one-time password ends with it."""
        standing = standing_of(request)
        first = standing is not None and standing.has_one_time_password
        closed = {"is_first_password": True, "navigation": ()} if first else {}
        view = OwnPasswordView.as_view(
            success_url=reverse("admin:index"),
            extra_context={**self.each_context(request), **(extra_context or {}), **closed},
        )
        response = view(request)
        if request.method == "POST" and isinstance(response, HttpResponseRedirect):
            OneTimePassword.objects.filter(user=request.user.pk).delete()
            audit.record(
                "operator.password_changed",
                actor=console_principal(request.user.get_username()),
                subject=request.user,
                change=audit.Change(
                    before={"has_one_time_password": first}, after={"has_one_time_password": False}
                ),
            )
            messages.success(request, _("Your password is changed. Other log-ins of yours have ended."))
        return response


def _logged_out(request: HttpRequest, reason: str) -> HttpResponse:
    logout(request)
    messages.warning(request, reason)
    to = request.get_full_path() if request.method == "GET" else reverse("admin:index")
    return HttpResponseRedirect(reverse("admin:login", query={"next": to}))
