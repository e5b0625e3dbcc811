"""What must hold of the HSM's configuration before anything starts.

No token is touched: checks also run in parents that fork, and a module must be
loaded after the fork.  ``manage.py hsm_check`` asks the token.
"""

import stat
from collections.abc import Sequence

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning

from hsm import provider
from hsm.config import MemberConfig
from hsm.errors import ConfigInvalid
from hsm.footprint import beyond_budget


def check_configuration(app_configs: Sequence[AppConfig] | None, **_: object) -> Sequence[CheckMessage]:
    """The configuration file is there, is understood, and names modules that exist."""
    del app_configs
    try:
        config = provider.config_from_settings()
    except ConfigInvalid as error:
        return [
            Error(
                str(error),
                hint="Set KEEPSITE_HSM_CONFIG to the TOML file of your HSM; `make run` makes one.",
                id="hsm.E001",
            )
        ]
    return [
        Error(
            f"HSM member {member.name!r}: there is no module {member.module}.",
            hint="Install the vendor's PKCS#11 module, or mend `module` in the file.",
            id="hsm.E002",
        )
        for member in config.members
        if not member.module.is_file()
    ] + [
        Error(
            f"HSM member {member.name!r}: its token refused the PIN of {member.pin.origin} before.",
            hint=f"Nobody tries it again. Correct it, or remove {member.pin.marker} once the token takes it.",
            id="hsm.E004",
        )
        for member in config.members
        if member.pin.was_refused()
    ]


def check_pin_files(app_configs: Sequence[AppConfig] | None, **_: object) -> Sequence[CheckMessage]:
    """A PIN is as good as the keys: nobody but this user and its group may read it."""
    del app_configs
    return [
        Error(
            f"HSM member {member.name!r}: every user of this machine may read {file}.",
            hint=f"chmod 600 {file}",
            id="hsm.E003",
        )
        for member in _config_members()
        if (file := member.pin.file) is not None and file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)
    ]


def check_session_objects(app_configs: Sequence[AppConfig] | None, **_: object) -> Sequence[CheckMessage]:
    """The handle caches of all processes fit into the token, as far as its operator has said what fits."""
    del app_configs
    try:
        too_much = beyond_budget(provider.config_from_settings())
    except ConfigInvalid:
        return []  # check_configuration says so
    if too_much is None:
        return []
    return [
        Error(
            f"{too_much[0].upper()}{too_much[1:]}.",
            hint="Lower KEEPSITE_HSM_CACHE_MAX_KEYS, or give the partition more room.",
            id="hsm.E005",
        )
    ]


def check_software_token(app_configs: Sequence[AppConfig] | None, **_: object) -> Sequence[CheckMessage]:
    """A deployment ought to keep its keys in hardware."""
    del app_configs
    return [
        CheckWarning(
            f"HSM member {member.name!r} is SoftHSM: its keys lie in files that can be copied.",
            hint="Use a hardware token in production, or silence hsm.W001 and say why.",
            id="hsm.W001",
        )
        for member in _config_members()
        if "softhsm" in member.module.name.lower()
    ]


def _config_members() -> tuple[MemberConfig, ...]:
    try:
        return provider.config_from_settings().members
    except ConfigInvalid:
        return ()  # check_configuration says so
