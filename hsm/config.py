import contextlib
import hashlib
import os
import secrets
import tempfile
import tomllib
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

from hsm.errors import ConfigInvalid
from hsm.profiles import PROFILES, Profile

KEEPERS = 4  # sessions per process and member that may unwrap at the same time
_SCRYPT_COST = 2**14  # RFC 7914 N; a PIN is short, so its hash must be slow
_SALT_BYTES = 16
_LAST_MECHANISM = 0xFFFF_FFFF
_NUMBERS_OF_PROFILES = {
    "internal_iv_bytes": ((12, 16), "a length of 12 to 16 bytes"),
    "max_single_part_bytes": ((32, 1 << 30), "a size in bytes, 32 or more"),  # a data key must fit
    "session_object_bytes": ((1, 1 << 20), "a size in bytes, 1 or more"),
}


class Pin:
    """A PIN: prints as ``<Pin>``, refuses pickling, and remembers whether the token refused it.

    The verdict is shared between processes by ``marker``, a file that holds a
    salt and the scrypt hash of the refused PIN; another PIN is not affected.
    ``lock_path`` is the member's own file that processes lock while they log in: made on
    first use, and empty.  ``file`` is where it was read, if in a file.
    """

    __slots__ = ("_value", "file", "lock_path", "marker", "origin")

    def __init__(
        self, value: str, *, origin: str, marker: Path, lock_path: Path, file: Path | None = None
    ) -> None:
        self._value = value
        self.file = file
        self.origin = origin
        self.marker = marker
        self.lock_path = lock_path

    def __repr__(self) -> str:
        return "<Pin>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PIN is not pickled")

    def reveal(self) -> bytes:
        """Return the PIN for the one call that needs it."""
        return self._value.encode()

    def was_refused(self) -> bool:
        """Return whether a token refused this very PIN before."""
        try:
            salt, digest = (bytes.fromhex(part) for part in self.marker.read_text().split())
        except FileNotFoundError:
            return False
        except (ValueError, PermissionError):
            return True  # damaged, or another user's: a human must look before anyone tries a PIN
        return secrets.compare_digest(digest, self._digest(salt))

    def mark_refused(self) -> None:
        """Keep every other process from trying this PIN, until it changes or the marker is removed.

        Raises:
            OSError: the folder cannot be written; the verdict then holds in this process only.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        text = f"{salt.hex()} {self._digest(salt).hex()}\n"
        self.marker.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as marker:
            marker.write(text)

    def forget_refused(self) -> None:
        """Remove the marker of an earlier PIN, once the token accepted this one."""
        with contextlib.suppress(OSError):  # one that stays does not bar this PIN
            self.marker.unlink(missing_ok=True)

    def _digest(self, salt: bytes) -> bytes:
        return hashlib.scrypt(self.reveal(), salt=salt, n=_SCRYPT_COST, r=8, p=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConfig:
    """One token: the module that reaches it, how to tell it apart, its PIN; weight 0 makes a standby."""

    name: str
    module: Path
    token_label: str | None
    token_serial: str | None
    pin: Pin
    weight: int = 1

    @property
    def wanted(self) -> str:
        """How the token is told apart, for messages."""
        return f"serial {self.token_serial}" if self.token_serial else f"label {self.token_label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HSMConfig:
    """A group of members that hold the same MKEKs, and what one process may use of each.

    ``pool_size`` sessions without PIN, ``wait_s`` for one of them, ``cache_max_keys`` pKEK handles.
    A request gives up after ``budget_s`` with whatever members it tried.  A call older than
    ``soft_hang_s`` makes its member SUSPECT, one older than ``hard_hang_s`` has its process replaced.
    A member that nobody asked for ``heartbeat_s`` is asked beside the requests.
    ``processes`` in all use each token, which has room for ``session_object_budget`` session objects,
    if that is known; members of one module share it.
    """

    members: tuple[MemberConfig, ...]
    profile: Profile
    pool_size: int = 8
    wait_s: float = 2.0
    cache_max_keys: int = 2000
    budget_s: float = 2.0
    soft_hang_s: float = 0.5
    hard_hang_s: float = 30.0
    heartbeat_s: float = 5.0
    processes: int = 1
    session_object_budget: int | None = None
    data_key_above_bytes: int | None = None  # the operator's choice; the profile's limit holds besides

    @property
    def patience_s(self) -> float:
        """How long one member may keep a request waiting, so that time is left for another member."""
        return self.wait_s if len(self.members) == 1 else min(self.wait_s, self.budget_s / 2)

    @property
    def single_call_bytes(self) -> int:
        """The longest payload that is given to the token itself; longer ones get a data key."""
        limit = self.profile.max_single_part_bytes
        return limit if self.data_key_above_bytes is None else min(limit, self.data_key_above_bytes)


def load_config(
    path: Path, *, pool_size: int, wait_s: float, cache_max_keys: int, processes: int = 1
) -> HSMConfig:
    """Return the configuration that a TOML file describes, PINs read.

    ::

        profile = "luna"               # one of PROFILES, else softhsm; a field of Profile here overrides it
        budget_ms = 2000               # this and the next six may be left out
        soft_hang_ms = 500
        hard_hang_s = 30
        heartbeat_s = 5
        processes = 12                 # of all nodes that use these tokens; else ``processes`` as given
        session_object_budget = 50000  # session objects that each token, or all of one module, has room for
        data_key_above_bytes = 4096    # longer payloads get a data key; else as max_single_part_bytes says

        [[members]]
        name = "a"
        module = "/usr/lib/softhsm/libsofthsm2.so"
        token_label = "keepsite"       # or token_serial
        pin_file = "pin"               # relative to this file; or pin_env = "NAME"

    Raises:
        ConfigInvalid: names the file, the entry and what is accepted.
    """
    top = _Table(_parse(path), path, "")
    profile = _profile(top)
    data_key_above = top.take("data_key_above_bytes", int, "a size in bytes, 0 or more", None)
    if data_key_above is not None and data_key_above < 0:
        top.refuse("data_key_above_bytes", "a size in bytes, 0 or more")
    tables = top.take("members", list, "one or more [[members]] tables")
    numbers = {
        name: _number_above_zero(top, name, unit)
        for name, unit in (
            ("budget_ms", "milliseconds"),
            ("soft_hang_ms", "milliseconds"),
            ("hard_hang_s", "seconds"),
            ("heartbeat_s", "seconds"),
            ("processes", "processes"),
            ("session_object_budget", "session objects"),
        )
    }
    top.refuse_rest()
    if not tables:
        top.refuse("members", "one or more [[members]] tables")
    members = tuple(_member(_Table(table, path, f"members[{n}].")) for n, table in enumerate(tables))
    for field in ("name", "token_label", "token_serial"):
        _refuse_twins(path, field, members)
    return HSMConfig(
        members=members,
        profile=profile,
        pool_size=pool_size,
        wait_s=wait_s,
        cache_max_keys=cache_max_keys,
        budget_s=(numbers["budget_ms"] or 2000) / 1000,
        soft_hang_s=(numbers["soft_hang_ms"] or 500) / 1000,
        hard_hang_s=float(numbers["hard_hang_s"] or 30),
        heartbeat_s=float(numbers["heartbeat_s"] or 5),
        processes=numbers["processes"] or processes,
        session_object_budget=numbers["session_object_budget"],
        data_key_above_bytes=data_key_above,
    )


def _number_above_zero(top: "_Table", name: str, unit: str) -> int | None:
    number: int | None = top.take(name, int, f"a number of {unit}, above 0", None)
    if number is not None and number < 1:
        top.refuse(name, f"a number of {unit}, above 0")
    return number


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror}); a TOML file is expected") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: not valid TOML ({error})") from error


class _Table:
    """A TOML table that is emptied entry by entry; what is left over at the end is refused."""

    def __init__(self, entries: object, path: Path, where: str) -> None:
        self.path, self.where = path, where
        if not isinstance(entries, dict):
            raise ConfigInvalid(f"{path}: {where.rstrip('.')}: accepted is a table")
        self._entries = dict(entries)

    def take(self, name: str, kind: type, accepted: str, default: Any = ...) -> Any:  # Any: as TOML has it
        value = self._entries.pop(name, default)
        if value is default and default is not ...:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(name, accepted)
        return value

    def refuse(self, name: str, accepted: str) -> NoReturn:
        raise ConfigInvalid(f"{self.path}: {self.where}{name}: accepted is {accepted}")

    def refuse_rest(self) -> None:
        for name in self._entries:
            raise ConfigInvalid(f"{self.path}: {self.where}{name}: no such entry; remove it or mend its name")


def _profile(top: _Table) -> Profile:
    names = ", ".join(f'"{name}"' for name in PROFILES)
    base = PROFILES.get(top.take("profile", str, f"one of {names}", "softhsm"))
    if base is None:
        top.refuse("profile", f"one of {names}")
    given = {
        field.name: _field(top, field.name, getattr(base, field.name))
        for field in fields(base)
        if field.name != "name"
    }
    return replace(base, **given)


def _field(top: _Table, name: str, base: Any) -> Any:  # Any: a number, a word or a truth value
    if isinstance(base, StrEnum):
        words = ", ".join(f'"{word}"' for word in type(base))
        given = top.take(name, str, f"one of {words}", base.value)
        if given not in tuple(type(base)):
            top.refuse(name, f"one of {words}")
        return type(base)(given)
    if isinstance(base, bool):
        return top.take(name, bool, "true or false", base)
    accepted = (
        "a mechanism number, such as 0x2109" if name.endswith("mechanism") else _NUMBERS_OF_PROFILES[name][1]
    )
    given = top.take(name, int, accepted, base)
    least, most = (0, _LAST_MECHANISM) if name.endswith("mechanism") else _NUMBERS_OF_PROFILES[name][0]
    if not least <= given <= most:
        top.refuse(name, accepted)
    return given


def _member(table: _Table) -> MemberConfig:
    name = table.take("name", str, "a short name")
    if not name.isidentifier() and not name.replace("-", "").isalnum():
        table.refuse("name", "a short name of letters, digits and hyphens")
    module = Path(table.take("module", str, "the path of a PKCS#11 module"))
    label = table.take("token_label", str, "the token's label", None)
    serial = table.take("token_serial", str, "the token's serial number", None)
    if (label is None) == (serial is None):
        table.refuse("token_label", "a label here, or else token_serial, one of the two")
    weight = table.take("weight", int, "0 for a standby, or more", 1)
    if weight < 0:
        table.refuse("weight", "0 for a standby, or more")
    pin = _pin(table, name)
    table.refuse_rest()
    return MemberConfig(
        name=name, module=module, token_label=label, token_serial=serial, pin=pin, weight=weight
    )


def pin_path(config_path: Path, pin_file: str) -> Path:
    """Return where a ``pin_file`` entry points: relative names start at the configuration's folder."""
    return config_path.parent / pin_file


