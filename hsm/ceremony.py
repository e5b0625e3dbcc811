"""What people do to MKEKs, one member at a time: make, import, compare.  Never on the request path."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hsm.client import HSM
from hsm.connection import Connection
from hsm.errors import HSMError
from hsm.keys import MKEKInfo, UnwrapTemplate, WrappedKey
from hsm.member import State


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryText:
    """What the canary of an MKEK is to say: the id of its throw-away key, its plaintext and its AAD."""

    key_id: str
    plaintext: bytes
    aad: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeMKEK:
    """An MKEK that has just proven itself; ``gives_out`` if it lets keys be read, despite its template."""

    info: MKEKInfo
    canary: WrappedKey
    gives_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """What one member holds: its MKEKs, and per canary "" if it opened, else why not, as an error's class."""

    name: str
    state: State
    mkeks: tuple[MKEKInfo, ...]
    proofs: Mapping[str, str]

    def holds(self, canary: WrappedKey) -> bool:
        """Return whether it opened this canary."""
        return self.proofs.get(canary.key_id) == ""


def make_mkek(hsm: HSM, *, label: str, template: UnwrapTemplate, canary: CanaryText) -> MadeMKEK:
    """Make an MKEK and its canary on one member, durable on return.

    Raises:
        LabelTaken: a key of this label exists there.
    """

    def work(connection: Connection) -> MadeMKEK:
        info = connection.generate_mkek(label=label, template=template)
        return _proven(connection, info, canary)

    return hsm.ceremony(work)


def import_mkek(hsm: HSM, *, member: str, value: bytearray, new: MKEKInfo) -> None:
    """Make 32 known bytes an MKEK of one member's token, durable on return.

    Raises:
        LabelTaken: a key of this label exists there.
        ImportRefused: the token takes no key values.
    """
    hsm.ceremony(lambda connection: connection.import_mkek(value, new), member=member)


def canary_for(hsm: HSM, *, member: str, mkek_id: bytes, canary: CanaryText) -> MadeMKEK:
    """Make the canary of an MKEK that is on one member's token already.

    Raises:
        MKEKNotFound: it is not there.
    """

    def work(connection: Connection) -> MadeMKEK:
        info = next((info for info in connection.mkeks() if info.mkek_id == mkek_id), None)
        return _proven(connection, info or MKEKInfo(mkek_id=mkek_id, label="", kcv=b""), canary)

    return hsm.ceremony(work, member=member)


def compare_members(hsm: HSM, canaries: Iterable[WrappedKey]) -> tuple[MemberView, ...]:
    """Look at every member in turn: a search each, and 5 calls per canary; nothing changes."""
    wanted = tuple(canaries)
    return tuple(_view(hsm, status.name, status.state, wanted) for status in hsm.status())


def differences(views: tuple[MemberView, ...], canaries: Mapping[str, WrappedKey]) -> list[str]:
    """Return a sentence for each way in which members are not what they must be; none if all is well."""
    found = [
        f"{view.name} does not open the canary of MKEK {label} ({view.proofs[canary.key_id]})."
        for view in views
        for label, canary in canaries.items()
        if not view.holds(canary)
    ]
    values: dict[bytes, set[bytes]] = {}
    for info in (info for view in views for info in view.mkeks if info.kcv):
        values.setdefault(info.mkek_id, set()).add(info.kcv)
    found += [
        f"Members show different key check values for CKA_ID {mkek_id.hex()}: "
        f"{', '.join(sorted(kcv.hex() for kcv in kcvs))}."
        for mkek_id, kcvs in values.items()
        if len(kcvs) > 1
    ]
    return found


def _view(hsm: HSM, name: str, state: State, canaries: tuple[WrappedKey, ...]) -> MemberView:
    try:
        mkeks = hsm.ceremony(Connection.mkeks, member=name)
    except HSMError as error:
        why = type(error).__name__
        return MemberView(name=name, state=state, mkeks=(), proofs={key.key_id: why for key in canaries})
    held = {info.mkek_id for info in mkeks}
    proofs = {
        canary.key_id: _proof(hsm, name, canary) if canary.mkek_id in held else "MKEKNotFound"
        for canary in canaries
    }
    return MemberView(name=name, state=state, mkeks=mkeks, proofs=proofs)


def _proof(hsm: HSM, member: str, canary: WrappedKey) -> str:
    try:
        hsm.ceremony(lambda connection: connection.prove(canary), member=member)
    except HSMError as error:
        return type(error).__name__
    return ""


def _proven(connection: Connection, info: MKEKInfo, canary: CanaryText) -> MadeMKEK:
    key = connection.create_key(
        mkek_id=info.mkek_id,
        key_id=canary.key_id,
        canary_plaintext=canary.plaintext,
        canary_aad=canary.aad,
    )
    connection.handles.forget(canary.key_id)
    return MadeMKEK(info=info, canary=key, gives_out=connection.gives_out(key))
