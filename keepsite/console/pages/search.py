"""One search over all kinds: by id, ref, name and project."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.readonly import ReadOnlyAdmin, detail_url, list_url
from orders_app.models import Order
from secrets_app.models import Container, Secret, TransportKey

SHOWN = 8  # of each kind
MIN_CHARS = 2
# The last but one part of a ref, and what it is a ref of.
COLLECTIONS: dict[str, type[Model]] = {
    "secrets": Secret,
    "containers": Container,
    "orders": Order,
    "transport_keys": TransportKey,
}
_REF = re.compile(r"https?://.*/v1/(?P<collection>\w+)/(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A row that matches."""

    label: str
    url: str
    state: SafeString | str
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The first rows of one kind; ``all_url`` is the list of all of them, if there are more."""

    title: str
    hits: tuple[Hit, ...]
    all_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """What was asked, and what was found."""

    wanted: str
    kinds: tuple[Kind, ...]
    summary: str


def object_of_ref(wanted: str) -> tuple[type[Model], str] | None:
    """The kind and id that a full ref names; its host may be any, since a deployment has several names."""
    named = _REF.fullmatch(wanted)
    model = COLLECTIONS.get(named["collection"]) if named else None
    return (model, named["id"]) if named and model else None


def search(site: AdminSite, request: HttpRequest, models: Iterable[type[Model]], wanted: str) -> SearchPage:
    """Rows of ``models`` that match ``wanted``, as far as the reader may see them; one statement per kind."""
    kinds: list[Kind] = []
    if len(wanted) >= MIN_CHARS:
        for model in models:
            admin = site.get_model_admin(model)
            if isinstance(admin, ReadOnlyAdmin) and admin.has_view_permission(request):
                kind = _kind(admin, request, wanted)
                if kind.hits:
                    kinds.append(kind)
    return SearchPage(wanted=wanted, kinds=tuple(kinds), summary=_summary(wanted, kinds))


def _kind(admin: ReadOnlyAdmin, request: HttpRequest, wanted: str) -> Kind:
    found, has_repeats = admin.get_search_results(request, admin.get_queryset(request), wanted)
    if has_repeats:
        found = found.distinct()
    rows = list(found.order_by(*(admin.ordering or ()))[: SHOWN + 1])
    return Kind(
        title=admin.title_plural,
        hits=tuple(
            Hit(
                label=str(row),
                url=detail_url(admin.model, row.pk),
                state=_state(admin, row),
                project=_project(row),
            )
            for row in rows[:SHOWN]
        ),
        all_url=list_url(admin.model, q=wanted) if len(rows) > SHOWN else "",
    )


def _state(admin: ReadOnlyAdmin, row: Any) -> SafeString | str:  # Any: a row of any kind
    shown = getattr(admin, "state", None) or getattr(admin, "shown_state", None)
    return shown(row) if shown else ""


def _project(row: Any) -> str:  # Any: a row of any kind
    fields = {field.name for field in row._meta.get_fields()}  # noqa: SLF001  # Django's documented way
    return str(row.project) if "project" in fields else ""


def _summary(wanted: str, kinds: list[Kind]) -> str:
    if len(wanted) < MIN_CHARS:
        return _("Type %(min_chars)s characters or more: an id, a ref, a name or a project.") % {
            "min_chars": MIN_CHARS
        }
    if not kinds:
        return _("Nothing matches. Ids and refs must be whole; of names and projects a part is enough.")
    return _("Found in %(kinds)s.") % {"kinds": ", ".join(str(kind.title) for kind in kinds)}
