import json

import pytest
from django.core.management import CommandError, call_command

from hsm.benchmark import Measured, advice


def measured(threads, per_second):
    return Measured(
        member="a", verb="decrypt 32 B", calls=2, threads=threads, per_second=per_second, p50_ms=1, p99_ms=2
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
            (verb, threads)
            for verb in ("random", "encrypt 32 B", "decrypt 32 B", "decrypt 16 kB", "decrypt, key not cached")
            for threads in (1, 2)
        }
        assert all(row["per_second"] > 0 and row["p99_ms"] >= row["p50_ms"] for row in told["results"])
        assert "KEEPSITE_HSM_POOL_SIZE" in told["advice"][0]

    def test_says_how_many_calls_a_verb_is(self, configured, mkek, hsm, shim, capsys):
        hsm.close()

        call_command("hsm_bench", "--threads", "1", "--seconds", "0.05")

        out = capsys.readouterr().out
        assert "PKCS#11" in out
        assert "throughput grows up to 1 threads" in out

    def test_without_a_master_key_it_says_what_to_do(self, configured):
        with pytest.raises(CommandError, match="make one first"):
            call_command("hsm_bench", "--seconds", "0.05")

    @pytest.mark.parametrize("threads", ["0", "x", ""])
    def test_thread_counts_are_numbers_above_zero(self, configured, threads):
        with pytest.raises(CommandError, match="thread"):
            call_command("hsm_bench", "--threads", threads)


class TestAdvice:
    def test_is_where_more_threads_stop_helping(self):
        (said,) = advice([measured(1, 100), measured(4, 390), measured(8, 400)], processes=3)

        assert "up to 4 threads" in said
        assert "KEEPSITE_HSM_POOL_SIZE=2" in said
