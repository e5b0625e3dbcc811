from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from orders_app.interventions import cancel_order


class Command(BaseCommand):
    """End a waiting order with an error."""

    help = "End a waiting order with an error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which order, and why."""
        parser.add_argument("order_id", metavar="ID")
        parser.add_argument("--reason", required=True, help="for the audit trail; its client reads it too")

    def handle(self, *, order_id: str, reason: str, **_: object) -> None:
        """Do it, and say what the order is now."""
        try:
            order = cancel_order(order_id, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(f"{order}: {order.status}")
