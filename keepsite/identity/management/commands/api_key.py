import os
from argparse import ArgumentParser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from keepsite.errors import KeepsiteError
from keepsite.identity import api_keys
from keepsite.identity.models import APIKey
from keepsite.identity.operators import command_principal


class Command(BaseCommand):
    """``api_key create``, ``list`` and ``revoke``: the credentials of KEEPSITE_AUTH=local."""

    help = "Make, list and revoke API keys, the credentials of KEEPSITE_AUTH=local."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a key; it is shown once")
        create.add_argument("--project", required=True, help="the project's id")
        create.add_argument("--user", required=True, help="user id; creator_id of what the key makes")
        create.add_argument("--role", action="append", required=True, help="may be given several times")
        create.add_argument("--name", required=True, help="what the key is for")
        create.add_argument("--expires-in-days", type=float, help="default: never")
        create.add_argument(
            "--output", type=Path, help="write the key to this new file (0600) instead of printing it"
        )
        verbs.add_parser("list", help="all keys, newest last; never the keys themselves")
        revoke = verbs.add_parser("revoke", help="end a key at once")
        revoke.add_argument("id", help="the id that `api_key list` shows")
        revoke.add_argument("--reason", default="", help="for the audit trail")

    def handle(self, *, verb: str, **options: Any) -> None:  # Any: argparse's values
        """Do what the verb says."""
        try:
            {"create": self._create, "list": self._list, "revoke": self._revoke}[verb](**options)
        except KeepsiteError as error:
            raise CommandError(error.public) from error

    def _create(self, **options: Any) -> None:  # Any: argparse's values
        output: Path | None = options["output"]
        descriptor = _new_private_file(output) if output else None
        key, text = api_keys.create_api_key(
            project_id=options["project"],
            user_id=options["user"],
            roles=options["role"],
            name=options["name"],
            expires_at=_in_days(options["expires_in_days"]),
            actor=command_principal(),
        )
        if descriptor is None:
            self.stderr.write(f"API key {key.id}, shown this once:")
            self.stdout.write(text)
            return
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        self.stdout.write(f"API key {key.id} written to {output}")

    def _list(self, **_: Any) -> None:  # Any: argparse's values
        for key in APIKey.objects.select_related("project").order_by("created_at", "id"):
            state = "revoked" if key.revoked_at else "valid" if key.is_valid(timezone.now()) else "expired"
            roles = ",".join(key.roles)
            used = f"used {key.last_used_at:%Y-%m-%dT%H:%MZ}" if key.last_used_at else "never used"
            self.stdout.write(
                f"{key.id}  {state:8}  {used:22}  {key.project}  {key.user_id}  {roles}  {key.name}"
            )

    def _revoke(self, *, id: str, reason: str, **_: Any) -> None:  # noqa: A002  # argparse's name; Any: its values
        key = APIKey.objects.filter(id=id).first()
        if key is None:
            raise CommandError(f"There is no API key {id}. `api_key list` shows them all.")
        api_keys.revoke_api_key(key, actor=command_principal(), reason=reason)
        self.stdout.write(f"API key {key.id} is revoked.")


def _in_days(days: float | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _new_private_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandError(
            f"Cannot make {path}: {error.strerror}. Name a file that does not exist yet."
        ) from error
