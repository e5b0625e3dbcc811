"""All that a project has, deleted and brought back as one."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from keepsite.projects.models import Project
from secrets_app.models import Container, ContainerConsumer, Secret, SecretConsumer


def rows_of_project(project: Project) -> Iterator[QuerySet[Any]]:  # Any: rows of four kinds
    """Everything of ``project`` that can be deleted: each queryset has ``deleted_at``."""
    yield Container.objects.filter(project=project)
    yield Secret.objects.filter(project=project)
    yield SecretConsumer.objects.filter(secret__project=project)
    yield ContainerConsumer.objects.filter(container__project=project)
