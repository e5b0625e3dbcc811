"""Master keys: generated on the token or brought in parts, activated, retired."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from hsm import ceremony
from hsm.ceremony import CanaryText, MadeMKEK, MemberView
from hsm.errors import ImportRefused, LabelTaken
from hsm.keys import MKEK_ID_BYTES, MKEKInfo, UnwrapTemplate
from hsm.member import State
from hsm.provider import hsm
from keepsite import audit, writes
from keepsite.errors import Conflict
from keepsite.ids import new_id
from keepsite.keyring import canaries
from keepsite.keyring.errors import translating
from keepsite.keyring.kcv import key_check_value
from keepsite.keyring.models import MKEK
from keepsite.keyring.querysets import needed_pkeks, serving_mkeks

SHOWN_PROJECTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMKEK:
    """A registered MKEK; ``gives_out`` if the token lets the keys it wraps be read by whoever has the PIN."""

    mkek: MKEK
    gives_out: bool


def generate_mkek(*, label: str, actor: audit.Actor, template: UnwrapTemplate = UnwrapTemplate.NONE) -> MKEK:
    """Make an MKEK on the token and its row, state pending: it wraps nothing yet.

    Raises:
        Conflict: a key or a row with that label exists.
        Unavailable: no token could serve.
    """
    return make_mkek(label=label, actor=actor, template=template).mkek


def make_mkek(
    *,
    label: str,
    actor: audit.Actor,
    template: UnwrapTemplate = UnwrapTemplate.NONE,
    reason: str = "",
) -> NewMKEK:
    """``generate_mkek``, telling too whether the token enforces what the template says."""
    _refuse_known(label)
    mkek = MKEK(id=new_id(), label=label)
    with translating("generate_mkek", label=label):
        token = hsm()
        if any(found.label == label for found in token.mkeks()):
            raise Conflict(
                f"The token holds a key labelled {label!r} that no row knows. Choose another label."
            )
        made = ceremony.make_mkek(token, label=label, template=template, canary=_canary_text(mkek))
    _register(mkek, made)
    audit.record("mkek.generated", actor=actor, subject=mkek, reason=reason, change=_made(mkek))
    return NewMKEK(mkek=mkek, gives_out=made.gives_out)


def import_mkek(
    *,
    label: str,
    value: bytearray,
    members: tuple[str, ...],
    actor: audit.Actor,
    template: UnwrapTemplate = UnwrapTemplate.NONE,
) -> NewMKEK:
    """Make 32 known bytes an MKEK of these members' tokens; a row of that label is added to, or made pending.

    Members that hold it already are left as they are, so that a ceremony that broke
    off can be held again.  ``value`` is the caller's to wipe.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: the label is another key's, here or on a token, or a token takes no keys.
        Unavailable: a member is away.
    """
    audit.require_operator(actor)
    kcv = key_check_value(value)
    mkek = MKEK.objects.filter(label=label).first()
    if mkek is not None and mkek.kcv != kcv:
        raise Conflict(
            f"The MKEK labelled {label!r} has the key check value {mkek.kcv}, these parts make {kcv}."
        )
    if not members:
        raise Conflict("No member was named, so nothing was imported.")
    new = MKEKInfo(
        mkek_id=_cka_id(mkek, label, members[0]), label=label, kcv=bytes.fromhex(kcv), template=template
    )
    gives_out = False
    with translating("import_mkek", label=label):
        for member in members:
            _import_to(member, new, value)
            row = mkek or MKEK(id=new_id(), label=label)
            made = ceremony.canary_for(hsm(), member=member, mkek_id=new.mkek_id, canary=_canary_text(row))
            _require_equal(made, value, member=member)
            gives_out |= made.gives_out
            if mkek is None:
                _register(row, made, kcv=kcv)
                mkek = row
            audit.record(
                "mkek.imported", actor=actor, subject=row, reason=f"member {member}", change=_made(row)
            )
    return NewMKEK(mkek=row, gives_out=gives_out)


def activate_mkek(mkek: MKEK, *, actor: audit.Actor, absent_ok: bool = False, reason: str = "") -> None:
    """From now on ``mkek`` wraps new pKEKs; the current one becomes previous.

    Every member must have opened its canary just now; with ``absent_ok`` those that are
    down are not asked, and will have to when they come back.

    Raises:
        Conflict: it is not pending, or a member does not hold it.
    """
    if mkek.state != MKEK.State.CURRENT:
        _require_on_members(mkek, absent_ok=absent_ok)
    replaced: list[MKEK] = []

    def switch() -> None:
        replaced[:] = MKEK.objects.filter(state=MKEK.State.CURRENT).exclude(id=mkek.id)
        MKEK.objects.filter(state=MKEK.State.CURRENT).exclude(id=mkek.id).update(
            state=MKEK.State.PREVIOUS, current_marker=None, superseded_at=timezone.now()
        )
        moved = MKEK.objects.filter(id=mkek.id, state__in=[MKEK.State.PENDING, MKEK.State.CURRENT]).update(
            state=MKEK.State.CURRENT, current_marker=True
        )
        if not moved:
            raise Conflict(f"{mkek.label} is not pending, so it cannot be activated.")

    writes.commit(switch, committed=MKEK.objects.filter(id=mkek.id, current_marker=True).exists)
    change = audit.Change(
        before={"state": mkek.state, "current_mkek": replaced[0].label if replaced else None},
        after={"state": MKEK.State.CURRENT, "current_mkek": mkek.label},
    )
    audit.record("mkek.activated", actor=actor, subject=mkek, reason=reason, change=change)
    mkek.refresh_from_db()


def retire_mkek(mkek: MKEK, *, actor: audit.Actor, now: datetime | None = None, reason: str = "") -> None:
    """End the service of a previous MKEK that wraps nothing needed any more; the token keeps its key.

    Raises:
        NotAllowed: ``actor`` is no operator.
        Conflict: it is not previous, was replaced too recently, or is needed; says by how many, and where.
    """
    audit.require_operator(actor)
    now = now or timezone.now()
    if mkek.state != MKEK.State.PREVIOUS:
        raise Conflict(
            f"{mkek.label} is {mkek.state}; only a previous MKEK is retired, once another is current."
        )
    _refuse_needed(mkek)
    MKEK.objects.filter(id=mkek.id, superseded_at=None).update(superseded_at=now)
    mkek.refresh_from_db()
    ready_at = (mkek.superseded_at or now) + timedelta(seconds=settings.KEK_GRACE_S)
    if now < ready_at:
        raise Conflict(
            f"{mkek.label} was replaced at {mkek.superseded_at:%Y-%m-%dT%H:%M:%SZ}; what began before that"
            f" may still wrap under it. Retire it after {ready_at:%Y-%m-%dT%H:%M:%SZ}."
        )

    def retire() -> None:
        previous = MKEK.objects.filter(id=mkek.id, state=MKEK.State.PREVIOUS)
        if needed_pkeks().filter(mkek=mkek).exists() or not previous.update(state=MKEK.State.RETIRED):
            raise Conflict(f"{mkek.label} has just come into use again. Run mkek_rewrap.")

    writes.commit(retire, committed=MKEK.objects.filter(id=mkek.id, state=MKEK.State.RETIRED).exists)
    _refuse_needed(mkek, and_revive=True)
    change = audit.Change(before={"state": MKEK.State.PREVIOUS}, after={"state": MKEK.State.RETIRED})
    audit.record("mkek.retired", actor=actor, subject=mkek, reason=reason, change=change)
    mkek.refresh_from_db()


def member_views(mkeks: tuple[MKEK, ...] | None = None) -> tuple[MemberView, ...]:
    """What each member holds, and which of these MKEKs (all in service) it proves."""
    wanted = tuple(serving_mkeks()) if mkeks is None else mkeks
    with translating("compare_members"):
        token = hsm()
        token.start()
        return ceremony.compare_members(token, [mkek.canary for mkek in wanted])


def _require_on_members(mkek: MKEK, *, absent_ok: bool) -> None:
    lacking = [
        f"{view.name} ({view.proofs[mkek.canary.key_id]})"
        for view in member_views((mkek,))
        if not view.holds(mkek.canary) and not (absent_ok and view.state is not State.UP)
    ]
    if lacking:
        raise Conflict(
            f"{mkek.label} does not open its canary on {', '.join(lacking)}: clone or import it there first."
            " Nothing was changed."
        )


def _refuse_needed(mkek: MKEK, *, and_revive: bool = False) -> None:
    needed = needed_pkeks().filter(mkek=mkek)
    by_state = dict(needed.order_by().values_list("state").annotate(count=Count("id")))
    if not by_state:
        return
    if and_revive:
        MKEK.objects.filter(id=mkek.id, state=MKEK.State.RETIRED).update(state=MKEK.State.PREVIOUS)
    raise Conflict(_needed_sentence(mkek, by_state))


def _needed_sentence(mkek: MKEK, by_state: Mapping[str, int]) -> str:
    needed = needed_pkeks().filter(mkek=mkek)
    projects = needed.order_by("project__external_id").values_list("project__external_id", flat=True)
    named = list(projects.distinct()[: SHOWN_PROJECTS + 1])
    where = ", ".join(named[:SHOWN_PROJECTS]) + (", ..." if len(named) > SHOWN_PROJECTS else "")
    counts = ", ".join(f"{count} {state}" for state, count in sorted(by_state.items()))
    next_step = (
        f"run pkek_rotate --mkek {mkek.label} and pkek_reencrypt"
        if mkek.unwrap_template == UnwrapTemplate.STRICT
        else "run mkek_rewrap"
    )
    return (
        f"{mkek.label} still wraps {sum(by_state.values())} pKEKs ({counts}) of {where}: {next_step} first."
    )


def _cka_id(mkek: MKEK | None, label: str, member: str) -> bytes:
    """The row's; or that of a key which an import that broke off left on the token; or a fresh one."""
    if mkek is not None:
        return bytes.fromhex(mkek.cka_id)
    with translating("import_mkek", label=label):
        held = hsm().ceremony(lambda connection: connection.mkeks(), member=member)
    return next((info.mkek_id for info in held if info.label == label), secrets.token_bytes(MKEK_ID_BYTES))


