"""What crypto officers do with master keys."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _

from hsm.keys import UnwrapTemplate
from hsm.member import State
from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm
from keepsite.acts.act import Rows
from keepsite.errors import Unavailable
from keepsite.keyring import mkeks
from keepsite.keyring.management.template_words import NOT_BOUND
from keepsite.keyring.models import MKEK
from keepsite.keyring.querysets import current_mkek, needed_pkeks
from keepsite.readonly import Fact, Tone, code, detail_url, missing, moment, text
from keepsite.translation import gettext_lazy

TEMPLATE_WORDS = (
    (UnwrapTemplate.NONE.value, gettext_lazy("none: every token can do it")),
    (
        UnwrapTemplate.ROTATABLE.value,
        gettext_lazy("rotatable: pKEKs cannot be read, and move to trusted MKEKs only"),
    ),
    (
        UnwrapTemplate.STRICT.value,
        gettext_lazy("strict: pKEKs never leave; replacing the MKEK means new pKEKs"),
    ),
)
PROOF_WORDS = {
    "": gettext_lazy("opens its canary"),
    "MKEKNotFound": gettext_lazy("lacks this key: clone or import it there first"),
    "CanaryMismatch": gettext_lazy("holds another key under this id: remove that key there, then clone"),
}


class GenerateForm(ReasonForm):
    """A name, and what the token shall demand of keys that this one wraps."""

    label = forms.CharField(
        label=gettext_lazy("Label"),
        max_length=64,
        validators=[
            RegexValidator(r"^[\x21-\x7e]+$", gettext_lazy("Letters, digits and signs without spaces."))
        ],
        help_text=gettext_lazy(
            "CKA_LABEL on the token, such as keepsite-mkek-20260131-1. It must be new, here and there."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    template = forms.ChoiceField(label=gettext_lazy("Unwrap template"), choices=TEMPLATE_WORDS)
    field_order = ("label", "template", "reason", "password")


class ActivateForm(ReasonForm):
    """Whether members that are away matter."""

    absent_ok = forms.BooleanField(
        label=gettext_lazy("Go on without members that are down"),
        required=False,
        help_text=gettext_lazy(
            "They are not asked now, and are quarantined when they come back without the key."
        ),
    )
    field_order = ("absent_ok", "reason", "typed", "password")


class GenerateMKEK(Act):
    """Make one on the token; it wraps nothing yet."""

    name = "generate"
    label = gettext_lazy("Generate an MKEK")
    permission = "keyring.generate_mkek"
    scope = "list"
    needs_recent_login = True
    form_class = GenerateForm

    def title(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What the page asks."""
        return self.label

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # of the list as a whole
        """What that means."""
        return _(
            "A new AES-256 key is born on one member of the HSM and never leaves it in the clear. It is"
            " pending: it wraps nothing until it is activated, so traffic notices nothing. With several"
            " members, clone it to the others as the vendor says before you activate it."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:  # noqa: ARG002  # of the list as a whole
        """What holds now."""
        current = current_mkek()
        waiting = MKEK.objects.filter(state=MKEK.State.PENDING).count()
        return (
            Fact(
                label=_("Current MKEK"),
                value=current.label if current else missing(_("none yet")),
                note=_("It stays current.")
                if current
                else _("Activate the new one to store anything at all."),
            ),
            Fact(label=_("Pending ones"), value=text(waiting)),
        )

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # noqa: ARG002  # Any: a form
        """On the token and in its row on return."""
        new = mkeks.make_mkek(
            label=wanted["label"],
            actor=actor,
            template=UnwrapTemplate(wanted["template"]),
            reason=wanted["reason"],
        )
        return Outcome(
            done=(
                _("MKEK %(label)s is generated. Its key check value, for the protocol: %(kcv)s.")
                % {"label": new.mkek.label, "kcv": new.mkek.kcv or _("not given by this token")}
            ),
            refused=(NOT_BOUND,) if new.gives_out else (),
            url=detail_url(MKEK, new.mkek.pk),
        )


class ActivateMKEK(Act):
    """Make a pending one current."""

    name = "activate"
    label = gettext_lazy("Activate")
    permission = "keyring.activate_mkek"
    is_destructive = True
    form_class = ActivateForm

    def applies_to(self, row: MKEK, *, now: datetime) -> bool:  # noqa: ARG002  # whenever
        """Only what wraps nothing yet."""
        return row.state == MKEK.State.PENDING

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Activate the MKEK %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "From then on it wraps new pKEKs. The current one becomes previous: it unwraps what it wrapped"
            " until that is rewrapped. Nothing is restarted. A previous MKEK never becomes current again."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """What it replaces, and whether every member holds it; each is asked now."""
        if not rows:
            return ()
        current = current_mkek()
        replaced = Fact(
            label=_("It replaces"),
            value=current.label if current else missing(_("none: it is the first")),
            note=_("Key check value %(kcv)s.") % {"kcv": current.kcv} if current else "",
        )
        return (Fact(label=_("Key check value"), value=code(rows[0].kcv)), replaced, *_proofs(rows[0]))

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Every member has shown that it holds it."""
        mkeks.activate_mkek(rows[0], actor=actor, absent_ok=wanted["absent_ok"], reason=wanted["reason"])
        return Outcome(
            done=_("%(row)s is current. Rewrap the pKEKs under the former one next, then retire it.")
            % {"row": rows[0]}
        )


class RetireMKEK(Act):
    """End the service of a previous one."""

    name = "retire"
    label = gettext_lazy("Retire")
    permission = "keyring.retire_mkek"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: MKEK, *, now: datetime) -> bool:  # noqa: ARG002  # the service looks at the clock
        """Only what another has replaced."""
        return row.state == MKEK.State.PREVIOUS

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Retire the MKEK %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "It unwraps nothing any more, and members need not hold it. It is refused while a single pKEK"
            " needs it. The key object stays on the token: remove it there by the vendor's tools, and not"
            " before backups of the database that need it are gone."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """What still needs it, and from when on it may go."""
        if not rows:
            return ()
        mkek = rows[0]
        needed = needed_pkeks().filter(mkek=mkek).count()
        ready_at = mkek.superseded_at and mkek.superseded_at + timedelta(seconds=settings.KEK_GRACE_S)
        return (
            Fact(
                label=_("pKEKs under it"),
                value=text(needed),
                note=_("Rewrap them first.") if needed else _("Nothing needs it."),
            ),
            Fact(
                label=_("Not before"),
                value=moment(ready_at) if ready_at else missing(_("not known")),
                note=_("What began before it was replaced may still wrap under it."),
            ),
        )

    def perform(self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: a form
        """Durable on return."""
        mkeks.retire_mkek(rows[0], actor=actor, reason=wanted["reason"])
        return Outcome(done=_("%(row)s is retired. Its key object stays on the token.") % {"row": rows[0]})


def _proofs(mkek: MKEK) -> tuple[Fact, ...]:
    try:
        views = mkeks.member_views((mkek,))
    except Unavailable as error:
        return (Fact(label=_("HSM"), value=_("does not answer"), note=error.public),)
    facts = []
    for view in views:
        why_not = view.proofs[mkek.canary.key_id]
        if not why_not or view.state is State.UP:
            unknown = _("does not open its canary (%(error)s)") % {"error": why_not}
            words = str(PROOF_WORDS.get(why_not, unknown))
        else:
            words = _("is %(state)s: not asked") % {"state": view.state}
        facts.append(Fact(label=_("Member %(name)s") % {"name": view.name}, value=words))
    return tuple(facts)
