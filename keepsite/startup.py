"""What a serving process does before its first request or order.

Settings that cannot work stop it.  A token that is away does not: metadata is served
and orders wait, while the log says what is wrong and what to do.
"""

import sys
import threading
from collections.abc import Callable

import structlog
from django.core.checks import ERROR, run_checks
from django.db import Error as DatabaseError
from django.db import connection

from hsm.errors import HSMError
from hsm.library import loaded_modules
from hsm.provider import hsm
from keepsite.errors import KeepsiteError
from keepsite.fleet.reporter import Reporter
from keepsite.keyring import services as keyring
from keepsite.metrics.hsm import HSMMetrics

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


def refuse_modules_before_fork() -> None:
    """Refuse to fork, in a parent that has loaded a PKCS#11 module.

    Its children would talk on its sockets and share its login.

    Raises:
        SystemExit: names the modules.
    """
    loaded = ", ".join(str(module) for module in loaded_modules())
    if loaded:
        log.critical("startup.module_loaded_before_fork", modules=loaded)
        sys.exit(f"{loaded} was loaded before fork: load it in the worker, not in its parent.")


def ask_the_token(*, threads: int = 1, replace: Callable[[str], None] | None = None) -> threading.Thread:
    """Log in to the token and have it prove the master keys, beside the serving threads.

    A token that hangs must not keep the process from serving metadata.  What is wrong
    is logged with what to do; requests find out again, by themselves.  ``replace`` is
    called once when HSM calls hang for good or in more than half of ``threads``; it
    has this process replaced.
    """
    asking = threading.Thread(
        target=_ask, args=(threads, replace), name="keepsite-ask-the-token", daemon=True
    )
    asking.start()
    return asking


def report() -> threading.Thread:
    """Have this process's node tell the console how it is doing, every ten seconds."""
    return Reporter().start()


def _ask(threads: int, replace: Callable[[str], None] | None) -> None:
    try:
        token = hsm()
        token.listen(HSMMetrics())
        if replace is not None:
            token.replace_when_stuck(replace, threads=threads)
        keyring.prove_token()
    except (KeepsiteError, HSMError, DatabaseError) as error:
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
