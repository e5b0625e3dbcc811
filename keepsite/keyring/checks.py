from collections.abc import Sequence

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import Error as DatabaseError

from keepsite.keyring.models import MKEK
from keepsite.keyring.querysets import current_mkek


@register(Tags.database)
def there_is_a_current_mkek(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001  # Django's signature
    databases: Sequence[str] | None = None,
    **_: object,
) -> list[CheckMessage]:
    """Without a current master key nothing can be stored; asked by ``check --database default``."""
    if not databases:
        return []
    try:
        if current_mkek() is not None:
            return []
        pending = (
            MKEK.objects.filter(state=MKEK.State.PENDING)
            .order_by("created_at")
            .values_list("label", flat=True)
        )
        waiting = list(pending)
    except DatabaseError:  # not migrated yet: `migrate` runs this check too
        return []
    hint = (
        f"Run `manage.py mkek_activate {waiting[0]}`."
        if waiting
        else ("Run `manage.py mkek_generate --label keepsite-mkek-<date>-1 --activate`.")
    )
    return [
        Error(
            "There is no current master key (MKEK), so nothing can be stored.", hint=hint, id="keyring.E001"
        )
    ]
