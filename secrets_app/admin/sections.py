"""What the pages of secrets and containers both show."""

from itertools import islice
from typing import Any

from django.db.models import QuerySet

from keepsite.readonly import Fact, Heading, Row, Section, Table, code, link, list_url, moment
from secrets_app.models import ACL, ACLUser, Container, ContainerConsumer, Secret, SecretConsumer
from secrets_app.services import acl_of, kind_of

SHOWN = 50


def _heading(label: str) -> Heading:
    return Heading(label=label)


CONSUMER_HEADINGS = {
    "secret": tuple(Heading(label=label) for label in ("Service", "Resource type", "Resource id", "Since")),
    "container": tuple(Heading(label=label) for label in ("Name", "URL", "Since")),
}
CONSUMER_FIELDS = {
    "secret": ("service", "resource_type", "resource_id"),
    "container": ("name", "url"),
}
READER_HEADINGS = (Heading(label="User id"),)
Rows = QuerySet[Any]  # Any: consumers of either kind


def readers_section(subject: Secret | Container) -> Section:
    """Who may read it: by role, by being its creator, by its ACL."""
    acl = acl_of(subject)
    title = "Who may read it"
    if acl is None:
        return Section(title=title, note="Whoever has a reading role in its project. It has no ACL.")
    return _by_acl(title, acl)


def _by_acl(title: str, acl: ACL) -> Section:
    named = list(
        ACLUser.objects.filter(acl=acl).order_by("user_id").values_list("user_id", flat=True)[: SHOWN + 1]
    )
    project = (
        "Whoever has a reading role in it"
        if acl.project_access
        else "Its creator and the project's admins only: it is private"
    )
    facts = (Fact(label="Of its project", value=project),)
    if not named:
        return Section(title=title, facts=facts, note="Its ACL names no users of other projects.")
    return Section(
        title=title,
        facts=facts,
        table=Table(
            caption="Users whom the ACL lets read, of any project",
            headings=READER_HEADINGS,
            rows=tuple(Row.of(READER_HEADINGS, "", code(user)) for user in islice(named, SHOWN)),
        ),
        note=f"The first {SHOWN} are shown."
        if len(named) > SHOWN
        else "Users the ACL names, of any project.",
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
        return Section(title="Consumers", note=f"No service says that it uses this {kind}.")
    return Section(
        title="Consumers",
        table=Table(caption=f"Services that use this {kind}", headings=headings, rows=rows[:SHOWN]),
        facts=(
            (
                Fact(
                    label="All of them", value=link(list_url(model, q=subject.id), "in the list of consumers")
                ),
            )
            if len(rows) > SHOWN
            else ()
        ),
        note=f"The first {SHOWN} are shown." if len(rows) > SHOWN else "",
    )
