import pytest
from django.core.checks import run_checks

SOFTWARE_TOKEN = "hsm.W001"


def ids(**how):
    return [message.id for message in run_checks(tags=["hsm"], **how)]


@pytest.fixture
def configured(settings, token):
    settings.HSM_CONFIG = str(token.config_file())
    return token


class TestChecks:
    def test_a_good_configuration_passes(self, configured):
        assert ids() == []

    def test_an_empty_setting_names_the_variable(self, settings):
        settings.HSM_CONFIG = ""

        (message,) = run_checks(tags=["hsm"])
        assert message.id == "hsm.E001"
        assert "KEEPSITE_HSM_CONFIG" in message.msg

    def test_a_file_that_does_not_parse_is_an_error(self, configured):
        configured.config_file(extra="nonsense = 1")

        assert ids() == ["hsm.E001"]

    def test_a_missing_module_is_an_error(self, configured):
        configured.config_file(module="/no/such/module.so")

        assert ids() == ["hsm.E002"]

    @pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
    def test_a_pin_that_everybody_may_read_is_an_error(self, configured, mode):
        configured.pin_file.chmod(mode)

        (message,) = run_checks(tags=["hsm"])
        assert message.id == "hsm.E003"
        assert "chmod 600" in message.hint

    def test_a_refused_pin_is_an_error_until_it_changes(self, configured, make_hsm):
        configured.pin_file.write_text("9999")
        make_hsm()._group.members[0].config.pin.mark_refused()

        assert ids() == ["hsm.E004"]
        configured.pin_file.write_text("1234")
        assert ids() == []

    def test_a_deployment_on_softhsm_is_warned(self, configured):
        assert ids(include_deployment_checks=True) == [SOFTWARE_TOKEN]

    def test_no_token_is_touched(self, configured, shim):
        configured.config_file(module=shim.module)

        ids(include_deployment_checks=True)

        assert shim.calls() == {}
