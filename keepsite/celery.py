"""The Celery application: ``celery -A keepsite worker``."""

import os

from celery import Celery
from celery.signals import setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")

app = Celery("keepsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["orders_app"])


@setup_logging.connect
def _keep_our_logs(**_: object) -> None:
    """Celery configures logging unless somebody listens here; Django's settings have done it."""


@worker_init.connect
def _make_broker_folders(**_: object) -> None:
    from django.conf import settings  # noqa: PLC0415  # not configured yet when Celery imports this module

    from keepsite.env import broker_folders  # noqa: PLC0415

    for folder in broker_folders(settings.CELERY_BROKER_TRANSPORT_OPTIONS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
