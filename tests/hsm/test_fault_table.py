"""The table of faults: each return code, in each verb, once and for ever, and what the pair makes of it.

Member a serves and b is its standby, so whatever b did it did in a's place.
"""

from dataclasses import dataclass

import pytest

from hsm import prober
from hsm.errors import CallRefused, IntegrityFailed, MechanismUnsupported
from hsm.faults import Kind, kind_of
from tests.hsm.conftest import states

AAD = b"whose it is"

CODES = {
    "data": (0x20, 0x21, 0x40, 0x41, 0x110, 0x112, 0xC0, 0xC1),
    "ambiguous": (0x05, 0x06, 0x12345, 0x81000071),
    "handle": (0x60, 0x82),
    "mkek handle": (0xF0, 0x113),
    "session": (0xB0, 0xB3, 0x90, 0x91),
    "login": (0x101,),
    "resource": (0x02, 0x31, 0xB1),
    "member": (0x30, 0x32, 0xE0, 0xE1, 0x03, 0x190, 0x200),
    "credentials": (0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0x102, 0x103),
    "refused": (0x07, 0x10, 0x11, 0x12, 0x13, 0xD0, 0xD1, 0x63, 0x68, 0x69, 0x6A, 0x115),
    "mechanism": (0x70, 0x71, 0x54),
}
VERBS = {
    "decrypt": ("C_DecryptInit", "C_Decrypt"),
    "encrypt": ("C_EncryptInit", "C_Encrypt"),
    "unwrap": ("C_UnwrapKey",),
    "random": ("C_GenerateRandom",),
    "create": ("C_GenerateKey", "C_WrapKey"),
}


@dataclass(frozen=True)
class Reaction:
    """What the caller gets, an error or the result; how a stands then; whether b did the work."""

    error: type[Exception] | None
    a: str
    by_b: bool


SERVED = Reaction(None, "up", by_b=False)
SERVED_BY_B = Reaction(None, "up", by_b=True)
DOWN = Reaction(None, "down", by_b=True)
QUARANTINED = Reaction(None, "quarantined", by_b=True)


def refused(error):
    return Reaction(error, "up", by_b=False)


# The table itself: once, and for ever.
REACTIONS = {
    "data": (refused(IntegrityFailed), refused(IntegrityFailed)),
    "ambiguous": (SERVED_BY_B, SERVED_BY_B),
    "handle": (SERVED, SERVED_BY_B),
    "mkek handle": (SERVED, SERVED_BY_B),
    "session": (SERVED, SERVED_BY_B),
    "login": (SERVED, DOWN),
    "resource": (SERVED, SERVED_BY_B),
    "member": (DOWN, DOWN),
    "credentials": (QUARANTINED, QUARANTINED),
    "refused": (refused(CallRefused), refused(CallRefused)),
    "mechanism": (refused(MechanismUnsupported), refused(MechanismUnsupported)),
}
EXCEPTIONS = {
    # Reading: the canary decides.  That of a token that answers so for ever does not open either.
    ("ambiguous", "decrypt"): (refused(IntegrityFailed), DOWN),
    ("ambiguous", "unwrap"): (refused(IntegrityFailed), DOWN),
    # The sessions that unwrap own the keys: a new login, whose canary is unwrapped too.
    ("session", "unwrap"): (SERVED, DOWN),
}


def reaction(group, verb, *, always):
    return EXCEPTIONS.get((group, verb), REACTIONS[group])[always]


@pytest.fixture(autouse=True)
def _no_probes(monkeypatch):
    monkeypatch.setattr(prober, "FIRST_PAUSE_S", 3600.0)


@pytest.fixture
def pair(make_pair):
    return make_pair(standby=True)


class Attempt:
    """One verb on a fresh pair of logins, warm but for unwrapping."""

    def __init__(self, pair):
        self.pair, self.shim = pair, pair.shims["a"]
        self.hsm = pair.hsm(wait_s=0.2)
        self.hsm.start()
        self.key = pair.key(self.hsm)
        self.hsm.expect([self.key])
        self.sealed = self.hsm.encrypt(self.key, b"secret", aad=AAD)

    def act(self, verb):
        match verb:
            case "decrypt":
                return self.hsm.decrypt(self.key, self.sealed, aad=AAD) == b"secret"
            case "unwrap":
                self.hsm.forget(self.key.key_id)
                return self.hsm.decrypt(self.key, self.sealed, aad=AAD) == b"secret"
            case "encrypt":
                made = self.hsm.encrypt(self.key, b"other", aad=AAD)
                self.shim.clear()
                return self.hsm.decrypt(self.key, made, aad=AAD) == b"other"
            case "random":
                return len(self.hsm.random(9)) == 9
            case "create":
                made = self.pair.key(self.hsm)
                self.shim.clear()
                return len(self.hsm.encrypt(made, b"x", aad=AAD).ciphertext) == 17

    def outcome(self, verb):
        before = self._by_b()
        try:
            assert self.act(verb)
            error = None
        except (IntegrityFailed, CallRefused, MechanismUnsupported) as failure:
            error = type(failure)
        self.shim.clear()
        return Reaction(error, states(self.hsm)["a"], by_b=self._by_b() > before)

    def _by_b(self):
        return sum(verb.calls for verb in self.hsm.status()[1].verbs.values())

    def close(self):
        self.pair.close()


@pytest.mark.parametrize("how", ["once", "for ever"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("group", CODES)
class TestEveryCode:
    def test_leads_to_its_reaction(self, pair, group, verb, how):
        found = {}
        for function in VERBS[verb]:
            for rv in CODES[group]:
                attempt = Attempt(pair)
                attempt.shim.answer(rv, function, times=1 if how == "once" else 0)
                found[f"{rv:#x} from {function}"] = attempt.outcome(verb)
                attempt.close()

        assert found == dict.fromkeys(found, reaction(group, verb, always=how == "for ever"))


class TestTable:
    def test_holds_every_code_that_the_product_knows(self):
        from hsm.faults import _CODES, NO_IV, STATE_LOST

        known = {code for codes in _CODES.values() for code in codes} - {NO_IV, STATE_LOST}

        assert known <= {code for codes in CODES.values() for code in codes}

    def test_an_unknown_code_is_ambiguous(self):
        assert kind_of(0x12345) is Kind.AMBIGUOUS
