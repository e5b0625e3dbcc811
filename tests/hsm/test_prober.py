import threading

import pytest

from hsm import prober
from hsm.prober import Prober
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(prober, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(prober, "LONGEST_PAUSE_S", 0.04)


@pytest.fixture
def probes():
    probes = Prober()
    yield probes
    probes.close()


class Member:
    """Is what ``answers`` say, probe by probe; ``during`` happens inside the first one."""

    retry_after_s = 0.0

    def __init__(self, *answers, during=lambda: None):
        self.answers, self.during = list(answers), during
        self.pauses, self.threads = [], []

    def probe(self):
        self.pauses.append(self.retry_after_s)
        self.threads.append(threading.current_thread())
        if len(self.threads) == 1:
            self.during()
        return self.answers.pop(0) == "up"

    @property
    def is_done(self):
        return not self.answers


class TestProber:
    def test_probes_ever_more_seldom_until_a_member_recovers_and_then_no_more(self, probes):
        member = Member("down", "down", "down", "up")

        probes.want(member)

        wait_until(lambda: member.is_done)
        assert member.pauses == [0.01, 0.02, 0.04, 0.04]

    def test_a_member_that_goes_down_again_while_it_recovers_is_probed_again(self, probes):
        member = Member("up", "up")
        member.during = lambda: probes.want(member)

        probes.want(member)

        wait_until(lambda: member.is_done)

    def test_one_thread_probes_all(self, probes):
        members = [Member("down", "up") for _ in range(3)]
        for member in members:
            probes.want(member)

        wait_until(lambda: all(member.is_done for member in members))

        assert len({thread for member in members for thread in member.threads}) == 1

    def test_wanting_twice_is_wanting_once(self, probes):
        asked = threading.Event()
        first, member, other = Member("up", during=asked.wait), Member("up"), Member("down", "down", "up")
        probes.want(first)
        wait_until(lambda: first.threads)
        probes.want(member)
        probes.want(member)
        probes.want(other)
        asked.set()

        wait_until(lambda: other.is_done)  # long after

        assert len(member.threads) == 1

    def test_another_thread_goes_on_while_a_probe_hangs_which_is_not_begun_twice(self, probes, monkeypatch):
        monkeypatch.setattr(prober, "_STUCK_S", 0.05)
        over = threading.Event()
        stuck, other = Member("up", during=over.wait), Member("up")
        probes.want(stuck)
        wait_until(lambda: stuck.threads)
        probes.want(other)

        wait_until(lambda: probes.look_after() or other.is_done)

        over.set()
        wait_until(lambda: stuck.is_done)
        assert len(stuck.threads) == 1

    def test_after_close_nobody_is_probed(self, probes):
        probes.close()
        member = Member("up")

        probes.want(member)
        probes.look_after()

        assert member.threads == []
