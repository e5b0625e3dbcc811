import os

import pytest

from hsm import provider
from hsm.errors import ConfigInvalid


@pytest.fixture
def configured(settings, token, shim):
    settings.HSM_CONFIG = token.config_file(shim.module)
    settings.HSM_POOL_SIZE, settings.HSM_WAIT_S, settings.HSM_CACHE_MAX_KEYS = 3, 1.5, 9
    provider.reset()
    yield settings
    provider.reset()


class TestHsm:
    def test_is_one_per_process_with_the_limits_of_the_settings(self, configured):
        hsm = provider.hsm()

        assert provider.hsm() is hsm
        assert (hsm.config.pool_size, hsm.config.wait_s, hsm.config.cache_max_keys) == (3, 1.5, 9)

    def test_touches_no_module_before_its_first_verb(self, configured, shim):
        provider.hsm()

        assert shim.calls() == {}

    def test_a_child_builds_its_own_and_calls_nothing_in_the_module(self, configured, shim):
        parents = provider.hsm()

        child = os.fork()
        if child == 0:
            os._exit(0 if provider.hsm() is not parents and shim.calls() == {} else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert provider.hsm() is parents

    def test_without_a_configuration_the_variable_is_named(self, settings):
        settings.HSM_CONFIG = ""
        provider.reset()

        with pytest.raises(ConfigInvalid, match="KEEPSITE_HSM_CONFIG"):
            provider.hsm()


class TestReset:
    def test_the_next_use_reads_the_settings_again(self, configured):
        provider.hsm().start()
        provider.reset()
        configured.HSM_POOL_SIZE = 5

        assert provider.hsm().config.pool_size == 5
