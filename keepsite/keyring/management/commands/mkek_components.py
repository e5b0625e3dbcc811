import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from keepsite.keyring.kcv import combined, key_check_value, new_component, wipe
from keepsite.keyring.management.component_files import component_file

CLEAR = "\x1b[2J\x1b[3J\x1b[H"


class Command(BaseCommand):
    """Make the components of a master key, one for each custodian."""

    help = (
        "Make random key components: shown one at a time, or written to private files. Two or more make an "
        "MKEK by XOR; each alone says nothing about it. Nothing is kept."
    )
    requires_system_checks = ()  # it touches neither database nor token

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many, and where to."""
        parser.add_argument("--count", type=int, default=1, help="how many (default: one, for one custodian)")
        parser.add_argument("--output", type=Path, metavar="FOLDER", help="write files there instead")

    def handle(self, *, count: int, output: Path | None, **_: object) -> None:
        """Make them, and the key check values for the protocol."""
        if count < 1:
            raise CommandError("--count must be 1 or more.")
        components = [new_component() for _ in range(count)]
        for number, component in enumerate(components, start=1):
            text = component_file(component, number=number, count=count)
            if output is None:
                self._show(text)
            else:
                path = output / f"component-{number}-of-{count}.txt"
                _write_new(path, text)
                self.stdout.write(f"{path}: key check value {key_check_value(component)}")
        if count > 1:
            key = combined(components)
            self.stdout.write(f"The key that they make has the key check value {key_check_value(key)}.")
            wipe(key)
        wipe(*components)

    def _show(self, text: str) -> None:
        self.stdout.write(text)
        if sys.stdout.isatty():
            input("Written down? Press Enter, and it goes from the screen. ")
            self.stdout.write(CLEAR)


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CommandError(f"Cannot make {path}: {error.strerror}. Name a folder without it.") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
