from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from keepsite.projects.models import Project
from keepsite.readonly import ReadOnlyAdmin


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    """Projects and how much they keep here."""

    list_display = ("external_id", "secret_count", "order_count", "created_at")
    search_fields = ("external_id",)
    search_help_text = "Part of a project id"
    ordering = ("external_id",)
    fields = ("id", "external_id", "secret_count", "order_count", "created_at")
    readonly_fields = ("id", "secret_count", "order_count", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Projects with the number of secrets and orders that are not deleted."""
        projects: QuerySet[Project] = super().get_queryset(request)
        return projects.annotate(
            live_secrets=Count("secrets", filter=Q(secrets__deleted_at=None), distinct=True),
            live_orders=Count("orders", filter=Q(orders__deleted_at=None), distinct=True),
        )

    @admin.display(description="secrets", ordering="live_secrets")
    def secret_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Secrets not deleted."""
        count: int = project.live_secrets
        return count

    @admin.display(description="orders", ordering="live_orders")
    def order_count(self, project: Any) -> int:  # Any: a Project with the annotations above
        """Orders not deleted."""
        count: int = project.live_orders
        return count
