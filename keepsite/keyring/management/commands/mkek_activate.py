from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import services
from keepsite.keyring.models import MKEK


class Command(BaseCommand):
    """Make a pending MKEK the current one."""

    help = "Activate a pending MKEK: it wraps new pKEKs from now on, the former one only unwraps."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The label."""
        parser.add_argument("label")

    def handle(self, *, label: str, **_: object) -> None:
        """Switch, or say why not."""
        mkek = MKEK.objects.filter(label=label).first()
        if mkek is None:
            known = ", ".join(MKEK.objects.order_by("created_at").values_list("label", flat=True)) or "none"
            raise CommandError(f"There is no MKEK labelled {label!r}. Known: {known}.")
        try:
            services.activate_mkek(mkek, actor=command_principal())
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"MKEK {mkek.label} is current: it wraps new pKEKs from now on.")
