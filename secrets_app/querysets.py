from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import CharField, Lookup, Q, QuerySet

ESCAPE = "|"


@CharField.register_lookup
class Like(Lookup):
    """``column__like=text``: ``%`` stands for anything, every other character for itself.

    Without a ``%`` it is an equality test.  Case is as the database's LIKE sees it:
    ignored by SQLite and MariaDB, as clients of Barbican are used to.
    """

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:  # Any: theirs
        """LIKE with its escape character spelled out."""
        left, left_params = self.process_lhs(compiler, connection)
        pattern = str(self.rhs).replace(ESCAPE, ESCAPE * 2).replace("_", f"{ESCAPE}_")
        return f"{left} LIKE %s ESCAPE '{ESCAPE}'", (*left_params, pattern)


class SecretQuerySet(QuerySet[Any]):  # Any: Secret, which imports this module
    """Questions about secrets."""

    def live(self, now: datetime) -> Self:
        """Neither deleted nor expired at ``now``."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), deleted_at=None)

    def in_project(self, external_project_id: str) -> Self:
        """Owned by this project."""
        return self.filter(project__external_id=external_project_id)

    def with_project(self) -> Self:
        """With its project loaded by the same statement."""
        return self.select_related("project")

    def with_payload(self) -> Self:
        """With project, payload, pKEK and MKEK loaded by the same statement."""
        return self.select_related("project", "payload__pkek__mkek")

    def in_stable_order(self, *fields: str) -> Self:
        """Sorted by ``fields``, then by age: pages neither skip nor repeat a row."""
        return self.order_by(
            *(models.F(field.lstrip("-")).desc() if field.startswith("-") else field for field in fields),
            "created_at",
            "id",
        )
