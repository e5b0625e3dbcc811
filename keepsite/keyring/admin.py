from django.contrib import admin

from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.readonly import ReadOnlyAdmin


@admin.register(MKEK)
class MKEKAdmin(ReadOnlyAdmin):
    """Master keys: which the HSM holds and what they are for."""

    list_display = ("label", "state", "kcv", "cka_id", "created_at")
    list_filter = ("state",)
    search_fields = ("label", "=cka_id")
    ordering = ("-created_at",)
    fields = ("id", "label", "state", "cka_id", "kcv", "created_at")
    readonly_fields = ("id", "created_at")


@admin.register(ProjectKEK)
class ProjectKEKAdmin(ReadOnlyAdmin):
    """Project keys: their generations, and the master key each is wrapped by."""

    list_display = ("project", "generation", "state", "mkek", "created_at", "retired_at")
    list_filter = ("state", "mkek")
    search_fields = ("=id", "project__external_id")
    search_help_text = "pKEK id or part of a project id"
    list_select_related = ("project", "mkek")
    ordering = ("-created_at",)
    fields = (
        "id",
        "project",
        "generation",
        "state",
        "mkek",
        "wrap_algorithm",
        "format",
        "created_at",
        "retired_at",
    )
    readonly_fields = ("id", "created_at", "retired_at")
