"""A SoftHSM2 token for one machine: its configuration, and its birth with a PIN that nobody saw."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from state import FOLDER_MODE, StateFolder, StateRefused, write_private

TOKEN_LABEL = "keepsite-embedded"  # noqa: S105  # a name, not a password
PIN_BYTES = 24  # as URL-safe text: 32 characters
MODULE_PLACES = (
    "usr/lib/softhsm/libsofthsm2.so",
    "usr/lib/*/softhsm/libsofthsm2.so",
    "usr/local/lib/softhsm/libsofthsm2.so",
)
INITIALISER = Path(__file__).with_name("init_token.py")


def find_module() -> Path:
    """Where SoftHSM's PKCS#11 library is.

    Raises:
        StateRefused: nowhere; the package is missing.
    """
    for pattern in MODULE_PLACES:
        for module in sorted(Path("/").glob(pattern)):
            return module
    raise StateRefused("SoftHSM's library libsofthsm2.so was not found. Install the Debian package softhsm2.")


def write_configuration(state: StateFolder, module: Path) -> None:
    """What SoftHSM and Keepsite read to find the token.  The PIN stays in its own file."""
    write_private(state.softhsm_config, _softhsm_settings(state.tokens))
    write_private(
        state.hsm_config,
        'profile = "softhsm"\n'
        "\n"
        "[[members]]\n"
        'name = "softhsm"\n'
        f"module = {json.dumps(str(module))}\n"
        f"token_label = {json.dumps(TOKEN_LABEL)}\n"
        f"pin_file = {json.dumps(str(state.pin))}\n",
    )


def ensure_token(state: StateFolder, module: Path) -> bool:
    """Initialise the token with fresh random PINs, unless there is one; whether it was made now.

    The token is made in a folder beside and moved into place when complete, so an
    interrupted start leaves nothing half done.

    Raises:
        StateRefused: the token is there and its PIN is not, or SoftHSM said no.
    """
    if state.tokens.exists():
        if not state.pin.exists():
            raise StateRefused(
                f"The token in {state.tokens} is there, but its PIN file {state.pin} is not. "
                "Put the file back, or give up the stored secrets with `make clean-state`."
            )
        return False
    unfinished = state.path / "tokens.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=FOLDER_MODE)
    for file in (state.pin, state.so_pin):
        write_private(file, secrets.token_urlsafe(PIN_BYTES))
    _initialise(state, module, unfinished)
    unfinished.rename(state.tokens)
    return True


def _initialise(state: StateFolder, module: Path, tokens: Path) -> None:
    """Let a short process do it: the PINs go through a pipe, never as arguments or environment."""
    config = state.path / "softhsm2.conf.init"
    write_private(config, _softhsm_settings(tokens))
    wanted = {
        "module": str(module),
        "label": TOKEN_LABEL,
        "so_pin": state.so_pin.read_text(),
        "pin": state.pin.read_text(),
    }
    done = subprocess.run(
        [sys.executable, str(INITIALISER)],
        input=json.dumps(wanted),
        env={**os.environ, "SOFTHSM2_CONF": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    config.unlink()
    if done.returncode:
        raise StateRefused(f"SoftHSM could not initialise the token: {done.stderr.strip()}")


def _softhsm_settings(tokens: Path) -> str:
    return f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
