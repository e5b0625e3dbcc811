"""Out of quarantine: by an operator's word, and a PIN never by anything less."""

import shutil
from datetime import timedelta

import pytest
from django.utils import timezone

from hsm.client import HSM
from hsm.config import load_config
from hsm.errors import LoginRefused
from keepsite.errors import Conflict, NotFound
from keepsite.fleet import members
from keepsite.fleet.members import MemberWatcher
from keepsite.fleet.models import HSMMember, NodeReport
from keepsite.fleet.services import release_member
from keepsite.identity.operators import command_principal
from tests.console.pages import act_url
from tests.support.pkcs11_standins import SOFTHSM, Shim, Token
from tests.support.waiting import wait_until

NUMBERS = {"in_flight": 0, "sessions": 1, "keys": 1, "errors": {}, "last_canary_at": None, "minutes": []}


@pytest.fixture
def token(tmp_path):
    return Token(tmp_path / "token")


@pytest.fixture
def own_shim(token, tmp_path, monkeypatch):
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))  # the shim changes it: have it put back
    (tmp_path / "shim").mkdir()
    module = shutil.copy(SOFTHSM, tmp_path / "shim" / "softhsm.so")
    return Shim(tmp_path / "shim", module, conf=token.conf)


@pytest.fixture
def refused(db, token, own_shim, settings, monkeypatch):
    """This process's HSM: its one member has refused the PIN."""
    token.pin_file.write_text("9999")
    file = token.config_file(own_shim.module)
    settings.HSM_CONFIG = str(file)
    token_of_ours = HSM(load_config(file, pool_size=2, wait_s=2, cache_max_keys=5))
    monkeypatch.setattr(members, "hsm", lambda: token_of_ours)
    with pytest.raises(LoginRefused):
        token_of_ours.start()
    HSMMember.objects.create(name=name_of(token_of_ours))
    yield token_of_ours
    token_of_ours.close()


def name_of(hsm):
    return hsm.status()[0].name


def state_of(hsm):
    return hsm.status()[0].state


def is_quarantined_anew(hsm):
    return [change.state for change in hsm.status()[0].history][-2:] == ["recovering", "quarantined"]


def want(**fields):
    HSMMember.objects.update(wanted_at=timezone.now(), tried_by="", pin_outcome="", **fields)


class TestPin:
    def test_is_not_tried_again_without_a_word(self, refused, token, own_shim):
        token.pin_file.write_text("1234")
        want(pin_corrected=False)

        MemberWatcher().look()

        assert state_of(refused) == "quarantined"
        assert own_shim.calls()["C_Login"] == 1

    def test_is_read_anew_and_tried_on_an_operators_word(self, refused, token):
        token.pin_file.write_text("1234")
        want(pin_corrected=True)
        watcher = MemberWatcher()

        watcher.look()
        wait_until(lambda: state_of(refused) == "up")
        watcher.look()

        assert HSMMember.objects.get().pin_outcome == HSMMember.Outcome.ACCEPTED

    def test_that_is_the_same_is_not_tried_in_spite_of_the_word(self, refused, own_shim):
        want(pin_corrected=True)

        MemberWatcher().look()

        wait_until(lambda: is_quarantined_anew(refused))
        assert own_shim.calls()["C_Login"] == 1

    def test_that_is_wrong_again_is_tried_by_one_process_alone(self, refused, token, own_shim):
        token.pin_file.write_text("8888")
        want(pin_corrected=True)
        watcher, another = MemberWatcher(), MemberWatcher()

        watcher.look()
        assert not another._may_try_pin(HSMMember.objects.get())
        wait_until(lambda: is_quarantined_anew(refused))
        watcher.look()

        assert HSMMember.objects.get().pin_outcome == HSMMember.Outcome.REFUSED
        assert not another._may_try_pin(HSMMember.objects.get())
        assert own_shim.calls()["C_Login"] == 2

    def test_that_was_accepted_is_tried_by_the_others(self, refused):
        want(pin_corrected=True)
        HSMMember.objects.update(pin_outcome=HSMMember.Outcome.ACCEPTED)

        assert MemberWatcher()._may_try_pin(HSMMember.objects.get())


class TestOlderWish:
    def test_is_not_followed(self, refused, token, own_shim):
        token.pin_file.write_text("1234")
        HSMMember.objects.update(wanted_at=timezone.now() - timedelta(minutes=1), pin_corrected=True)

        MemberWatcher().look()

        assert state_of(refused) == "quarantined"


@pytest.fixture
def quarantined(db):
    states = {"states": {"quarantined": 1, "up": 3}}
    now = timezone.now()
    NodeReport.objects.create(node="n", told_at=now, began_at=now, members={"m": {**NUMBERS, **states}})
    return HSMMember.objects.create(name="m")


class TestRelease:
    def release(self, name):
        return release_member(
            name, pin_corrected=False, actor=command_principal(), reason="r", now=timezone.now()
        )

    def test_of_what_nobody_has_in_quarantine_is_refused(self, quarantined):
        NodeReport.objects.update(members={"m": {**NUMBERS, "states": {"up": 4}}})

        with pytest.raises(Conflict):
            self.release("m")
        assert HSMMember.objects.get().wanted_at is None

    def test_of_an_unknown_member_is_refused(self, db):
        with pytest.raises(NotFound):
            self.release("m")

    def test_is_asked_for_in_the_console_and_audited(self, quarantined, console, audited):
        answer = console.post(
            act_url(HSMMember, "release", "m"), {"reason": "unlocked", "pin_corrected": "on"}
        )

        wanted = HSMMember.objects.get()
        assert answer.status_code == 302
        assert (wanted.pin_corrected, wanted.wanted_by, wanted.wanted_because) == (True, "olga", "unlocked")
        (record,) = audited("hsm_member.released")
        assert record["reason"] == "The PIN was corrected. unlocked"
        assert (record["before"]["wanted_at"], record["after"]["pin_corrected"]) == (None, True)
