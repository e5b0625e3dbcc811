import json
import secrets
from argparse import ArgumentParser

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from keepsite import audit
from keepsite.console.models import OneTimePassword
from keepsite.console.roles import ROLES
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.operators import second_factor

PASSWORD_BYTES = 15  # 120 random bits, 20 characters


class Command(BaseCommand):
    """``operator create``, ``reset`` and their kin: who may use the console."""

    help = "Make an operator of the console, give one a new one-time password, remove a lost second factor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A verb each."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser(
            "create", help="make an operator; prints the one-time password once, as JSON"
        )
        create.add_argument("--username", required=True)
        _add_role(create, "default: all rights")
        create.add_argument(
            "--if-missing", action="store_true", help="do nothing, print {}, when there is one"
        )
        reset = verbs.add_parser("reset", help="a new one-time password for an operator who lost theirs")
        reset.add_argument("--username", required=True)
        roles = verbs.add_parser("roles", help="what an operator may do, from the next click on")
        roles.add_argument("--username", required=True)
        _add_role(roles, "none: all rights")
        remove = verbs.add_parser(
            "remove-second-factor", help="for who lost phone and recovery codes; the password stays"
        )
        remove.add_argument("--username", required=True)
        remove.add_argument("--reason", required=True, help="kept in the audit trail")

    def handle(
        self,
        *,
        verb: str,
        username: str,
        if_missing: bool = False,
        role: list[str] | None = None,
        reason: str = "",
        **_: object,
    ) -> None:
        """Do what the verb says."""
        known = User.objects.filter(username=username).first()
        if verb == "create" and known is not None:
            if if_missing:
                self.stdout.write("{}")
                return
            raise CommandError(
                f"There is an operator {username!r} already. `operator reset` gives a new password."
            )
        if verb != "create" and known is None:
            raise CommandError(f"There is no operator {username!r}. `operator create` makes one.")
        if verb == "roles" and known is not None:
            self._set_roles(known, role)
            return
        if verb == "remove-second-factor" and known is not None:
            self._remove_second_factor(known, reason)
            return
        before = {} if known is None else _standing(known)
        user = known or User(username=username, is_staff=True, is_superuser=not role)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        user.set_password(password)
        with transaction.atomic(durable=True):
            user.save()
            OneTimePassword.objects.get_or_create(user=user)
            if verb == "create":
                user.groups.set(Group.objects.filter(name__in=role or ()))
        audit.record(
            f"operator.{verb}",
            actor=command_principal(),
            subject=user,
            change=audit.Change(before=before, after=_standing(user)),
        )
        self.stdout.write(json.dumps({"username": username, "password": password}))

    def _remove_second_factor(self, user: User, reason: str) -> None:
        try:
            second_factor.remove(user, actor=command_principal(), reason=reason)
        except KeepsiteError as error:
            raise CommandError(error.public) from error
        self.stdout.write(
            f"{user.username}: the password alone opens the console, until they set up another."
        )

    def _set_roles(self, user: User, roles: list[str] | None) -> None:
        before = _rights(user)
        with transaction.atomic(durable=True):
            User.objects.filter(pk=user.pk).update(is_superuser=not roles)
            user.groups.set(Group.objects.filter(name__in=roles or ()))
        user.refresh_from_db()
        audit.record(
            "operator.roles_set",
            actor=command_principal(),
            subject=user,
            change=audit.Change(before=before, after=_rights(user)),
        )
        self.stdout.write(f"{user.username}: {', '.join(roles or ['all rights'])}.")


def _add_role(parser: ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--role", action="append", choices=sorted(ROLES), help=f"may be given several times; {default}"
    )


def _standing(user: User) -> dict[str, object]:
    has_one = OneTimePassword.objects.filter(user=user).exists()
    return {"username": user.username, **_rights(user), "has_one_time_password": has_one}


def _rights(user: User) -> dict[str, object]:
    return {
        "has_all_rights": user.is_superuser,
        "roles": sorted(user.groups.values_list("name", flat=True)),
    }
