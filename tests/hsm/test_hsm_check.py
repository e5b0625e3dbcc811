import json

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db  # the members are compared with what the database says


@pytest.fixture
def configured(settings, token, shim, db):
    from keepsite.keyring.models import MKEK

    MKEK.objects.all().delete()  # what other tests left; this token knows none of them
    settings.HSM_CONFIG = str(token.config_file(shim.module))
    return token


class TestHsmCheck:
    def test_prints_token_mechanisms_and_mkeks(self, configured, hsm, mkek, capsys):
        call_command("hsm_check")

        out = capsys.readouterr().out
        assert "up" in out
        assert configured.label in out
        assert "AES_KEY_WRAP (0x2109)" in out
        assert f"id {mkek.mkek_id.hex()}  kcv {mkek.kcv.hex()}" in out

    def test_a_token_without_an_mkek_says_how_to_make_one(self, configured, capsys):
        call_command("hsm_check")

        assert "mkek_generate" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda token, shim: token.pin_file.write_text("9"), "LoginRefused: .*remove .*login-refused-a"),
            (lambda token, shim: shim.answer(0x30), "MemberUnavailable"),
            (lambda token, shim: token.config_file("/nowhere.so"), "ConfigInvalid: /nowhere.so"),
        ],
        ids=["wrong PIN", "token away", "no module"],
    )
    def test_what_is_wrong_ends_it_with_a_reason(self, configured, shim, capsys, spoil, message):
        spoil(configured, shim)

        with pytest.raises(CommandError, match=message):
            call_command("hsm_check")
        shim.clear()

    def test_as_json_it_tells_states_limits_history_and_what_all_processes_take(
        self, configured, hsm, mkek, capsys, settings
    ):
        settings.HSM_PROCESSES = 3

        call_command("hsm_check", "--json")

        facts = json.loads(capsys.readouterr().out)
        (member,) = facts["members"]
        assert (member["state"], member["history"][-1]["state"]) == ("up", "up")
        assert member["verbs"]["login"]["calls"] == 1
        assert facts["footprint"]["objects"] == 3 * settings.HSM_CACHE_MAX_KEYS
        assert facts["mkeks"] == [
            {
                "label": mkek.label,
                "id": mkek.mkek_id.hex(),
                "kcv": mkek.kcv.hex(),
                "template": "none",
                "members": [member["name"]],
            }
        ]
        assert "1234" not in json.dumps(facts)

    def test_one_member_of_two_that_cannot_serve_fails_it_and_is_named(self, make_pair, settings, capsys):
        pair = make_pair()
        pair.b.pin_file.write_text("9999")
        settings.HSM_CONFIG = str(pair.config_file())

        with pytest.raises(CommandError, match="b cannot serve"):
            call_command("hsm_check")

        assert "the token refused the PIN" in capsys.readouterr().out

    def test_a_wrong_pin_is_tried_once_over_two_runs(self, configured, shim, capsys):
        configured.pin_file.write_text("9999")
        for _ in range(2):
            with pytest.raises(CommandError):
                call_command("hsm_check")

        assert shim.calls()["C_Login"] == 1

    def test_an_unset_configuration_is_named(self, settings):
        settings.HSM_CONFIG = ""

        with pytest.raises(CommandError, match="KEEPSITE_HSM_CONFIG"):
            call_command("hsm_check")
