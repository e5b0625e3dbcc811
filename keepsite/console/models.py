from django.conf import settings
from django.db import models
from django.utils import timezone


class OneTimePassword(models.Model):
    """Says that an operator still has the password they were given, and must choose their own."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="one_time_password"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"one-time password of {self.user}"


class Preference(models.Model):
    """How an operator wants the console to show things."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="preference"
    )
    zone = models.CharField(max_length=64, blank=True)  # its IANA name; empty: the browser's

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"preference of {self.user}"
