"""What the page of a project shows of apps that lie above: its API keys, and what was done in and to it."""

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts.pages import Button
from keepsite.projects.models import Project
from keepsite.readonly import (
    Fact,
    Heading,
    Row,
    Section,
    Table,
    Tone,
    breakable,
    detail_url,
    link,
    list_url,
    text,
)
from keepsite.translation import gettext_lazy

SHOWN = 6
KEY_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("API key"),
        gettext_lazy("State"),
        gettext_lazy("User"),
        gettext_lazy("Last used"),
    )
)
RECORD_HEADINGS = tuple(
    Heading(label=label)
    for label in (gettext_lazy("Action"), gettext_lazy("When"), gettext_lazy("Who"), gettext_lazy("Outcome"))
)


def key_section(project: Project, site: AdminSite) -> Section:
    """Its newest API keys, as their list shows them: one statement."""
    keys = apps.get_model("identity.APIKey")
    admin: Any = site.get_model_admin(keys)  # Any: its columns are methods
    newest = list(keys.objects.filter(project=project).defer("sha256").order_by("-created_at")[:SHOWN])
    rows = tuple(
        Row.of(
            KEY_HEADINGS,
            detail_url(keys, key.pk),
            breakable(key.name),
            admin.state(key),
            breakable(key.user_id),
            admin.used(key),
        )
        for key in newest
    )
    return Section(
        title=_("API keys"),
        facts=(Fact(label=_("All of them"), value=_all(keys, project)),),
        table=Table(caption=_("The newest API keys"), headings=KEY_HEADINGS, rows=rows) if rows else None,
        note="" if rows else _("None: its callers come by way of the identity service, or not at all."),
    )


def audit_section(project: Project, site: AdminSite) -> Section:
    """What its callers did, and what operators did to it, the newest first: a statement each."""
    records = apps.get_model("trail.AuditRecord")
    admin: Any = site.get_model_admin(records)  # Any: its columns are methods
    done_to_it = {"subject__in": [f"project:{name}" for name in (project.pk, project.external_id)]}
    found = [
        record
        for condition in ({"project": project.external_id}, done_to_it)
        for record in records.objects.filter(**condition).defer("line").order_by("-at")[:SHOWN]
    ]
    newest = sorted({record.pk: record for record in found}.values(), key=lambda one: one.at, reverse=True)
    rows = tuple(
        Row.of(
            RECORD_HEADINGS,
            detail_url(records, record.pk),
            admin.label(record),
            admin.when(record),
            admin.who(record),
            admin.ended(record),
        )
        for record in newest[:SHOWN]
    )
    return Section(
        title=_("Audit"),
        facts=(
            Fact(label=_("Of its callers"), value=_all(records, project)),
            Fact(
                label=_("Done to it"),
                value=link(list_url(records, to_project=project.external_id), text(_("the whole list"))),
            ),
        ),
        table=Table(caption=_("Newest audit records"), headings=RECORD_HEADINGS, rows=rows) if rows else None,
        note="" if rows else _("Nothing was collected of it yet."),
    )


def rotate_button(project: Project) -> Button | None:
    """Where its pKEK is replaced; None while it has none."""
    pkeks = apps.get_model("keyring.ProjectKEK")
    active = pkeks.objects.filter(project=project, active_marker=True).values_list("pk", flat=True).first()
    if active is None:
        return None
    url = reverse("admin:keyring_projectkek_act", args=(active, "rotate-now"))
    return Button(label=_("Rotate now"), url=url, tone=Tone.QUIET, name="rotate-now")


def _all(model: Any, project: Project) -> SafeString:  # Any: a model
    return link(list_url(model, project=project.external_id), text(_("the whole list")))
