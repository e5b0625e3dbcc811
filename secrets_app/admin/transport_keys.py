from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Length
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.readonly import (
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    ReadOnlyAdmin,
    Section,
    StateFilter,
    Tone,
    code,
    moment,
    pill,
    relative,
    short_id,
    text,
)
from keepsite.translation import gettext_lazy
from secrets_app.models import TransportKey


@admin.register(TransportKey)
class TransportKeyAdmin(ReadOnlyAdmin):
    """Public keys that admins registered for clients of other secret stores."""

    title = gettext_lazy("Transport key")
    title_plural = gettext_lazy("Transport keys")
    lead = gettext_lazy(
        "Public keys registered for clients of other secret stores. This store has none of its own."
    )
    empty = EmptyState(
        sentence=gettext_lazy("No transport key is registered. Admins do so: POST /v1/transport_keys.")
    )
    state_words: ClassVar = {"registered": gettext_lazy("registered"), "deleted": gettext_lazy("deleted")}
    list_display = ("label", "state", "plugin_name", "created")
    column_words: ClassVar = {"plugin_name": gettext_lazy("plugin name")}
    list_filter = (StateFilter, CreatedFilter)
    search_fields = ("=id", "plugin_name")
    search_help_text = gettext_lazy("Plugin name, id or ref")
    ordering = ("-created_at",)
    unseen = ("transport_key",)

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # they do not change with time
        """Deleted ones wait for a purge."""
        return {"registered": Q(deleted_at=None), "deleted": Q(deleted_at__isnull=False)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[TransportKey]:
        """Keys by their length: clients read the text itself through the API."""
        keys: QuerySet[TransportKey] = super().get_queryset(request)
        return keys.annotate(key_chars=Length("transport_key"))

    def detail(self, row: TransportKey, *, now: datetime) -> Detail:
        """What clients find it by."""
        return Detail(
            kind=self.title,
            title=row.plugin_name,
            state=self.state(row),
            sections=(
                Section(
                    title=_("What it is"),
                    facts=(
                        Fact(label=_("Plugin"), value=text(row.plugin_name)),
                        Fact(
                            label=_("Length"),
                            value=_("%(key_chars)s characters") % {"key_chars": row.key_chars},  # type: ignore[attr-defined]  # annotated
                            note=_("Clients read the key through the API."),
                        ),
                        Fact(label=_("Id"), value=code(row.id), note=_("The last part of its ref.")),
                        Fact(label=_("Created"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Deleted"), value=relative(row.deleted_at, now=now)),
                    ),
                ),
            ),
        )

    @admin.display(description=gettext_lazy("transport key"))
    def label(self, key: TransportKey) -> SafeString:
        """The beginning of its id."""
        return short_id(key.id)

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: TransportKey) -> SafeString:
        """Whether clients find it."""
        return pill(_("Deleted"), Tone.QUIET) if key.deleted_at else pill(_("Registered"), Tone.GOOD)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, key: TransportKey) -> SafeString:
        """Since when."""
        return moment(key.created_at)