def _require_equal(made: MadeMKEK, value: bytearray, *, member: str) -> None:
    """What the token wrapped must unwrap under the parts' key: then it holds this key and no other."""
    if not hsm().profile.wraps_by_rfc_3394:
        return  # the canary, opened by every member, says it
    try:
        aes_key_unwrap(bytes(value), made.canary.wrapped)
    except InvalidUnwrap as error:
        raise Conflict(f"{member} holds another key under this label. Choose another label.") from error


def _import_to(member: str, new: MKEKInfo, value: bytearray) -> None:
    held = hsm().ceremony(lambda connection: connection.mkeks(), member=member)
    if any(info.mkek_id == new.mkek_id for info in held):
        return
    try:
        ceremony.import_mkek(hsm(), member=member, value=value, new=new)
    except LabelTaken as error:
        raise Conflict(
            f"{member} holds a key labelled {new.label!r} with another CKA_ID. Choose another label."
        ) from error
    except ImportRefused as error:
        raise Conflict(f"{member}: {error}.") from error


def _refuse_known(label: str) -> None:
    if MKEK.objects.filter(label=label).exists():
        raise Conflict(f"There is an MKEK labelled {label!r} already. Choose another label.")


def _canary_text(mkek: MKEK) -> CanaryText:
    return CanaryText(
        key_id=f"mkek-canary:{mkek.id}", plaintext=canaries.text(mkek.id), aad=canaries.mkek_aad(mkek.id)
    )


def _made(mkek: MKEK) -> audit.Change:
    return audit.Change(
        after={"label": mkek.label, "kcv": mkek.kcv, "template": mkek.unwrap_template, "state": mkek.state}
    )


def _register(mkek: MKEK, made: MadeMKEK, *, kcv: str | None = None) -> None:
    mkek.cka_id = made.info.mkek_id.hex()
    mkek.kcv = kcv or made.info.kcv.hex().upper()
    mkek.unwrap_template = made.info.template
    mkek.canary_wrapped = made.canary.wrapped
    mkek.canary_iv = made.canary.canary.iv
    mkek.canary_ciphertext = made.canary.canary.ciphertext
    writes.commit(lambda: mkek.save(force_insert=True), committed=MKEK.objects.filter(id=mkek.id).exists)
