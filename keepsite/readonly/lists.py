"""A list of the console as its template takes it: everything decided, nothing left to compute."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from keepsite.readonly.cells import text
from keepsite.readonly.days import DayFilter

if TYPE_CHECKING:
    from keepsite.readonly.model_admin import ReadOnlyAdmin

FIRST_CHOICES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column; ``sort_url`` sorts by it, ``sorted`` is what aria-sort says."""

    label: str
    is_number: bool = False
    sort_url: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value under its heading, which narrow screens repeat beside it."""

    heading: Heading
    value: SafeString | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: the first cell names it and leads to its page; ``key`` is its primary key, in lists."""

    url: str
    name: SafeString | str
    cells: tuple[Cell, ...]
    key: str = ""

    @classmethod
    def of(cls, headings: tuple[Heading, ...], url: str, *values: object, key: str = "") -> "Row":
        """A row from as many values as there are headings."""
        name, *rest = (text(value) for value in values)
        cells = tuple(Cell(heading=head, value=cell) for head, cell in zip(headings[1:], rest, strict=True))
        return cls(url=url, name=name, cells=cells, key=key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Headings and rows; ``caption`` is read aloud, not shown."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice of a filter."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A filter: a select box."""

    template: ClassVar[str] = "console/parts/_choice.html"
    name: str
    label: str
    options: tuple[Option, ...]

    @property
    def is_made(self) -> bool:
        """Whether anything but the first option, which is everything, is chosen."""
        return any(option.is_chosen for option in self.options[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class DayField:
    """A filter: a day that is typed; ``fault`` says why it cannot be meant."""

    template: ClassVar[str] = "console/parts/_day.html"
    name: str
    label: str
    note: str
    value: str
    fault: str

    @property
    def is_made(self) -> bool:
        """Whether a day was typed."""
        return bool(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A link of the pager; no number stands for pages left out."""

    number: int | None
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyState:
    """What to say where there is nothing, and the commands that would change it."""

    sentence: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """The whole list page."""

    title: str
    lead: str
    summary: str
    search_name: str
    search_text: str
    search_help: str
    order_name: str
    order: str
    choices: tuple[Choice | DayField, ...]
    is_narrowed: bool
    table: Table
    pages: tuple[Page, ...]
    previous_url: str
    next_url: str
    empty: EmptyState

    @property
    def first_choices(self) -> tuple[Choice | DayField, ...]:
        """The filters that are always in sight."""
        return self.choices[:FIRST_CHOICES]

    @property
    def more_choices(self) -> tuple[Choice | DayField, ...]:
        """The others, which unfold."""
        return self.choices[FIRST_CHOICES:]

    @property
    def is_more_made(self) -> bool:
        """Whether they must stand unfolded, since one of them narrows the list."""
        return any(choice.is_made for choice in self.more_choices)

    @classmethod
    def of(cls, found: ChangeList, admin: "ReadOnlyAdmin") -> "ListPage":
        """What Django's list machinery found, in our words."""
        choices = tuple(_choice(spec) for spec in found.filter_specs)
        page, last = found.page_num, found.paginator.num_pages
        return cls(
            title=admin.title_plural,
            lead=admin.lead,
            summary=_summary(found, admin),
            search_name=SEARCH_VAR,
            search_text=found.query,
            search_help=found.search_help_text or "",
            order_name=ORDER_VAR,
            order=str(found.params.get(ORDER_VAR, "")),
            choices=choices,
            is_narrowed=bool(found.query or any(choice.is_made for choice in choices)),
            table=_table(found, admin),
            pages=tuple(_pages(found)) if last > 1 else (),
            previous_url=_page_url(found, page - 1) if page > 1 else "",
            next_url=_page_url(found, page + 1) if page < last else "",
            empty=admin.empty,
        )


def _summary(found: ChangeList, admin: "ReadOnlyAdmin") -> str:
    total = found.result_count
    noun = admin.title if total == 1 else admin.title_plural
    if get_language() == "en" and not noun[:2].isupper():  # others may write nouns with a capital
        noun = noun[:1].lower() + noun[1:]
    if total <= found.list_per_page:
        return _("%(total)s %(noun)s") % {"total": intcomma(total), "noun": noun}
    first = (found.page_num - 1) * found.list_per_page + 1
    last = min(first + found.list_per_page - 1, total)
    return _("%(first)s to %(last)s of %(total)s %(noun)s") % {
        "first": intcomma(first),
        "last": intcomma(last),
        "total": intcomma(total),
        "noun": noun,
    }


def faults(found: ChangeList) -> tuple[str, ...]:
    """Why what was typed into filters cannot be meant: then the list is empty, and no file is made of it."""
    days = (spec for spec in found.filter_specs if isinstance(spec, DayFilter))
    return tuple(fault for spec in days if (fault := spec.fault()))


def _choice(spec: Any) -> Choice | DayField:  # Any: one of our filters, which Django types as ListFilter
    if isinstance(spec, DayFilter):
        return DayField(
            name=str(spec.parameter_name),
            label=str(spec.title),
            note=_("A whole day in %(zone)s.") % {"zone": timezone.get_current_timezone_name()},
            value=spec.value() or "",
            fault=spec.fault(),
        )
    everything = Option(value="", label=_("all"), is_chosen=spec.value() is None)
    options = (
        Option(value=str(value), label=str(label), is_chosen=str(value) == spec.value())
        for value, label in spec.lookup_choices
    )
    return Choice(name=spec.parameter_name, label=spec.title, options=(everything, *options))


def _table(found: ChangeList, admin: "ReadOnlyAdmin") -> Table:
    headings = tuple(_headings(found, admin))
    rows = (
        Row.of(
            headings,
            found.url_for_result(row),
            *(_value(admin, column, row) for column in found.list_display),
            key=str(row.pk),
        )
        for row in found.result_list
    )
    return Table(caption=admin.title_plural, headings=headings, rows=tuple(rows))


def _headings(found: ChangeList, admin: "ReadOnlyAdmin") -> Iterator[Heading]:
    for column, header in zip(found.list_display, result_headers(found), strict=True):
        described = getattr(getattr(admin, str(column), None), "short_description", header["text"])
        label = str(admin.column_words.get(str(column), described))
        direction = "ascending" if header.get("ascending") else "descending"
        yield Heading(
            label=_capitalised(label),
            is_number=column in admin.number_columns,
            sort_url=str(header["url_primary"]) if header["sortable"] else "",
            sorted=direction if header["sortable"] and header["sorted"] else "",
        )


def _capitalised(label: str) -> str:
    """With a capital first, unless that would spoil a name like pKEK."""
    return label if label[1:2].isupper() else label[:1].upper() + label[1:]


def _value(admin: "ReadOnlyAdmin", column: Any, row: object) -> object:  # Any: always a name in our lists
    on_admin = getattr(admin, column, None)
    return on_admin(row) if on_admin else getattr(row, column)


def _pages(found: ChangeList) -> Iterator[Page]:
    for number in found.paginator.get_elided_page_range(found.page_num, on_each_side=2, on_ends=1):
        if isinstance(number, int):
            yield Page(number=number, url=_page_url(found, number), is_current=number == found.page_num)
        else:
            yield Page(number=None, url="", is_current=False)


def _page_url(found: ChangeList, number: int) -> str:
    return found.get_query_string({PAGE_VAR: number})
