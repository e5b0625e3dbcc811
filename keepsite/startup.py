"""What a serving process does before its first request or order.

Settings that cannot work stop it.  A token that is away does not: metadata is served
and orders wait, while the log says what is wrong and what to do.
"""

import sys
import threading

import structlog
from django.core.checks import ERROR, run_checks
from django.db import Error as DatabaseError
from django.db import connection

from keepsite.errors import KeepsiteError
from keepsite.keyring import services as keyring

log = structlog.get_logger(__name__)


def refuse_bad_settings() -> None:
    """Run the system checks; no token is touched.

    Raises:
        SystemExit: a check found an error; each stands on standard error with what to do.
    """
    problems = [problem for problem in run_checks() if problem.level >= ERROR and not problem.is_silenced()]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if problems:
        sys.stderr.write("Keepsite does not start like this. `manage.py check` shows the same.\n")
        raise SystemExit(1)


def ask_the_token() -> threading.Thread:
    """Log in to the token and have it prove the master keys, beside the serving threads.

    A token that hangs must not keep the process from serving metadata.  What is wrong
    is logged with what to do; requests find out again, by themselves.
    """
    asking = threading.Thread(target=_ask, name="keepsite-ask-the-token", daemon=True)
    asking.start()
    return asking


def _ask() -> None:
    try:
        keyring.prove_token()
    except (KeepsiteError, DatabaseError) as error:
        log.error(  # noqa: TRY400  # the causes were logged where they arose
            "startup.token_not_ready",
            error=type(error).__name__,
            reason=str(error.__cause__ or error),
            hint="Run `manage.py hsm_check` and `manage.py check --database default`; they say what to do.",
        )
    else:
        log.info("startup.token_ready")
    finally:
        connection.close()
