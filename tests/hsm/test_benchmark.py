import json

import pytest
from django.core.management import CommandError, call_command

from hsm.benchmark import Measured, _verbs, advice
from hsm.keys import UnwrapTemplate

VERBS = {
    "random": 1,
    "encrypt 32 B": 2,
    "decrypt 32 B": 2,
    "decrypt 16 kB": 2,
    "decrypt, key not cached": 4,
    "generate": 2,
    "wrap": 1,
    "unwrap": 2,
    "create_key": 7,
    "rewrap": 7,
}


def measured(threads, per_second, verb="decrypt 32 B"):
    return Measured(
        member="a", verb=verb, calls=2, threads=threads, per_second=per_second, p50_ms=1, p99_ms=2
    )


@pytest.fixture
def configured(settings, token, shim):
    settings.HSM_CONFIG = str(token.config_file(shim.module))
    return token


class TestHsmBench:
    def test_measures_every_verb_with_every_number_of_threads(self, configured, mkek, hsm, capsys):
        hsm.close()

        call_command("hsm_bench", "--threads", "1,2", "--seconds", "0.05", "--json")

        told = json.loads(capsys.readouterr().out)
        assert {(row["verb"], row["threads"]) for row in told["results"]} == {
            (verb, threads) for verb in VERBS for threads in (1, 2)
        }
        assert all(row["per_second"] > 0 and row["p99_ms"] >= row["p50_ms"] for row in told["results"])
        assert "KEEPSITE_HSM_POOL_SIZE" in told["advice"][0]

    def test_says_how_many_calls_a_verb_is(self, configured, mkek, hsm, shim, capsys):
        hsm.close()

        call_command("hsm_bench", "--threads", "1", "--seconds", "0.05")

        out = capsys.readouterr().out
        assert "PKCS#11" in out
        assert "throughput grows up to 1 threads" in out

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_is_as_many_calls_as_it_says(self, verb, mkek, hsm, shim):
        (one,) = [one for one in _verbs(hsm) if one.name == verb]
        one.once()

        with shim.counting() as calls:
            one.once()

        assert sum(calls.values()) == one.calls == VERBS[verb], calls

    def test_under_a_template_all_but_rewrapping_is_measured(self, hsm):
        hsm.generate_mkek(label="strict", template=UnwrapTemplate.STRICT)

        assert [one.name for one in _verbs(hsm)] == [*VERBS][:-1]

    def test_without_a_master_key_it_says_what_to_do(self, configured):
        with pytest.raises(CommandError, match="make one first"):
            call_command("hsm_bench", "--seconds", "0.05")

    @pytest.mark.parametrize("threads", ["0", "x", ""])
    def test_thread_counts_are_numbers_above_zero(self, configured, threads):
        with pytest.raises(CommandError, match="thread"):
            call_command("hsm_bench", "--threads", threads)


class TestAdvice:
    def test_is_where_more_threads_stop_helping(self):
        reads = [measured(1, 100), measured(4, 390), measured(8, 400)]
        writes = [measured(threads, 50 * threads, "encrypt 32 B") for threads in (1, 4, 8)]

        pool, workers = advice(reads + writes, processes=3)

        assert "up to 4 threads" in pool
        assert "KEEPSITE_HSM_POOL_SIZE=2" in pool
        assert "up to 8 workers" in workers
