from django.apps import AppConfig


class ApiConfig(AppConfig):
    """What all API resources share: errors, paging, refs, microversions."""

    name = "keepsite.api"
    label = "api"
    verbose_name = "API"
