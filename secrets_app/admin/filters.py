"""Filters that lists of secrets and containers share."""

from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.http import HttpRequest

from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.readonly import ChoiceFilter
from keepsite.trail.models import AuditRecord
from keepsite.translation import gettext_lazy
from secrets_app.models import ACLUser

Rows = QuerySet[Any]  # Any: secrets or containers


class UseFilter(ChoiceFilter):
    """Whether any service says that it uses the row."""

    title = gettext_lazy("consumers")
    parameter_name = "consumers"
    options = (("none", gettext_lazy("without")), ("some", gettext_lazy("with")))

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Those registered now count; removed ones do not."""
        relation: Any = rows.model._meta.get_field("consumers")  # noqa: SLF001  # Django's documented way; Any: theirs
        near = relation.remote_field.name
        used = Q(had_consumers=True) & Q(
            Exists(relation.related_model.objects.filter(deleted_at=None, **{near: OuterRef("pk")}))
        )
        return rows.filter(used if choice == "some" else ~used)


class ReadFilter(ChoiceFilter):
    """Whether anybody has read a secret's payload, as far as the audit trail is collected here."""

    title = gettext_lazy("payload")
    parameter_name = "read"
    options = (("never", gettext_lazy("never read")), ("some", gettext_lazy("has been read")))

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """One look into the index of audit records for each row."""
        subject = Concat(Value("secret:"), OuterRef("pk"))
        read = Exists(AuditRecord.objects.filter(action="payload.read", subject=subject))
        return rows.filter(read if choice == "some" else ~read)


class SealedFilter(ChoiceFilter):
    """Whether the generation of the pKEK that seals the payload has been replaced."""

    title = gettext_lazy("sealed under")
    parameter_name = "sealed"
    options: ClassVar = (
        (ProjectKEK.State.ACTIVE.value, gettext_lazy("the active pKEK")),
        (ProjectKEK.State.DECRYPT_ONLY.value, gettext_lazy("a former pKEK")),
    )

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Deleted secrets are among them: their payloads are still sealed."""
        return rows.filter(payload__pkek__state=choice)


class MKEKFilter(ChoiceFilter):
    """Under which master key a payload's pKEK is; the overview leads to it."""

    title = gettext_lazy("MKEK")
    parameter_name = "mkek"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """The one that was asked for, if one was."""
        chosen = self.value()
        return list(MKEK.objects.filter(pk=chosen).values_list("pk", "label")) if chosen else []

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Deleted secrets are among them, as above."""
        return rows.filter(payload__pkek__mkek=choice)


class ACLFilter(ChoiceFilter):
    """Who may read besides, or instead of, the project."""

    title = gettext_lazy("ACL")
    parameter_name = "acl"
    options: ClassVar = (
        ("private", gettext_lazy("private to its creator")),
        ("named", gettext_lazy("names users")),
        ("any", gettext_lazy("has an ACL")),
        ("none", gettext_lazy("has none")),
    )

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """By the row's ACL, if there is one."""
        match choice:
            case "private":
                return rows.filter(acl__project_access=False)
            case "named":
                path = "acl__secret" if rows.model.__name__ == "Secret" else "acl__container"
                return rows.filter(Exists(ACLUser.objects.filter(**{path: OuterRef("pk")})))
            case "any":
                return rows.filter(acl__isnull=False)
            case _:
                return rows.filter(acl__isnull=True)
