"""What the pages of secrets and containers both show."""

from itertools import islice
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from keepsite.readonly import Fact, Heading, Row, Section, Table, code, link, list_url, moment
from keepsite.translation import gettext_lazy
from secrets_app.admin.words import KINDS
from secrets_app.models import ACL, ACLUser, Container, ContainerConsumer, Secret, SecretConsumer
from secrets_app.services import acl_of, kind_of

SHOWN = 50


def _heading(label: str) -> Heading:
    return Heading(label=label)


CONSUMER_HEADINGS = {
    "secret": tuple(
        Heading(label=label)
        for label in (
            gettext_lazy("Service"),
            gettext_lazy("Resource type"),
            gettext_lazy("Resource id"),
            gettext_lazy("Since"),
        )
    ),
    "container": tuple(
        Heading(label=label) for label in (gettext_lazy("Name"), gettext_lazy("URL"), gettext_lazy("Since"))
    ),
}
CONSUMER_FIELDS = {
    "secret": ("service", "resource_type", "resource_id"),
    "container": ("name", "url"),
}
READER_HEADINGS = (Heading(label=gettext_lazy("User id")),)
Rows = QuerySet[Any]  # Any: consumers of either kind


def readers_section(subject: Secret | Container) -> Section:
    """Who may read it: by role, by being its creator, by its ACL."""
    acl = acl_of(subject)
    title = _("Who may read it")
    if acl is None:
        return Section(title=title, note=_("Whoever has a reading role in its project. It has no ACL."))
    return _by_acl(title, acl)


def _by_acl(title: str, acl: ACL) -> Section:
    named = list(
        ACLUser.objects.filter(acl=acl).order_by("user_id").values_list("user_id", flat=True)[: SHOWN + 1]
    )
    project = (
        _("Whoever has a reading role in it")
        if acl.project_access
        else _("Its creator and the project's admins only: it is private")
    )
    facts = (Fact(label=_("Of its project"), value=project),)
    if not named:
        return Section(title=title, facts=facts, note=_("Its ACL names no users of other projects."))
    return Section(
        title=title,
        facts=facts,
        table=Table(
            caption=_("Users whom the ACL lets read, of any project"),
            headings=READER_HEADINGS,
            rows=tuple(Row.of(READER_HEADINGS, "", code(user)) for user in islice(named, SHOWN)),
        ),
        note=_("The first %(shown)s are shown.") % {"shown": SHOWN}
        if len(named) > SHOWN
        else _("Users the ACL names, of any project."),
    )


def consumer_section(subject: Secret | Container) -> Section:
    """Services that say they use it."""
    kind = kind_of(subject)
    model = SecretConsumer if kind == "secret" else ContainerConsumer
    found: Rows = model._default_manager.filter(**{kind: subject, "deleted_at": None})  # noqa: SLF001  # Django's API
    registered = (
        found.order_by("created_at", "id").defer("sha256")[: SHOWN + 1] if subject.had_consumers else ()
    )
    headings = CONSUMER_HEADINGS[kind]
    rows = tuple(
        Row.of(
            headings,
            "",
            *(code(getattr(consumer, field)) for field in CONSUMER_FIELDS[kind]),
            moment(consumer.created_at),
        )
        for consumer in registered
    )
    if not rows:
        return Section(
            title=_("Consumers"),
            note=_("No service says that it uses this %(kind)s.") % {"kind": KINDS[kind]},
        )
    return Section(
        title=_("Consumers"),
        table=Table(
            caption=_("Services that use this %(kind)s") % {"kind": KINDS[kind]},
            headings=headings,
            rows=rows[:SHOWN],
        ),
        facts=(
            (
                Fact(
                    label=_("All of them"),
                    value=link(list_url(model, q=subject.id), _("in the list of consumers")),
                ),
            )
            if len(rows) > SHOWN
            else ()
        ),
        note=_("The first %(shown)s are shown.") % {"shown": SHOWN} if len(rows) > SHOWN else "",
    )
