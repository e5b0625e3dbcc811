from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import PasswordChangeView
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone

from keepsite import audit
from keepsite.console.forms import LoginForm, OwnPasswordForm
from keepsite.console.models import OneTimePassword
from keepsite.console.navigation import GROUPS, navigation
from keepsite.console.pages.overview import overview
from keepsite.console.pages.search import object_of_ref, search
from keepsite.identity.operators import console_principal
from keepsite.readonly import ReadOnlyAdmin, detail_url

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
OPEN_TO_ONE_TIME_PASSWORDS = frozenset({"password_change", "password_change_done", "logout", "jsi18n"})


class ConsoleSite(AdminSite):
    """The operators' console, built on Django's admin."""

    site_header = "Keepsite"
    site_title = "Keepsite"
    index_title = "Overview"
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
        allowed = self.has_permission(request)
        return {**super().each_context(request), "navigation": navigation(self, request) if allowed else ()}

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
            "page": overview(
                self,
                now=timezone.now(),
                may_see=lambda model: self.get_model_admin(model).has_view_permission(request),
            ),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/index.html", context)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Django's, and the search over everything."""
        return [path("search/", self.admin_view(self.search), name="search"), *super().get_urls()]

    def search(self, request: HttpRequest) -> HttpResponse:
        """Everything that matches; a full ref leads straight to its object."""
        wanted = request.GET.get("q", "").strip()
        named = object_of_ref(wanted)
        if named is not None and self._may_see(request, *named):
            model, object_id = named
            return HttpResponseRedirect(detail_url(model, object_id))
        models = [model for _, group in GROUPS for model in group]
        request.current_app = self.name
        context = {
            **self.each_context(request),
            "title": "Search",
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
    ) -> HttpResponseBase:
        """Let an operator choose a password; a one-time password ends with it."""
        first = _has_one_time_password(request)
        closed = {"is_first_password": True, "navigation": ()} if first else {}
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
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
            )
            messages.success(request, "Your password is changed. Other log-ins of yours have ended.")
        return response


def _has_one_time_password(request: HttpRequest) -> bool:
    return OneTimePassword.objects.filter(user=request.user.pk).exists()
