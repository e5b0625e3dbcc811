import json
import secrets
from argparse import ArgumentParser

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from keepsite import audit
from keepsite.console.models import OneTimePassword
from keepsite.identity.operators import command_principal

PASSWORD_BYTES = 15  # 120 random bits, 20 characters


class Command(BaseCommand):
    """``operator create`` and ``operator reset``: who may use the console."""

    help = "Make an operator of the console, or give one a new one-time password."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Two verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser(
            "create", help="make an operator; prints the one-time password once, as JSON"
        )
        create.add_argument("--username", required=True)
        create.add_argument(
            "--if-missing", action="store_true", help="do nothing, print {}, when there is one"
        )
        reset = verbs.add_parser("reset", help="a new one-time password for an operator who lost theirs")
        reset.add_argument("--username", required=True)

    def handle(self, *, verb: str, username: str, if_missing: bool = False, **_: object) -> None:
        """Do what the verb says."""
        known = User.objects.filter(username=username).first()
        if verb == "create" and known is not None:
            if if_missing:
                self.stdout.write("{}")
                return
            raise CommandError(
                f"There is an operator {username!r} already. `operator reset` gives a new password."
            )
        if verb == "reset" and known is None:
            raise CommandError(f"There is no operator {username!r}. `operator create` makes one.")
        user = known or User(username=username, is_staff=True, is_superuser=True)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        user.set_password(password)
        with transaction.atomic(durable=True):
            user.save()
            OneTimePassword.objects.get_or_create(user=user)
        audit.record(f"operator.{verb}", actor=command_principal(), subject=user)
        self.stdout.write(json.dumps({"username": username, "password": password}))
