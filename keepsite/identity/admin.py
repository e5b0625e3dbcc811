from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.identity.key_acts import CreateKey, RevokeKey
from keepsite.identity.models import APIKey
from keepsite.projects.models import Project
from keepsite.readonly import (
    Detail,
    EmptyState,
    ExpiringFilter,
    Fact,
    Notice,
    ProjectFilter,
    Section,
    StateFilter,
    Tone,
    breakable,
    code,
    detail_url,
    link,
    moment,
    pill,
    relative,
)
from keepsite.translation import format_lazy, gettext_lazy

SOON = timedelta(days=14)  # leaves two working weeks to hand out a new key


@admin.register(APIKey)
class APIKeyAdmin(ActingAdmin):
    """API keys: whose they are and whether they still open anything; never the keys themselves."""

    title = gettext_lazy("API key")
    title_plural = gettext_lazy("API keys")
    lead = gettext_lazy(
        "Credentials of clients, bound to a project and roles. A key is shown once, when it is made."
    )
    empty = EmptyState(
        sentence=gettext_lazy("There is no API key. With KEEPSITE_AUTH=local every client needs one."),
        commands=("manage.py api_key create --project PROJECT --user USER --role member --name 'what for'",),
    )
    state_words: ClassVar = {
        "valid": gettext_lazy("valid"),
        "expiring": format_lazy(gettext_lazy("expiring within {days} days"), days=SOON.days),
        "expired": gettext_lazy("expired"),
        "revoked": gettext_lazy("revoked"),
    }
    list_display = (
        "name",
        "state",
        "shown_project",
        "shown_user",
        "role_names",
        "used",
        "expires",
        "created",
    )
    column_words: ClassVar = {"name": gettext_lazy("name")}
    list_filter = (StateFilter, ExpiringFilter, ProjectFilter)
    search_fields = ("=id", "name", "user_id", "project__external_id")
    search_help_text = gettext_lazy("Name, user, project id or key id")
    list_select_related = ("project",)
    ordering = ("-created_at",)
    unseen = ("sha256",)
    acts = (CreateKey(), RevokeKey())
    export_fields: ClassVar = {
        "id": "id",
        "name": "name",
        "project": "project__external_id",
        "user": "user_id",
        "roles": "roles",
        "created": "created_at",
        "last_used": "last_used_at",
        "expires": "expires_at",
        "revoked": "revoked_at",
    }

    def states(self, now: datetime) -> Mapping[str, Q]:
        """A key that is ``expiring`` is a valid one, too."""
        valid = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
        return {
            "valid": valid,
            "expiring": valid & Q(expires_at__lte=now + SOON),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }

    def detail(self, row: APIKey, *, now: datetime) -> Detail:
        """Whose key it is, what it may, how long."""
        return Detail(
            kind=self.title,
            title=row.name,
            state=_pill(row, now),
            notice=_notice(row, now),
            sections=(
                Section(
                    title=_("Who calls with it"),
                    facts=(
                        Fact(
                            label=_("Project"), value=link(detail_url(Project, row.project_id), row.project)
                        ),
                        Fact(
                            label=_("User"),
                            value=code(row.user_id),
                            note=_("Appears as creator of what it makes."),
                        ),
                        Fact(label=_("Roles"), value=", ".join(row.roles)),
                    ),
                ),
                Section(
                    title=_("Times"),
                    facts=(
                        Fact(label=_("Created"), value=relative(row.created_at, now=now)),
                        Fact(
                            label=_("Last used"),
                            value=relative(row.last_used_at, now=now),
                            note=_("Within a minute."),
                        ),
                        Fact(label=_("Expires"), value=relative(row.expires_at, now=now)),
                        Fact(label=_("Revoked"), value=relative(row.revoked_at, now=now)),
                    ),
                ),
                Section(title=_("Identity"), facts=(Fact(label=_("Key id"), value=code(row.id)),)),
            ),
        )

    @admin.display(description=gettext_lazy("project"), ordering="project__external_id")
    def shown_project(self, key: APIKey) -> SafeString:
        """Whose it is."""
        return breakable(str(key.project))

    @admin.display(description=gettext_lazy("user"), ordering="user_id")
    def shown_user(self, key: APIKey) -> SafeString:
        """Who calls with it."""
        return breakable(key.user_id)

    @admin.display(description=gettext_lazy("roles"))
    def role_names(self, key: APIKey) -> str:
        """The roles in one line."""
        return ", ".join(key.roles)

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: APIKey) -> SafeString:
        """Whether it still opens anything."""
        return _pill(key, timezone.now())

    @admin.display(description=gettext_lazy("last used"), ordering="last_used_at")
    def used(self, key: APIKey) -> SafeString:
        """When somebody last called with it, within a minute."""
        return moment(key.last_used_at)

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def expires(self, key: APIKey) -> SafeString:
        """Until when."""
        return moment(key.expires_at)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, key: APIKey) -> SafeString:
        """Since when."""
        return moment(key.created_at)


def _pill(key: APIKey, now: datetime) -> SafeString:
    if key.revoked_at is not None:
        return pill(_("Revoked"), Tone.QUIET)
    if not key.is_valid(now):
        return pill(_("Expired"), Tone.QUIET)
    if key.expires_at is not None and key.expires_at <= now + SOON:
        return pill(_("Expires soon"), Tone.WARNING)
    return pill(_("Valid"), Tone.GOOD)


def _notice(key: APIKey, now: datetime) -> Notice | None:
    if key.is_valid(now):
        return None
    revoked, expired = (
        _("This key has been revoked: it opens nothing."),
        _("This key has expired: it opens nothing."),
    )
    return Notice(tone=Tone.QUIET, message=revoked if key.revoked_at else expired)
