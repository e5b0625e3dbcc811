from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from hsm.keys import UnwrapTemplate
from keepsite.approvals.commands import MKEK_ACTIVATE
from keepsite.errors import KeepsiteError
from keepsite.identity.operators import command_principal
from keepsite.keyring import mkeks
from keepsite.keyring.management.template_words import NOT_BOUND, TEMPLATES
from keepsite.keyring.models import MKEK


class Command(BaseCommand):
    """Make a master key (MKEK) on the token and register it, pending until it is activated."""

    help = "Generate an MKEK on the token; it wraps nothing until mkek_activate (or --activate)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Label, and what to do with an existing one."""
        parser.add_argument("--label", required=True, help="CKA_LABEL, such as keepsite-mkek-20260131-1")
        parser.add_argument("--activate", action="store_true", help="also make it the current MKEK")
        parser.add_argument(
            "--template", choices=TEMPLATES, default=TEMPLATES[0],
            help="what the token shall demand of the pKEKs it unwraps (default: %(default)s)",
        )  # fmt: skip
        parser.add_argument(
            "--if-missing", action="store_true", help="do nothing when there is a current MKEK"
        )

    def handle(self, *, label: str, activate: bool, if_missing: bool, template: str, **_: object) -> None:
        """Generate, show the key check value, activate if asked."""
        current = MKEK.objects.filter(current_marker=True).first()
        if if_missing and current is not None:
            self.stdout.write(
                f"The current MKEK is {current.label}, key check value {current.kcv}. Nothing to do."
            )
            return
        if activate and current is not None and MKEK_ACTIVATE.is_guarded:
            raise CommandError(
                "Two persons are needed to activate it (KEEPSITE_TWO_PERSON_ACTS): generate it without"
                " --activate, then `mkek_activate --ask`."
            )
        actor = command_principal()
        try:
            made = mkeks.make_mkek(label=label, actor=actor, template=UnwrapTemplate(template))
            mkek = made.mkek
            self.stdout.write(
                f"MKEK {mkek.label} generated: CKA_ID {mkek.cka_id}, key check value "
                f"{mkek.kcv or 'not given by this token'}"
            )
            if made.gives_out:
                self.stderr.write(NOT_BOUND)
            if activate:
                mkeks.activate_mkek(mkek, actor=actor)
                self.stdout.write(f"MKEK {mkek.label} is current: it wraps new pKEKs from now on.")
        except KeepsiteError as error:
            raise CommandError(error.public) from error
