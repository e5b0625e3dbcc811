from django.contrib import admin

from keepsite.readonly import ReadOnlyAdmin
from orders_app.models import Order


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders: how far they are, and why they failed."""

    list_display = ("id", "project", "type", "status", "attempts", "created_at", "updated_at", "error_reason")
    list_filter = ("status", "type", ("deleted_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=secret_id", "=project__external_id")
    search_help_text = "Order id, id of the secret it made, or project id"
    date_hierarchy = "created_at"
    list_select_related = ("project",)
    ordering = ("-created_at",)
    fieldsets = (
        (None, {"fields": ("id", "project", "creator_id", "type", "meta")}),
        ("Result", {"fields": ("status", "secret_id", "error_status_code", "error_reason")}),
        ("On its way", {"fields": ("attempts", "not_before", "handed_out_at", "lease_until")}),
        ("Times", {"fields": ("created_at", "updated_at", "deleted_at")}),
    )
    readonly_fields = (
        "id",
        "attempts",
        "not_before",
        "handed_out_at",
        "lease_until",
        "created_at",
        "updated_at",
        "deleted_at",
    )
