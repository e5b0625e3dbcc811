import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from keepsite.readonly.details import Detail
from keepsite.readonly.lists import EmptyState, ListPage

_REF = re.compile(r"https?://.*/(?P<id>[^/?#]+)/?")  # whatever its host: a deployment has several names
View = Callable[..., HttpResponseBase]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for type checkers only
    """A list and a page for each row, to look at; what may be done has a button that calls a service.

    There are two URLs, and both answer GET alone: no form is built, so none can be sent.
    Columns in ``unseen`` are never read from the database.
    """

    title: ClassVar[str]
    title_plural: ClassVar[str]
    lead: ClassVar[str] = ""
    empty: ClassVar[EmptyState]
    number_columns: ClassVar[frozenset[str]] = frozenset()
    column_words: ClassVar[Mapping[str, str]] = {}  # headings of columns that no method describes
    unseen: ClassVar[tuple[str, ...]] = ()
    state_words: ClassVar[Mapping[str, str]] = {}

    change_list_template = "console/list.html"
    detail_template: ClassVar[str] = "console/detail.html"
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False  # counting a big table twice slows every search
    show_facets = admin.ShowFacets.NEVER
    actions = None

    def detail(self, row: Any, *, now: datetime) -> Detail:  # Any: each admin narrows the row to its model
        """The page about ``row``."""
        raise NotImplementedError  # not abstract: the admin's own metaclass leaves no room for ABC

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # for those that change with time
        """What each name in ``state_words`` means at ``now``; filter and overview both ask here."""
        return {}

    def get_urls(self) -> list[URLPattern]:
        """The list, and the page of a row under its id; nothing adds, changes or deletes."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("", self._guarded(self.changelist_view), name=f"{name}_changelist"),
            path("<str:object_id>/", self._guarded(self.change_view), name=f"{name}_change"),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:  # Any: each admin's own model
        """All rows and what their page names besides, without columns that are nobody's business here."""
        rows = super().get_queryset(request).defer(*self.unseen)
        related = self.list_select_related
        return rows if isinstance(related, bool) else rows.select_related(*related)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:  # Any: each admin's own model
        """Rows that match; of a pasted ref the id at its end counts."""
        if search_term.startswith(("https://", "http://")):
            named = _REF.fullmatch(search_term)
            if named is None:
                return queryset.none(), False
            search_term = named["id"]
        return super().get_search_results(request, queryset, search_term)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:  # noqa: ARG002  # Django's
        """Filters alone can be asked for: through any column, a hash could be found digit by digit."""
        return lookup in {getattr(choice, "parameter_name", "") for choice in self.list_filter}

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponse:
        """The list."""
        response = super().changelist_view(request, {**(extra_context or {}), "title": self.title_plural})
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            response.context_data["page"] = ListPage.of(response.context_data["cl"], self)
        return response

    def change_view(  # type: ignore[override]  # Django's may be sent a form; there is none here
        self,
        request: HttpRequest,
        object_id: str,
        **_: Any,  # Any: what Django passes besides
    ) -> HttpResponse:
        """The page of one row."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        now = timezone.now()
        detail = self.detail(row, now=now)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": detail.title,
            "page": detail,
            "list_title": self.title_plural,
            "list_url": list_url(self.model),
            **self.detail_context(request, row, now=now),
        }
        return TemplateResponse(request, self.detail_template, context)

    def detail_context(
        self,
        request: HttpRequest,  # noqa: ARG002  # for admins that show more than the row
        row: Any,  # noqa: ARG002  # Any: each admin's own model
        *,
        now: datetime,  # noqa: ARG002
    ) -> dict[str, Any]:  # Any: template values
        """What the template is given besides the page itself."""
        return {}

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  # Django's signature
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody edits rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002
        """Nobody deletes rows by hand."""
        return False

    def _guarded(self, view: View) -> View:
        """``view`` for operators, and for looking only."""

        def looking(
            request: HttpRequest, *args: Any, **kwargs: Any
        ) -> HttpResponseBase:  # Any: the view's own
            if request.method not in {"GET", "HEAD"}:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return self.admin_site.admin_view(looking)


def list_url(model: type[Model], **filters: str) -> str:
    """The list of ``model``, narrowed by its filters."""
    return reverse(_url_name(model, "changelist"), query=filters or None)


def detail_url(model: type[Model], pk: object) -> str:
    """The page of one row of ``model``."""
    return reverse(_url_name(model, "change"), args=(quote(str(pk)),))


def _url_name(model: type[Model], view: str) -> str:
    options = model._meta  # noqa: SLF001  # Django's documented way
    return f"admin:{options.app_label}_{options.model_name}_{view}"
