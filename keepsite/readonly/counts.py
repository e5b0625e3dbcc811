from typing import Any

from django.db.models import Count, Model, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce


def counted(model: type[Model], relation: str, *conditions: Q) -> Coalesce:
    """How many rows each row of ``model`` has at the far end of ``relation``, as an annotation.

    A subquery for every row shown: joins of two relations would multiply their rows.
    """
    field: Any = model._meta.get_field(relation)  # noqa: SLF001  # Django's documented way; Any: a relation
    near = field.remote_field.name
    rows = field.related_model.objects.filter(*conditions, **{near: OuterRef("pk")})
    return Coalesce(Subquery(rows.order_by().values(near).annotate(found=Count("pk")).values("found")), 0)
