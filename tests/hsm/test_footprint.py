import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from hsm.config import HSMConfig, load_config
from hsm.footprint import beyond_budget, beyond_limits, beyond_memory, footprint
from hsm.native import Native, TokenLimits
from keepsite.keyring.models import MKEK


def config(token, **how):
    options = {"pool_size": 8, "wait_s": 2.0, "cache_max_keys": 2000, "processes": 12} | how
    extra = options.pop("extra", "")
    return load_config(token.config_file(extra=extra), **options)


def limits(**known):
    return TokenLimits(**{"sessions": None, "read_write_sessions": None, "free_private_bytes": None} | known)


class TestFootprint:
    def test_is_what_every_process_may_take_together(self, token):
        need = footprint(config(token))

        assert (need.processes, need.objects, need.all_objects) == (12, 24_000, 24_000)
        assert need.sessions == 12 * (8 + 4 + 1)

    def test_the_file_knows_the_number_of_processes_best(self, token):
        assert footprint(config(token, extra="processes = 3")).objects == 6000

    def test_members_that_are_slots_of_one_appliance_add_up(self, make_pair):
        pair = make_pair(topology="two slots")
        shared = load_config(pair.config_file(), pool_size=8, wait_s=2, cache_max_keys=100, processes=5)

        assert footprint(shared).objects == 500
        assert footprint(shared).all_objects == footprint(shared).shared_objects == 1000

    def test_members_behind_modules_of_their_own_do_not(self, make_pair):
        apart = load_config(make_pair().config_file(), pool_size=8, wait_s=2, cache_max_keys=100, processes=5)

        assert (footprint(apart).all_objects, footprint(apart).shared_objects) == (1000, 500)


class TestBeyondBudget:
    @pytest.mark.parametrize(("budget", "fits"), [(24_000, True), (23_999, False)])
    def test_one_object_too_many_is_too_much(self, token, budget, fits):
        assert (beyond_budget(config(token, extra=f"session_object_budget = {budget}")) is None) == fits

    @pytest.mark.parametrize(("budget", "fits"), [(1000, True), (999, False)])
    def test_slots_of_one_module_share_it(self, make_pair, budget, fits):
        file = make_pair(topology="two slots").config_file(f"session_object_budget = {budget}")
        shared = load_config(file, pool_size=8, wait_s=2, cache_max_keys=100, processes=5)

        assert (beyond_budget(shared) is None) == fits
        assert fits or "the 2 tokens of one module" in beyond_budget(shared)

    def test_nothing_is_said_where_nobody_knows_the_room(self, token):
        assert beyond_budget(config(token)) is None

    def test_too_much_does_not_start(self, settings, token):
        settings.HSM_CONFIG = str(token.config_file(extra="session_object_budget = 100"))

        (problem,) = run_checks(tags=["hsm"])

        assert problem.id == "hsm.E005"
        assert "session_object_budget is 100" in problem.msg


class TestBeyondLimits:
    @pytest.mark.parametrize(
        ("known", "fits"),
        [
            ({}, True),
            ({"sessions": 156}, True),
            ({"sessions": 155}, False),
            ({"sessions": 1000, "read_write_sessions": 100}, False),
        ],
    )
    def test_sessions_of_all_processes_fit_into_what_the_token_says(self, token, known, fits):
        assert (beyond_limits(config(token), limits(**known)) is None) == fits

    def test_read_only_sessions_are_not_held_to_the_other_limit(self, token):
        read_only = config(token, extra="read_write_sessions = false")

        assert beyond_limits(read_only, limits(read_write_sessions=1)) is None

    def test_a_token_too_small_is_logged_at_start_and_serves(self, hsm, monkeypatch, caplog):
        monkeypatch.setattr(Native, "token_limits", lambda native, slot: limits(sessions=5))

        hsm.start()

        assert "may open 13 sessions on the token, and it allows 5" in caplog.text
        assert hsm.status()[0].state == "up"

    def test_the_token_is_asked_at_start(self, hsm):
        hsm.start()

        assert hsm.status()[0].limits == limits()  # SoftHSM has no limit


class TestBeyondMemory:
    @pytest.mark.parametrize(
        ("known", "fits"),
        [
            ({}, True),
            ({"private_bytes": 24_000 * 100}, True),
            ({"private_bytes": 24_000 * 100 - 1}, False),
            ({"private_bytes": 24_000 * 100, "free_private_bytes": 2000 * 100}, True),
            ({"private_bytes": 24_000 * 100, "free_private_bytes": 2000 * 100 - 1}, False),
        ],
        ids=str,
    )
    def test_all_fit_into_all_of_it_and_one_process_into_what_is_free(self, token, known, fits):
        read = config(token, extra="session_object_bytes = 100")

        assert (beyond_memory(read, limits(**known)) is None) == fits

    def test_slots_of_one_module_share_it(self, make_pair):
        file = make_pair(topology="two slots").config_file("session_object_bytes = 100")
        shared = load_config(file, pool_size=8, wait_s=2, cache_max_keys=100, processes=5)

        assert beyond_memory(shared, limits(private_bytes=100_000)) is None
        assert "1000 session objects" in beyond_memory(shared, limits(private_bytes=99_999))

    @pytest.fixture
    def small_token(self, monkeypatch):
        monkeypatch.setattr(Native, "token_limits", lambda native, slot: limits(private_bytes=5000))

    def test_too_little_is_logged_at_start_and_serves(self, small_token, hsm, caplog):
        hsm.start()

        assert "2000 session objects on a token, some 1024000 bytes" in caplog.text
        assert hsm.status()[0].state == "up"

    @pytest.mark.usefixtures("small_token", "db")
    def test_hsm_check_tells_it(self, token, shim, settings, capsys):
        settings.HSM_CONFIG = str(token.config_file(shim.module))
        MKEK.objects.all().delete()

        call_command("hsm_check")

        out = capsys.readouterr().out
        assert "not told bytes free of 5000" in out
        assert "TOO MUCH" in out


class TestConfig:
    @pytest.mark.parametrize(
        "line",
        ["budget_ms = 0", "processes = -1", "soft_hang_ms = '1'", "hard_hang_s = 1.5", "heartbeat_s = 0"],
    )
    def test_numbers_are_whole_and_above_zero(self, token, line):
        with pytest.raises(Exception, match="above 0"):
            config(token, extra=line)

    def test_units_are_what_their_names_say(self, token):
        read = config(token, extra="budget_ms = 1500\nsoft_hang_ms = 250\nhard_hang_s = 20\nheartbeat_s = 7")

        assert (read.budget_s, read.soft_hang_s, read.hard_hang_s, read.heartbeat_s) == (1.5, 0.25, 20.0, 7.0)

    def test_one_of_several_members_leaves_time_for_another(self, token, make_pair):
        assert config(token).patience_s == 2.0
        assert isinstance(make_pair().hsm().config, HSMConfig)
        assert make_pair().hsm().config.patience_s == 1.0
