from django.apps import AppConfig


class OperatorsConfig(AppConfig):
    """Second factors of operators, and who is locked out."""

    name = "keepsite.operators"
    label = "operators"
    verbose_name = "Operators"
