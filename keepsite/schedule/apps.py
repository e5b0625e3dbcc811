from django.apps import AppConfig


class ScheduleConfig(AppConfig):
    """Jobs that are due at intervals."""

    name = "keepsite.schedule"
    label = "schedule"
    verbose_name = "Schedule"