def _pin(table: _Table, member: str) -> Pin:
    file = table.take("pin_file", str, "the path of a file that holds the PIN", None)
    variable = table.take("pin_env", str, "the name of a variable that holds the PIN", None)
    if (file is None) == (variable is None):
        table.refuse(
            "pin_file", "a file here, or else pin_env, one of the two; a PIN never stands in this file"
        )
    if file is not None:
        where = pin_path(table.path, file)
        origin, value = f"pin_file {where}", _pin_from(where, table)
    else:
        where = table.path
        origin, value = f"pin_env {variable}", os.environ.get(variable, "")
    if not value:
        table.refuse("pin_file" if file else "pin_env", f"a PIN, but {origin} is empty")
    marker, lock = _beside(where, f"login-refused-{member}"), _beside(where, f"login-lock-{member}")
    return Pin(value, origin=origin, marker=marker, lock_path=lock, file=where if file else None)


def _beside(beside: Path, name: str) -> Path:
    """Return a file's place: beside the PIN's file, or in a temporary folder if it must."""
    folder = beside.parent
    if os.access(folder, os.W_OK):
        return folder / name
    place = hashlib.sha256(os.fsencode(beside.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"keepsite-{os.getuid()}" / f"{name}-{place}"


def _pin_from(path: Path, table: _Table) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"{table.path}: {table.where}pin_file: {path} cannot be read ({error}); "
            "accepted is a file that holds the PIN, readable by this user alone"
        ) from error


def _refuse_twins(path: Path, field: str, members: tuple[MemberConfig, ...]) -> None:
    """Two members of one name would share logs; of one token in one module, sessions and login."""
    seen = set()
    for member in members:
        value = getattr(member, field)
        key = value if field == "name" else (member.module, value)
        if value is not None and key in seen:
            raise ConfigInvalid(f"{path}: members: two have the {field} {value!r}; each must be its own")
        seen.add(key)
