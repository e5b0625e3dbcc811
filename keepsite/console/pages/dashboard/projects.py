from django.utils.safestring import SafeString

from keepsite.console.pages.dashboard.counting import LIMITED, ProjectUse, Stock
from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import many, mark
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

NAME = "projects"
SHOWN_ACTIVE = 5
SHOWN_NEAR = 3
HEADINGS = (
    Heading(label="Most active project"),
    Heading(label="Made in 24 hours", is_number=True),
    Heading(label="Secrets", is_number=True),
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
        title="Projects",
        state=mark(Tone.WARNING if near else Tone.GOOD),
        facts=(
            Fact(label="In all", value=_counted(len(projects))),
            Fact(label="Suspended", value=_counted(suspended, state="suspended")),
            Fact(label="Near a quota", value=_counted(len(near), state="near")),
        )
        if projects
        else (),
        bars=tuple(_bar(project) for project in sorted(near, key=_fullness, reverse=True)[:SHOWN_NEAR]),
        table=_table(shown),
        note="Made: secrets, containers and orders." if shown else "",
        empty="" if projects else "A project appears with its first secret, order or API key.",
    )


def troubles(stock: Stock) -> list[Trouble]:
    """Projects that soon cannot store any more."""
    near = sum(bool(project.near) for project in stock.projects)
    if not near:
        return []
    words = many(near, "project is", "projects are")
    return [Trouble(tone=Tone.WARNING, sentence=f"{words} near a quota.", part=NAME)]


def _counted(number: int, **filters: str) -> SafeString:
    return link(list_url(Project, **filters), text(number))


def _table(projects: list[ProjectUse]) -> Table | None:
    if not projects:
        return None
    return Table(
        caption="Most active projects",
        headings=HEADINGS,
        rows=tuple(
            Row.of(
                HEADINGS,
                detail_url(Project, project.id),
                breakable(project.external_id),
                project.made_lately,
                project.used["secrets"],
            )
            for project in projects
        ),
    )


def _bar(project: ProjectUse) -> Bar:
    resource = max(project.near, key=lambda name: project.used[name] / project.limits[name])
    return Bar(
        label=f"{resource.capitalize()} of {project.external_id}",
        used=project.used[resource],
        limit=project.limits[resource],
        note=link(detail_url(Project, project.id), "Its quota"),
    )


def _fullness(project: ProjectUse) -> float:
    return max(
        (project.used[name] / project.limits[name] for name in LIMITED if project.limits[name] > 0),
        default=0.0,
    )
