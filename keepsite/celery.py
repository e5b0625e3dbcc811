"""The Celery application: ``celery -A keepsite worker``."""

import os

from celery import Celery
from celery.signals import (
    import_modules,
    setup_logging,
    worker_before_create_process,
    worker_init,
    worker_process_init,
)
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")

TRANSPORT_ALIASES["filesystem"] = "keepsite.folder_transport:Transport"


@import_modules.connect
def _share_metrics(**_: object) -> None:
    """Connected before the application is made: Celery's own receiver imports the metrics library."""
    from django.conf import settings  # noqa: PLC0415  # not configured yet when Celery imports this module

    from keepsite.metrics import files  # noqa: PLC0415

    files.share(settings.STATE_DIR)


app = Celery("keepsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["orders_app", "keepsite.keyring"])


@setup_logging.connect
def _keep_our_logs(**_: object) -> None:
    """Celery configures logging unless somebody listens here; Django's settings have done it."""


@worker_init.connect
def _before_forking(**_: object) -> None:
    """In the parent: nothing here may load a PKCS#11 module."""
    from django.conf import settings  # noqa: PLC0415  # not configured yet when Celery imports this module

    from keepsite.env import broker_folders  # noqa: PLC0415
    from keepsite.startup import refuse_bad_settings, refuse_modules_before_fork  # noqa: PLC0415

    refuse_modules_before_fork()
    refuse_bad_settings()
    for folder in broker_folders(settings.CELERY_BROKER_TRANSPORT_OPTIONS):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@worker_before_create_process.connect
def _at_the_fork(**_: object) -> None:
    """In the parent, before each child (of brokers with an event loop): nobody has loaded one meanwhile."""
    from keepsite.startup import refuse_modules_before_fork  # noqa: PLC0415  # needs Django set up

    refuse_modules_before_fork()


@worker_process_init.connect
def _after_forking(**_: object) -> None:
    """In each child: the first order finds the token ready, a child that hangs in it is replaced."""
    from keepsite.recycling import replace_this_child  # noqa: PLC0415  # needs Django set up
    from keepsite.startup import ask_the_token, report  # noqa: PLC0415

    ask_the_token(threads=1, replace=replace_this_child)
    report()
