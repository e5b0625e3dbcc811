"""The environment of the embedded deployment: one folder, one machine, no other server."""

import os
from collections.abc import Mapping

from state import StateFolder

DEFAULT_BIND = "127.0.0.1:9311"
# What a shell may have set for some other deployment, and what must not reach this one.
FOREIGN_PREFIXES = ("CELERY_", "DJANGO_", "GUNICORN_")


def embedded_variables(state: StateFolder, bind: str) -> dict[str, str]:
    """What makes the product run from the state folder.  No value is a secret."""
    return {
        "DJANGO_SETTINGS_MODULE": "keepsite.settings",
        "KEEPSITE_STATE_DIR": str(state.path),
        "KEEPSITE_SECRET_KEY_FILE": str(state.secret_key),
        "KEEPSITE_DATABASE_URL": f"sqlite:///{state.database}",
        "KEEPSITE_BROKER_URL": f"filesystem://{state.broker}",
        "KEEPSITE_HSM_CONFIG": str(state.hsm_config),
        "KEEPSITE_AUTH": "local",
        "KEEPSITE_BIND": bind,
        "KEEPSITE_TLS": "false",  # plain http on this machine
        "KEEPSITE_NODE_NAME": "embedded",
        "SOFTHSM2_CONF": str(state.softhsm_config),
    }


def process_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The shell's environment with ``variables`` in it, and without what belongs to other deployments."""
    ours = {_base_name(name) for name in variables}
    kept = {
        name: value
        for name, value in os.environ.items()
        if _base_name(name) not in ours and not name.startswith(FOREIGN_PREFIXES)
    }
    return kept | dict(variables)


def overruled(variables: Mapping[str, str]) -> list[str]:
    """Names of Keepsite's variables that the shell sets to something else than ``make run`` uses."""
    ours = {_base_name(name): name for name in variables}
    return sorted(
        name
        for name, value in os.environ.items()
        if name.startswith("KEEPSITE_")
        and _base_name(name) in ours
        and variables.get(name) != value
        and name not in {"KEEPSITE_STATE_DIR", "KEEPSITE_BIND"}
    )


def _base_name(name: str) -> str:
    """``X`` and ``X_FILE`` are two ways to say the same."""
    return name.removesuffix("_FILE")
