import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings

from hsm.client import HSM
from hsm.config import HSMConfig, load_config
from hsm.errors import ConfigInvalid
from hsm.keys import WrappedKey

_lock = threading.Lock()
_hsm: HSM | None = None
_mkeks_in_service: Callable[[], Mapping[str, WrappedKey]] = dict


def hsm() -> HSM:
    """Return the process's one HSM, built from settings on first use and anew after a fork.

    It loads nothing until its first verb, so a parent that forks may hold it;
    a child whose parent has used it gets ``ForkedHSM`` from every verb.

    Raises:
        ConfigInvalid: the configuration file is missing or wrong.
    """
    global _hsm  # noqa: PLW0603 - one per process is the point
    if _hsm is None:
        with _lock:
            if _hsm is None:
                _hsm = HSM(config_from_settings())
    return _hsm


def config_from_settings() -> HSMConfig:
    """Return the configuration that the settings name.

    Raises:
        ConfigInvalid: HSM_CONFIG is empty, or the file is missing or wrong.
    """
    if not settings.HSM_CONFIG:
        raise ConfigInvalid(
            "KEEPSITE_HSM_CONFIG is not set; it is the path of the TOML file that names the HSM's members"
        )
    return load_config(
        Path(settings.HSM_CONFIG),
        pool_size=settings.HSM_POOL_SIZE,
        wait_s=settings.HSM_WAIT_S,
        cache_max_keys=settings.HSM_CACHE_MAX_KEYS,
        processes=settings.HSM_PROCESSES,
    )


def tell() -> None:
    """Bring whoever listens to the process's HSM up to date; nothing if it is not in use."""
    if _hsm is not None:
        _hsm.tell()


def is_ready() -> bool:
    """Return whether a member of the process's HSM can serve, from memory: no token is asked."""
    return _hsm is not None and any(member.state.serves for member in _hsm.status())


def has_calls_in_flight() -> bool:
    """Return whether a request is inside a module; ending the interpreter would wait for it."""
    return _hsm is not None and any(member.in_flight for member in _hsm.status())


def register_mkeks(source: Callable[[], Mapping[str, WrappedKey]]) -> None:
    """Have ``source`` tell which MKEKs are in service: the canary of each, by label."""
    global _mkeks_in_service  # noqa: PLW0603 - registered once, at start
    _mkeks_in_service = source


def mkeks_in_service() -> Mapping[str, WrappedKey]:
    """Return the canaries of the MKEKs that stored keys need, by label; none if nobody knows."""
    return _mkeks_in_service()


def reset() -> None:
    """Close the process's HSM, so that the next use reads the settings again; for tests."""
    global _hsm
    with _lock:
        old, _hsm = _hsm, None
    if old is not None:
        old.close()


def _drop_in_child() -> None:
    """Forget the parent's HSM without calling its module, which may talk on a shared socket."""
    global _hsm, _lock
    _hsm, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_drop_in_child)
