from django.contrib import admin
from django.utils import timezone

from keepsite.identity.models import APIKey
from keepsite.readonly import ReadOnlyAdmin


@admin.register(APIKey)
class APIKeyAdmin(ReadOnlyAdmin):
    """API keys: whose they are and whether they still open anything; never the keys themselves."""

    list_display = ("name", "project", "user_id", "role_names", "state", "created_at", "expires_at")
    search_fields = ("=id", "name", "user_id", "project__external_id")
    search_help_text = "Key id, name, user or project id"
    list_select_related = ("project",)
    ordering = ("-created_at",)
    fields = (
        "id",
        "name",
        "project",
        "user_id",
        "role_names",
        "state",
        "created_at",
        "expires_at",
        "revoked_at",
    )
    readonly_fields = ("id", "role_names", "state", "created_at", "revoked_at")

    @admin.display(description="roles")
    def role_names(self, key: APIKey) -> str:
        """The roles in one line."""
        return ", ".join(key.roles)

    @admin.display(description="state")
    def state(self, key: APIKey) -> str:
        """Whether it still opens anything."""
        if key.revoked_at is not None:
            return "revoked"
        return "valid" if key.is_valid(timezone.now()) else "expired"
