from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from keepsite.readonly import ReadOnlyAdmin
from secrets_app.models import Secret


@admin.register(Secret)
class SecretAdmin(ReadOnlyAdmin):
    """What is known about secrets; payloads are not to be seen here, sealed or open."""

    list_display = (
        "label",
        "project",
        "secret_type",
        "algorithm",
        "bit_length",
        "content_type",
        "created_at",
        "expires_at",
        "deleted_at",
    )
    list_filter = ("secret_type", "content_type", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "name", "=project__external_id")
    search_help_text = "Secret id, name or project id"
    date_hierarchy = "created_at"
    list_select_related = ("project",)
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "name", "project", "creator_id")}),
        (
            "What its owner says it is",
            {"fields": ("secret_type", "algorithm", "bit_length", "mode", "content_type")},
        ),
        ("Payload", {"fields": ("payload_state",)}),
        ("Times", {"fields": ("created_at", "updated_at", "expires_at", "deleted_at")}),
    )
    readonly_fields = ("id", "created_at", "updated_at", "deleted_at", "payload_state")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        """Secrets without their ciphertext: it has no business in this process's memory."""
        return super().get_queryset(request).select_related("project")

    @admin.display(description="name", ordering="name")
    def label(self, secret: Secret) -> str:
        """The name, or the id of a secret without one."""
        return str(secret)

    @admin.display(description="sealed payload")
    def payload_state(self, secret: Secret) -> str:
        """How large it is and which key seals it."""
        sizes = type(secret).objects.filter(id=secret.id, payload__isnull=False)
        found = sizes.values_list(
            "payload__size_bytes", "payload__pkek__generation", "payload__pkek__mkek__label"
        ).first()
        if found is None:
            return "none yet"
        return f"{found[0]} bytes, under pKEK generation {found[1]}, under MKEK {found[2]}"
