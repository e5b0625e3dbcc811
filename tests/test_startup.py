import pytest

from keepsite import startup
from keepsite.keyring.models import MKEK


class TestRefuseBadSettings:
    def test_good_settings_pass_silently(self, shim, capsys):
        startup.refuse_bad_settings()

        assert capsys.readouterr().err == ""

    def test_bad_ones_end_the_process_and_say_why(self, shim, monkeypatch, capsys):
        monkeypatch.setenv("KEEPSITE_THREDS", "8")

        with pytest.raises(SystemExit):
            startup.refuse_bad_settings()

        assert "KEEPSITE_THREDS" in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
class TestAskTheToken:
    def test_ready_token_is_logged(self, mkek, caplog):
        startup.ask_the_token().join(30)

        assert "startup.token_ready" in caplog.text

    def test_missing_master_key_is_logged_with_what_to_do(self, mkek, caplog):
        MKEK.objects.all().delete()

        startup.ask_the_token().join(30)

        assert "NoCurrentMKEK" in caplog.text
        assert "hsm_check" in caplog.text
