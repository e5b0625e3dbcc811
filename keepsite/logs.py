"""Logs: one JSON object per line on standard error, each with the id of its request."""

import logging.config
from typing import TypedDict

import structlog


class Logging(TypedDict):
    """What settings say about logs: the lowest level that is written."""

    level: str


def configure(settings: Logging) -> None:
    """Send structlog's and the standard library's records through one renderer."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.JSONRenderer(),
                    ],
                },
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["stderr"], "level": settings["level"]},
            # Django logs every 4xx as a warning and request objects with it; our audit record says more.
            # keystonemiddleware tells of every refused token and quotes Keystone's answers.
            "loggers": {
                "django.request": {"level": "ERROR"},
                "keystonemiddleware": {"level": "ERROR"},
            },
        }
    )
