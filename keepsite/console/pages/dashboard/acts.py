from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.utils.translation import gettext as _

from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import mark
from keepsite.readonly import Fact, Heading, Row, Table, Tone, detail_url, link, list_url
from keepsite.trail.filters import WhatFilter
from keepsite.trail.models import AuditChain, AuditRecord
from keepsite.translation import gettext_lazy

NAME = "acts"
SHOWN = 6
WITHIN = timedelta(days=30)  # bounds what has to be looked through
HEADINGS = tuple(
    Heading(label=label)
    for label in (gettext_lazy("Act"), gettext_lazy("When"), gettext_lazy("Who"), gettext_lazy("About"))
)


def altered_trails() -> list[str]:
    """Nodes whose audit trail was found not to be whole: one statement."""
    return list(AuditChain.objects.exclude(findings=[]).order_by("node").values_list("node", flat=True))


def recent(*, now: datetime) -> list[AuditRecord]:
    """What operators did last: one statement, which an index on method and time serves."""
    acts = AuditRecord.objects.filter(WhatFilter.meanings["operators"], at__gte=now - WITHIN)
    return list(acts.order_by("-at").defer("line")[:SHOWN])


def part(records: list[AuditRecord], altered: list[str], site: AdminSite) -> Part:
    """As the list of audit records shows them."""
    admin: Any = site.get_model_admin(AuditRecord)  # Any: its columns are methods
    return Part(
        name=NAME,
        title=_("Recent acts of operators"),
        state=mark(Tone.BAD if altered else Tone.GOOD, good=_("Trail whole")),
        facts=(
            Fact(
                label=_("All acts"), value=link(list_url(AuditRecord, what="operators"), _("Audit records"))
            ),
            Fact(label=_("Audit trail"), value=link(list_url(AuditChain), _("Chains"))),
        ),
        table=Table(
            caption=_("Recent acts of operators"),
            headings=HEADINGS,
            rows=tuple(
                Row.of(
                    HEADINGS,
                    detail_url(AuditRecord, record.pk),
                    admin.label(record),
                    admin.when(record),
                    admin.who(record),
                    admin.about(record),
                )
                for record in records
            ),
        )
        if records
        else None,
        is_wide=True,
        empty="" if records else _("No operator has done anything in the last 30 days."),
    )


def troubles(altered: list[str]) -> list[Trouble]:
    """A trail that somebody has been at."""
    if not altered:
        return []
    words = _("The audit trail of %(nodes)s is not whole: see Audit chains.") % {"nodes": ", ".join(altered)}
    return [Trouble(tone=Tone.BAD, sentence=words, part=NAME)]
