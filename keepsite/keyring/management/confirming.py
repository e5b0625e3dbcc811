import sys

from django.core.management.base import CommandError


def confirm(question: str, *, yes: bool) -> None:
    """Return if the person at the terminal says yes, or said so with ``--yes``.

    Raises:
        CommandError: they did not, or nobody is there to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{question} Nobody is at the terminal to ask: say --yes.")
    if input(f"{question} Type yes to go on: ").strip() != "yes":
        raise CommandError("Nothing was changed.")
