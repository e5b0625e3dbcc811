"""Tokens for tests: SoftHSM in a folder, a shim that counts and fails calls, a network HSM to kill."""

import hashlib
import mmap
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "1234"
MODULE = ("p11shim.c", ["-fPIC", "-shared", "-ldl"])
CLIENT = ("nethsm.c", ["-fPIC", "-shared", "-DCLIENT", "-ldl", "-lpthread"])
SERVER = ("nethsm.c", ["-ldl", "-lpthread"])

# Index in the function list of PKCS#11 2.40.
INDEX = {
    "C_Initialize": 0,
    "C_Finalize": 1,
    "C_GetTokenInfo": 6,
    "C_GetMechanismList": 7,
    "C_GetMechanismInfo": 8,
    "C_OpenSession": 12,
    "C_CloseSession": 13,
    "C_CloseAllSessions": 14,
    "C_GetSessionInfo": 15,
    "C_Login": 18,
    "C_CreateObject": 20,
    "C_DestroyObject": 22,
    "C_GetAttributeValue": 24,
    "C_FindObjectsInit": 26,
    "C_FindObjects": 27,
    "C_FindObjectsFinal": 28,
    "C_EncryptInit": 29,
    "C_Encrypt": 30,
    "C_DecryptInit": 33,
    "C_Decrypt": 34,
    "C_GenerateKey": 58,
    "C_WrapKey": 60,
    "C_UnwrapKey": 61,
    "C_GenerateRandom": 64,
}
NAME = {index: name for name, index in INDEX.items()}
_CONTROLS = 16
_WORDS = _CONTROLS + 68
_DELAY, _ANSWER, _HOLD, _ONLY, _TIMES, _SKIP, _HELD, _RANDOM, _LIES, _SPENT = range(10)
_OWN_IV, _STANDARD, _VENDOR, _MOST_BYTES, _VALUE_LEN, _LAX = range(10, _CONTROLS)
ANY_CODE = (1 << 64) - 1  # as an answer: a code drawn anew for each call


def built(what):
    """A program of ours, built once per version of its source."""
    source, flags = HERE / what[0], what[1]
    sources = source.read_bytes() + (HERE / "beside.h").read_bytes()
    digest = hashlib.sha256(sources + repr(flags).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path(tempfile.gettempdir()) / f"keepsite-{os.getuid()}"))
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = cache / f"{source.stem}-{digest}"
    if not target.exists():
        fresh = target.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", "-O2", "-o", fresh, source, *flags], check=True)
        fresh.rename(target)
    return target


