"""A key component as a custodian keeps it on paper or in a file."""

import re
from pathlib import Path

from keepsite.errors import InvalidInput
from keepsite.keyring.kcv import key_check_value, read_component, written

_COMPONENT = re.compile(r"^component:(.*)$", re.MULTILINE)
_KCV = re.compile(r"^key check value:\s*([0-9A-Fa-f]{6})\s*$", re.MULTILINE)


def component_file(component: bytearray, *, number: int, count: int) -> str:
    """Three lines: which component it is, its value, its key check value."""
    return (
        f"Keepsite MKEK component {number} of {count}\n"
        f"component: {written(component)}\n"
        f"key check value: {key_check_value(component)}\n"
    )


def component_from(path: Path) -> bytearray:
    """The component in a file that ``component_file`` wrote, or that holds its digits alone.

    Raises:
        InvalidInput: it cannot be read, is no component, or does not fit its key check value.
    """
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as a component ({type(error).__name__}).") from None
    line = _COMPONENT.search(text)
    component = read_component(line[1] if line else text)
    told = _KCV.search(text)
    if told and told[1].upper() != key_check_value(component):
        raise InvalidInput(f"{path}: the component does not fit the key check value beside it.")
    return component
