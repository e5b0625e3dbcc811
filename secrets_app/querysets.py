from datetime import datetime
from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.models import CharField, Exists, Lookup, OuterRef, Q, QuerySet

ESCAPE = "|"


@CharField.register_lookup
class Like(Lookup):
    """``column__like=text``: ``%`` stands for anything, every other character for itself.

    Without a ``%`` it is an equality test.  Case is as the database's LIKE sees it:
    ignored by SQLite and MariaDB, as clients of Barbican are used to.
    """

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:  # Any: theirs
        """LIKE with its escape character spelled out, and equality where nothing stands for anything.

        Rows under an equal value stand in an index in the order of the columns that follow, those
        under a LIKE do not.  MariaDB's equality drops blanks at the end, LIKE does not: so both.
        """
        left, left_params = self.process_lhs(compiler, connection)
        text = str(self.rhs)
        pattern = text.replace(ESCAPE, ESCAPE * 2).replace("_", f"{ESCAPE}_")
        like, like_params = f"{left} LIKE %s ESCAPE '{ESCAPE}'", (*left_params, pattern)
        if "%" in text:
            return like, like_params
        if connection.vendor == "sqlite":
            return f"{left} = %s COLLATE NOCASE", (*left_params, text)
        if connection.vendor == "mysql":
            return f"({left} = %s AND {like})", (*left_params, text, *like_params)
        return like, like_params


class AccessQuerySet(QuerySet[Any]):  # Any: the models import this module
    """Questions about what belongs to a project and may have an ACL."""

    acl_path: str  # from an ACL's user to the object

    def in_project(self, external_project_id: str) -> Self:
        """Owned by this project."""
        return self.filter(project__external_id=external_project_id)

    def for_caller(self, user_id: str) -> Self:
        """With project and ACL loaded by the same statement, and whether the ACL names this user."""
        named = apps.get_model("secrets_app", "ACLUser").objects.filter(
            user_id=user_id, **{self.acl_path: OuterRef("pk")}
        )
        return self.select_related("project", "acl").annotate(is_acl_reader=Exists(named))


class ContainerQuerySet(AccessQuerySet):
    """Questions about containers."""

    acl_path = "acl__container"

    def live(self) -> Self:
        """Not deleted."""
        return self.filter(deleted_at=None)


class SecretQuerySet(AccessQuerySet):
    """Questions about secrets."""

    acl_path = "acl__secret"

    def live(self, now: datetime) -> Self:
        """Neither deleted nor expired at ``now``."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), deleted_at=None)

    def named_to(self, user_id: str) -> Self:
        """Whose ACL names this user, of whatever project they are."""
        return self.filter(acl__users__user_id=user_id)

    def with_payload(self) -> Self:
        """With payload, pKEK and MKEK loaded by the same statement, besides what is loaded already."""
        return self.select_related("project", "acl", "payload__pkek__mkek")

    def in_stable_order(self, *fields: str) -> Self:
        """Sorted by ``fields``, then by age: pages neither skip nor repeat a row.

        The age goes the way of the last field, so that an index can be read in one direction.
        """
        way = "-" if fields and fields[-1].startswith("-") else ""
        named = {field.lstrip("-") for field in fields}
        terms = [*fields, *(f"{way}{field}" for field in ("created_at", "id") if field not in named)]
        return self.order_by(
            *(models.F(term.lstrip("-")).desc() if term.startswith("-") else term for term in terms)
        )
