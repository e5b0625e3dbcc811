from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.interventions import retry_order


class Command(BaseCommand):
    """Have a failed order made after all, or a waiting one tried at once."""

    help = "Have a failed order made after all, or a waiting one tried at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which order, and why."""
        parser.add_argument("order_id", metavar="ID")
        parser.add_argument("--reason", required=True, help="for the audit trail")

    def handle(self, *, order_id: str, reason: str, **_: object) -> None:
        """Do it, and say what the order is now."""
        try:
            order = retry_order(order_id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"{order}: {order.status}")
