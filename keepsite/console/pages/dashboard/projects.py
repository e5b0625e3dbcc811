from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.counting import LIMITED, ProjectUse, Stock
from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import many, mark
from keepsite.projects.acts import RESOURCE_WORDS
from keepsite.projects.models import Project
from keepsite.readonly import (
    Bar,
    Fact,
    Heading,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    link,
    list_url,
    text,
)
from keepsite.translation import gettext_lazy
from secrets_app.models import Secret

NAME = "projects"
SHOWN_ACTIVE = 5
SHOWN_NEAR = 3
HEADINGS = (
    Heading(label=gettext_lazy("Most active project")),
    Heading(label=gettext_lazy("Made in 24 hours"), is_number=True),
    Heading(label=gettext_lazy("Secrets"), is_number=True),
)


def part(stock: Stock) -> Part:
    """How many, who is busy, who is near a limit."""
    projects = stock.projects
    near = [project for project in projects if project.near]
    suspended = sum(project.is_suspended for project in projects)
    active = sorted(projects, key=lambda project: (-project.made_lately, project.external_id))
    shown = [project for project in active[:SHOWN_ACTIVE] if project.made_lately]
    return Part(
        name=NAME,
        title=_("Projects"),
        state=mark(Tone.WARNING if near else Tone.GOOD),
        facts=(
            Fact(label=_("In all"), value=_counted(len(projects))),
            Fact(label=_("Suspended"), value=_counted(suspended, state="suspended")),
            Fact(label=_("Near a quota"), value=_counted(len(near), state="near")),
        )
        if projects
        else (),
        bars=tuple(_bar(project) for project in sorted(near, key=_fullness, reverse=True)[:SHOWN_NEAR]),
        table=_table(shown),
        note=_("Made: secrets, containers and orders.") if shown else "",
        empty="" if projects else _("A project appears with its first secret, order or API key."),
    )


def troubles(stock: Stock) -> list[Trouble]:
    """Projects that soon cannot store any more."""
    near = sum(bool(project.near) for project in stock.projects)
    if not near:
        return []
    words = ngettext("%(count)s project is near a quota.", "%(count)s projects are near a quota.", near)
    return [Trouble(tone=Tone.WARNING, sentence=many(near, words), part=NAME)]


def _counted(number: int, **filters: str) -> SafeString:
    return link(list_url(Project, **filters), text(number))


def _table(projects: list[ProjectUse]) -> Table | None:
    if not projects:
        return None
    return Table(
        caption=_("Most active projects"),
        headings=HEADINGS,
        rows=tuple(
            Row.of(
                HEADINGS,
                detail_url(Project, project.id),
                breakable(project.external_id),
                project.made_lately,
                link(
                    list_url(Secret, project=project.external_id, state="live"),
                    text(project.used["secrets"]),
                ),
            )
            for project in projects
        ),
    )


def _bar(project: ProjectUse) -> Bar:
    resource = max(project.near, key=lambda name: project.used[name] / project.limits[name])
    return Bar(
        label=_("%(resource)s of %(project)s")
        % {"resource": RESOURCE_WORDS[resource], "project": project.external_id},
        used=project.used[resource],
        limit=project.limits[resource],
        note=link(detail_url(Project, project.id), _("Its quota")),
    )


def _fullness(project: ProjectUse) -> float:
    return max(
        (project.used[name] / project.limits[name] for name in LIMITED if project.limits[name] > 0),
        default=0.0,
    )
