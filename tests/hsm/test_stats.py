import threading

import pytest

from hsm.faults import CallFailed, Kind
from hsm.stats import Call, Calls, calls_made


def fail(function):
    raise CallFailed(0x30, function)


class TestCalls:
    def test_counts_calls_failures_and_their_kind_per_verb(self):
        calls = Calls()
        calls.run("decrypt", bytes, 1)
        with pytest.raises(CallFailed):
            calls.run("decrypt", fail, "C_Decrypt")
        calls.fold()

        assert (calls.verbs()["decrypt"].calls, calls.verbs()["decrypt"].failed) == (2, 1)
        assert calls.failures() == {"member": 1}

    def test_percentiles_are_of_what_it_took(self):
        calls = Calls()
        for milliseconds in range(100):
            calls._ended.append(Call("wrap", milliseconds / 1e3, None))
        calls.fold()

        assert calls.verbs()["wrap"].p50_s == 0.05
        assert calls.verbs()["wrap"].p99_s == 0.099

    def test_tells_since_when_the_oldest_call_runs(self):
        calls, inside, leave = Calls(), threading.Event(), threading.Event()

        def hang():
            inside.set()
            leave.wait()

        thread = threading.Thread(target=calls.run, args=("random", hang))
        thread.start()
        inside.wait()
        began = next(iter(calls._inside.values()))

        assert calls.oldest_s(began + 7) == pytest.approx(7)
        leave.set()
        thread.join()
        assert calls.oldest_s(began + 7) == 0

    def test_an_average_that_is_old_counts_for_nothing(self):
        calls = Calls()
        calls.run("decrypt", bytes, 1)

        assert calls.average_s(calls._averaged_at) > 0
        assert calls.average_s(calls._averaged_at + 6) == 0


class TestListener:
    def test_gets_each_call_once_whoever_folds_in_between(self):
        calls = Calls()
        calls.keep_for_listener(keep=True)
        calls.run("random", bytes, 1)
        calls.fold()
        calls.run("wrap", bytes, 1)

        assert [call.verb for call in calls.take_untold()] == ["random", "wrap"]
        assert calls.take_untold() == []

    def test_without_one_nothing_is_kept(self):
        calls = Calls()
        calls.run("random", bytes, 1)

        assert calls.take_untold() == []


class TestCallsMade:
    def test_counts_what_the_module_was_called(self):
        calls, before = Calls(), calls_made()
        calls.run("encrypt", bytes, 1)
        calls.run("unwrap", bytes, 1)
        for function in ("C_DecryptInit", "C_Decrypt"):
            with pytest.raises(CallFailed):
                calls.run("decrypt", fail, function)

        assert calls_made() - before == 2 + 1 + 1 + 2

    def test_is_each_threads_own(self):
        before = calls_made()
        thread = threading.Thread(target=Calls().run, args=("random", bytes, 1))
        thread.start()
        thread.join()

        assert calls_made() == before

    def test_kinds_have_names_that_a_metric_can_carry(self):
        assert all(kind.name.isupper() for kind in Kind)
