"""``make fuzz-hsm``: all that hands memory to a module, under random sizes, templates, codes and lengths.

That is hsm/native.py, hsm/templates.py and hsm/mkeks.py.  Run as a program, since what it looks for is the
end of the interpreter; it also watches native's memory.  Every call must either return the right kind of
thing or raise CallFailed, those of a ceremony what they say they raise.
"""

import argparse
import gc
import json
import os
import random
import secrets
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pkcs11

from hsm.config import load_config
from hsm.errors import ImportRefused, LabelTaken
from hsm.faults import ODD_LENGTH, CallFailed
from hsm.fuse import Fuse
from hsm.keys import MKEKInfo, UnwrapTemplate
from hsm.library import open_library
from hsm.login import log_in
from hsm.mkeks import find_mkeks, generate_mkek, import_mkek
from hsm.native import _Template
from hsm.profiles import IVPlace, IVSource
from hsm.templates import read_template, unwraps_readable
from tests.support.pkcs11_standins import ANY_CODE, Shim, Token

IV_BYTES = 12


class Fuzz:
    """A logged-in session on a token behind the shim, and verbs that are called with anything."""

    def __init__(self, folder, seed):
        self.dice = random.Random(seed)
        token = Token(folder / "token")
        self.shim = Shim(folder, token.module, conf=token.conf)
        token.import_key(secrets.token_hex(16).encode(), label="mkek", key_id=b"\x01" * 16)
        (member,) = load_config(
            token.config_file(self.shim.module), pool_size=1, wait_s=1, cache_max_keys=1
        ).members
        library = open_library(member.module)
        library.attach("fuzz", is_idle=bool)
        self.token = library.find_token(member)
        self.native = library.native
        self.owner = self.token.open(rw=True).handle
        log_in(self.native, self.owner, member)
        self.session = self.token.open(rw=True).handle
        self.ceremony = self.token.open(rw=True)
        with_mkek = self.token.open()
        (mkek,) = with_mkek.get_objects({})
        self.mkek = mkek.handle
        self.key = self.native.generate(self.owner, usable=True)
        newborn = self.native.generate(self.owner)
        self.wrapped = self.native.wrap(self.owner, 0x2109, self.mkek, newborn)
        made = generate_mkek(self.ceremony, self.native, label="strict", template=UnwrapTemplate.STRICT)
        self.first = {found.handle for found in self.ceremony.get_objects({pkcs11.Attribute.TOKEN: True})}
        self.strict = next(
            handle for info, handle in find_mkeks(self.ceremony, self.native) if info.mkek_id == made.mkek_id
        )
        self.codes = {}

    def renew(self):
        """A session without an operation under way, whatever the token was said to be."""
        self.native.fuse = Fuse()
        self.native.close_session(self.session)
        self.native.close_session(self.ceremony.handle)
        self.session = self.token.open(rw=True).handle
        self.ceremony = self.token.open(rw=True)  # python-pkcs11's, which searches

    def bytes(self, most=20_000):
        return self.dice.randbytes(self.dice.choice([0, 1, 15, 16, 17, 64, self.dice.randrange(most)]))

    def number(self, right):
        return self.dice.choice([right, right, right, right, 0, 1, self.dice.getrandbits(64)])

    def encrypt(self):
        plaintext = self.bytes()
        made = self.native.encrypt(
            self.session, self.number(self.key), self.dice.randbytes(IV_BYTES), self.bytes(300), plaintext
        )
        assert len(made) == len(plaintext) + 16

    def decrypt(self):
        iv, aad, plaintext = self.dice.randbytes(IV_BYTES), self.bytes(300), self.bytes()
        sealed = self.native.encrypt(self.session, self.key, iv, aad, plaintext)
        if self.dice.random() < 0.3:
            sealed = self.dice.randbytes(max(16, self.dice.randrange(len(sealed) + 1)))
        opened = self.native.decrypt(self.session, self.number(self.key), iv, aad, sealed)
        assert len(opened) == len(sealed) - 16

    def wrap(self):
        key = self.native.generate(self.session)
        try:
            made = self.native.wrap(self.session, self.number(0x2109), self.number(self.mkek), key)
            assert 32 < len(made) <= 64
        finally:
            self.native.destroy(self.session, key)

    def unwrap(self):
        wrapped = self.wrapped if self.dice.random() < 0.5 else self.bytes(200)
        handle = self.native.unwrap(
            self.session, self.number(0x2109), self.number(self.mkek), wrapped,
            tell_length=self.dice.random() < 0.5,
        )  # fmt: skip
        self.native.destroy(self.session, handle)

    def strange_template(self):
        """Unwrap with attributes of any type, any value, any number."""
        strange = self.native.view(self.native.calls, self.native.profile)
        rows = tuple(
            (
                self.dice.choice([0x0, 0x1, 0x2, 0x100, 0x103, 0x161, 0x162, self.dice.getrandbits(32)]),
                self.bytes(64),
            )
            for _ in range(self.dice.randrange(12))
        )
        strange._unwrapped = dict.fromkeys(strange._unwrapped, _Template(rows))  # what is strange
        handle = strange.unwrap(self.session, 0x2109, self.mkek, self.wrapped, tell_length=False)
        self.native.destroy(self.session, handle)

    def random(self):
        length = self.dice.randrange(5000)
        assert len(self.native.random(self.session, length)) == length

    def own_iv(self):
        """Encrypt with an IV of the token's, by either dialect, whether it speaks it or not."""
        place, length = self.dice.choice([(IVPlace.END, 16), (IVPlace.PARAMETER, 12), (IVPlace.END, 12)])
        self.native.profile = replace(
            self.native.profile,
            iv_source=IVSource.INTERNAL,
            internal_iv_at=place,
            internal_iv_bytes=length,
        )
        self.shim.speak(own_iv=self.dice.choice([None, "end", "parameter"]))
        plaintext = self.bytes()
        try:
            iv, made = self.native.encrypt_with_own_iv(
                self.session, self.number(self.key), self.bytes(300), plaintext
            )
        finally:
            self.shim.speak()
        assert (len(iv), len(made)) == (length, len(plaintext) + 16)

    def mechanisms(self):
        slot = self.token.slot.slot_id
        offered = self.native.mechanisms(self.number(slot))
        assert all(isinstance(number, int) for number in offered)
        self.native.mechanism_flags(self.number(slot), self.number(0x1087))

    def template(self):
        found = read_template(self.native, self.number(self.session), self.number(self.strict))
        assert found in UnwrapTemplate

    def readable(self):
        wrapped = self.wrapped if self.dice.random() < 0.5 else self.bytes(200)
        unwraps_readable(
            self.native, self.number(self.session), self.number(self.mkek), wrapped, self.number(0x2109)
        )

    def find(self):
        assert all(len(info.mkek_id) == 16 for info, _ in find_mkeks(self.ceremony, self.native))

    def make(self):
        """Make an MKEK with any template and label, and destroy it if it came to be."""
        template = self.dice.choice([*UnwrapTemplate])
        with self.cleaning():
            made = generate_mkek(self.ceremony, self.native, label=self.label(), template=template)
            assert (len(made.mkek_id), made.template) in {(16, template), (16, UnwrapTemplate.NONE)}

    def bring(self):
        """Import an MKEK, of any length."""
        value = bytearray(self.dice.randbytes(self.dice.choice([32, 32, 0, 1, 16, 33, 500])))
        new = MKEKInfo(
            mkek_id=self.bytes(40), label=self.label(), kcv=b"", template=self.dice.choice([*UnwrapTemplate])
        )
        with self.cleaning():
            import_mkek(self.ceremony, self.native, value, new)

    def label(self):
        return "fuzz-" + "".join(chr(self.dice.randrange(1, 0x2FFF)) for _ in range(self.dice.randrange(40)))

    @contextmanager
    def cleaning(self):
        """Destroy every token object that the block leaves, but for those that were there at first."""
        try:
            yield
        finally:
            self.shim.clear()
            self.renew()
            for found in [*self.ceremony.get_objects({pkcs11.Attribute.TOKEN: True})]:
                if found.handle not in self.first:
                    found.destroy()

    def run(self, calls, *, verbs, at_once=50):
        """Make so many calls, half of them through a shim that fails some or lies about lengths."""
        until = sum(self.codes.values()) + calls
        while sum(self.codes.values()) < until:
            self.shim.clear()
            self.renew()
            self.shim.answer(ANY_CODE, one_in=self.dice.choice([2, 5, 20, 1_000_000]))
            self.shim.lie(self.dice.choice([0, 3, 10]))
            for _ in range(at_once):
                try:
                    self.dice.choice(verbs)()
                    outcome = "ok"
                except CallFailed as failed:
                    outcome = "odd length" if failed.rv == ODD_LENGTH else failed.kind.name.lower()
                except (LabelTaken, ImportRefused) as refused:
                    outcome = type(refused).__name__
                self.codes[outcome] = self.codes.get(outcome, 0) + 1
        self.shim.clear()
        self.renew()
        return self.codes

    @property
    def requests(self):
        """What requests call."""
        return (
            *(self.encrypt, self.decrypt, self.wrap, self.unwrap, self.strange_template, self.random),
            *(self.own_iv, self.mechanisms, self.template, self.readable),
        )

    @property
    def ceremonies(self):
        """What makes, brings and searches MKEKs."""
        return (self.find, self.make, self.bring, self.template, self.readable)

    def grow(self, operations):
        """Memory in bytes that so many encryptions and decryptions leave behind."""
        iv, aad = bytes(IV_BYTES), b"aad"

        def work(count):
            for n in range(count):
                sealed = self.native.encrypt(self.session, self.key, iv, aad, b"x" * (n % 500))
                self.native.decrypt(self.session, self.key, iv, aad, sealed)
                if n % 1000 == 0:
                    self.native.calls.fold()

        work(max(operations // 20, 1000))
        gc.collect()
        before = resident_bytes()
        work(operations // 2)
        gc.collect()
        return resident_bytes() - before


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def ends_of_searches_unsaid():
    """python-pkcs11 ends a search in ``__del__``, prints what that fails with, and goes on."""

    def say(kind, error, trace):
        if not issubclass(kind, pkcs11.PKCS11Error):
            sys.__excepthook__(kind, error, trace)

    def say_unraisable(unraisable):
        if not issubclass(unraisable.exc_type, pkcs11.PKCS11Error):
            sys.__unraisablehook__(unraisable)

    sys.excepthook, sys.unraisablehook = say, say_unraisable
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--ceremonies", type=int, default=2_000, help="calls of theirs; each takes longer")
    parser.add_argument("--operations", type=int, default=1_000_000, help="whose memory is watched")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="keepsite-fuzz-") as folder:
        fuzz = Fuzz(Path(folder), options.seed)
        with ends_of_searches_unsaid():
            fuzz.run(options.calls, verbs=fuzz.requests)
            outcomes = fuzz.run(options.ceremonies, verbs=fuzz.ceremonies, at_once=5)
        grown = fuzz.grow(options.operations)
    print(json.dumps({"calls": sum(outcomes.values()), "outcomes": outcomes, "grown_bytes": grown}))
    sys.exit(grown > 5_000_000)


if __name__ == "__main__":
    main()
