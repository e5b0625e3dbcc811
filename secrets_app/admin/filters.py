"""Filters that lists of secrets and containers share."""

from typing import Any, ClassVar

from django.db.models import Exists, OuterRef, Q, QuerySet

from keepsite.readonly import ChoiceFilter
from secrets_app.models import ACLUser

Rows = QuerySet[Any]  # Any: secrets or containers


class UseFilter(ChoiceFilter):
    """Whether any service says that it uses the row."""

    title = "consumers"
    parameter_name = "consumers"
    options = (("none", "without"), ("some", "with"))

    def chosen(self, rows: Rows, choice: str) -> Rows:
        """Those registered now count; removed ones do not."""
        relation: Any = rows.model._meta.get_field("consumers")  # noqa: SLF001  # Django's documented way; Any: theirs
        near = relation.remote_field.name
        used = Q(had_consumers=True) & Q(
            Exists(relation.related_model.objects.filter(deleted_at=None, **{near: OuterRef("pk")}))
        )
        return rows.filter(used if choice == "some" else ~used)


class ACLFilter(ChoiceFilter):
    """Who may read besides, or instead of, the project."""

    title = "ACL"
    parameter_name = "acl"
    options: ClassVar = (
        ("private", "private to its creator"),
        ("named", "names users"),
        ("any", "has an ACL"),
        ("none", "has none"),
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
