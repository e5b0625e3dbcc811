from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """Projects: the tenants whose secrets are kept."""

    name = "keepsite.projects"
    label = "projects"
    verbose_name = "Projects"