class Token:
    """A SoftHSM token in a folder of its own, with a copy of the module, since one file is one instance."""

    def __init__(self, folder, label="keepsite", pin=PIN):
        self.folder, self.label, self.pin = Path(folder), label, pin
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "tokens").mkdir()
        self.conf = self.folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.folder}/tokens\nobjectstore.backend = file\n")
        self.environment = {"SOFTHSM2_CONF": str(self.conf)}
        self.module = self.folder / "softhsm.so"
        shutil.copy(SOFTHSM, self.module)
        self.pin_file = self.folder / "pin"
        self.pin_file.write_text(f"{pin}\n")
        self.pin_file.chmod(0o600)
        self.util("--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "5678")

    @classmethod
    def another(cls, folder, label, pin=PIN):
        """One more token in the folder of the first: another slot of the same module."""
        token = cls.__new__(cls)
        first = Path(folder)
        token.folder, token.label, token.pin = first, label, pin
        token.conf, token.module = first / "softhsm2.conf", first / "softhsm.so"
        token.environment = {"SOFTHSM2_CONF": str(token.conf)}
        token.pin_file = first / f"pin-{label}"
        token.pin_file.write_text(f"{pin}\n")
        token.pin_file.chmod(0o600)
        token.util("--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "5678")
        return token

    def util(self, *arguments):
        subprocess.run(
            ["softhsm2-util", *arguments],
            env=os.environ | self.environment,
            check=True,
            capture_output=True,
        )

    def import_key(self, key, *, label, key_id):
        file = self.folder / "imported"
        file.write_bytes(key)
        self.util(
            *("--import", str(file), "--aes", "--token", self.label, "--label", label),
            *("--id", key_id.hex(), "--pin", self.pin),
        )
        file.unlink()

    def config_file(self, module=None, extra="", *, profile="softhsm"):
        file = self.folder / "hsm.toml"
        file.write_text(
            f'profile = "{profile}"\n{quiet(extra)}\n'
            f'[[members]]\nname = "a"\nmodule = "{module or self.module}"\n'
            f'token_label = "{self.label}"\npin_file = "pin"\n'
        )
        return file


def copy_of(what, target, environment):
    """A module at `target` that reads its settings from a file beside it, whatever the environment says."""
    shutil.copy(built(what), target)
    settings = "".join(f"{name}={value}\n" for name, value in environment.items())
    target.with_name(f"{target.name}.settings").write_text(settings)
    return target


def quiet(extra):
    """Return what stands above the members, without heartbeats unless they are asked for.

    Tests count calls, and spoil the next one.
    """
    return extra if "heartbeat_s" in extra else f"heartbeat_s = 3600\n{extra}"


def member(name, module, token, *, pin_file=None, pin=None, weight=1):
    """The table of one member in an HSM configuration; `pin` is the whole line of its PIN."""
    return (
        f'[[members]]\nname = "{name}"\nmodule = "{module}"\ntoken_label = "{token.label}"\n'
        + (pin or f'pin_file = "{pin_file or token.pin_file}"')
        + f"\nweight = {weight}\n"
    )


class Shim:
    """A handle on the shim's counters and controls, before a module of its own."""

    def __init__(self, folder, target, conf=None):
        state = Path(folder) / "p11shim.state"
        state.write_bytes(bytes(_WORDS * 8))
        self.environment = {"P11SHIM_TARGET": str(target), "P11SHIM_STATE": str(state)}
        own = {"SOFTHSM2_CONF": str(conf)} if conf else {}
        self.module = copy_of(MODULE, Path(folder) / "p11shim.so", self.environment | own)
        with state.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _WORDS * 8)

    def _set(self, word, value):
        struct.pack_into("<Q", self._map, word * 8, value)

    def _get(self, word):
        return struct.unpack_from("<Q", self._map, word * 8)[0]

    def calls(self):
        """Calls so far per function."""
        counts = struct.unpack_from("<68Q", self._map, _CONTROLS * 8)
        return {NAME.get(n, f"#{n}"): count for n, count in enumerate(counts) if count}

    @contextmanager
    def counting(self):
        """A dict that holds the calls made in the block once it ends."""
        before, seen = self.calls(), {}
        yield seen
        seen.update({k: n - before.get(k, 0) for k, n in self.calls().items() if n > before.get(k, 0)})

    def answer(self, rv, only=None, *, times=0, skip=0, one_in=0):
        """Answer `rv` instead of calling: `only` one function, `times` (0: always), after `skip` calls."""
        self._set(_ANSWER, 0)
        self._set(_ONLY, INDEX[only] + 1 if only else 0)
        self._set(_TIMES, times)
        self._set(_SKIP, skip)
        self._set(_RANDOM, one_in)
        self._set(_ANSWER, rv)

    @contextmanager
    def holding(self, only):
        """Hold calls of one function until the block ends."""
        self._set(_HELD, 0)  # a process killed while it was held has not counted itself out
        self._set(_ONLY, INDEX[only] + 1)
        self._set(_HOLD, 1)
        try:
            yield
        finally:
            self.clear()

    def release(self):
        """Let the calls that are held go on, into what `answer` says."""
        self._set(_HOLD, 0)

    @property
    def held(self):
        return self._get(_HELD)

    def delay(self, microseconds):
        self._set(_DELAY, microseconds)

    @property
    def spent_s(self):
        """What all delayed calls took, in seconds: a delay as it was, not as it was meant."""
        return self._get(_SPENT) / 1e9

    def lie(self, one_in):
        """Have one in so many calls that succeed tell a wrong length or handle."""
        self._set(_LIES, one_in)

    def speak(self, *, own_iv=None, vendor=(0, 0), most_bytes=0, value_len=False, lax=False):
        """Behave like another token from now on, whatever `clear` clears.

        `own_iv`: the token makes the IV of an encryption, "end" or "parameter" tells where it says which.
        `vendor`: a mechanism's number of the standard, and the one that it has instead.
        `most_bytes`: the longest data of one encryption.  `value_len`: unwrapping needs CKA_VALUE_LEN.
        `lax`: it keeps unwrap templates, and does not enforce them.
        """
        self._set(_OWN_IV, {None: 0, "end": 1, "parameter": 2}[own_iv])
        self._set(_STANDARD, vendor[0])
        self._set(_VENDOR, vendor[1])
        self._set(_MOST_BYTES, most_bytes)
        self._set(_VALUE_LEN, int(value_len))
        self._set(_LAX, int(lax))

    def clear(self):
        for word in (_ANSWER, _HOLD, _DELAY, _ONLY, _TIMES, _SKIP, _RANDOM, _LIES):
            self._set(word, 0)


class NetworkHSM:
    """An appliance: a server process before a token, and the client module that reaches it."""

    def __init__(self, folder, token, *, timeout_ms=0, sticky=False):
        self.port = free_ports(1)[0]
        self.environment = {"P11NET_PORT": str(self.port), "P11NET_TIMEOUT_MS": str(timeout_ms)}
        if sticky:
            self.environment["P11NET_STICKY"] = "1"
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.module = copy_of(CLIENT, Path(folder) / "nethsm.so", self.environment)
        self._token = token
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            [built(SERVER), str(self.port), self._token.module],
            env=os.environ | self._token.environment,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def kill(self):
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def stop(self):
        """Have it hang; it answers nobody any more on return."""
        stopped = self._signal(signal.SIGSTOP)
        wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in stopped))

    def go_on(self):
        if self._process is not None:
            self._signal(signal.SIGCONT)

    def _signal(self, number):
        """Signal the server and the processes in which it serves its clients, one each; return them."""
        server = psutil.Process(self._process.pid)
        server.suspend()  # it starts no other meanwhile
        processes = [*server.children(), server]  # the server last: without it the others end by themselves
        for process in processes:
            process.send_signal(number)
        return processes
