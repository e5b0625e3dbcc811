import pytest
from django.core.checks import run_checks

from keepsite.keyring.models import MKEK


def found(**options):
    return {problem.id: problem for problem in run_checks(**options)}


class TestSettings:
    def test_test_settings_have_no_problem(self, shim):
        assert found() == {}

    def test_misspelt_variable_is_named(self, shim, monkeypatch):
        monkeypatch.setenv("KEEPSITE_THREDS", "8")

        problem = found()["keepsite.E001"]

        assert "KEEPSITE_THREDS" in problem.msg
        assert "settings.md" in problem.hint

    @pytest.mark.parametrize(
        ("name", "value", "accepted"),
        [("AUTH", "keystone2", "local"), ("ROLE_SET", "srbac", "secure")],
        ids=["auth", "role set"],
    )
    def test_unknown_choice_lists_the_accepted_ones(self, shim, settings, name, value, accepted):
        setattr(settings, name, value)

        problem = found()["keepsite.E002"]

        assert value in problem.msg
        assert accepted in problem.hint

    @pytest.mark.parametrize("bind", ["0.0.0.0:9311", "[::]:9311", "192.0.2.1:9311", "keepsite.example:9311"])
    def test_noauth_is_refused_where_others_can_reach_it(self, shim, settings, bind):
        settings.AUTH = "noauth"
        settings.BIND = bind

        assert "keepsite.E003" in found()

    @pytest.mark.parametrize(
        "bind", ["127.0.0.1:9311", "[::1]:9311", "localhost:9311", "unix:/run/keepsite.sock"]
    )
    def test_noauth_is_fine_on_ones_own_machine(self, shim, settings, bind):
        settings.AUTH = "noauth"
        settings.BIND = bind

        assert "keepsite.E003" not in found()

    def test_unencrypted_console_is_warned_of(self, shim, settings):
        settings.BIND = "0.0.0.0:9311"

        assert "keepsite.W004" in found()

    def test_policy_file_that_cannot_be_used_is_named(self, shim, settings, tmp_path):
        settings.POLICY_FILE = str(tmp_path / "policy.yaml")

        assert "policy.yaml" in found()["keepsite.E005"].msg

    @pytest.mark.parametrize(
        ("prefix", "is_one"),
        [
            ("/key-manager", True),
            ("/a/b.c", True),
            ("key-manager", False),
            ("/key-manager/", False),
            ("//evil.example", False),
            ("/a/../b", False),
            ("/a?b", False),
            ("/", False),
        ],
    )
    def test_a_prefix_that_is_no_plain_path_is_named(self, shim, settings, prefix, is_one):
        settings.PUBLIC_PREFIXES = [prefix]

        assert ("keepsite.E007" not in found()) == is_one

    @pytest.mark.parametrize(
        ("origin", "is_one"),
        [
            ("https://dashboard.example", True),
            ("http://localhost:3000", True),
            ("http://[::1]:3000", True),
            ("*", True),
            ("https://dashboard.example/", False),
            ("dashboard.example", False),
            ("https://*.example", False),
            ("https://Dashboard.example", False),  # browsers write it in small letters
        ],
    )
    def test_an_origin_that_no_browser_sends_is_named(self, shim, settings, origin, is_one):
        settings.CORS_ORIGINS = [origin]

        assert ("keepsite.E006" not in found()) == is_one


class TestKeystone:
    ACCOUNT = {  # noqa: RUF012  # a constant
        "KEYSTONE_URL": "https://keystone.example:5000",
        "KEYSTONE_USERNAME": "keepsite",
        "KEYSTONE_PASSWORD": "secret",
        "KEYSTONE_PROJECT": "service",
    }

    @pytest.fixture
    def keystone(self, shim, settings):
        settings.AUTH = "keystone"
        for name, value in self.ACCOUNT.items():
            setattr(settings, name, value)
        return settings

    def test_whole_account_is_fine(self, keystone):
        assert found() == {}

    @pytest.mark.parametrize("name", ACCOUNT)
    def test_missing_setting_is_named_with_what_to_do(self, keystone, name):
        setattr(keystone, name, "")

        problem = found()["keepsite.E010"]

        assert f"KEEPSITE_{name}" in problem.msg
        assert "keystone.md" in problem.hint

    def test_other_modes_need_none(self, keystone):
        keystone.AUTH = "local"
        keystone.KEYSTONE_URL = ""

        assert found() == {}

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("KEYSTONE_URL", "keystone.example:5000", "keepsite.E011"),
            ("KEYSTONE_CA_FILE", "/nowhere/ca.pem", "keepsite.E012"),
            ("KEYSTONE_CACHE_S", -1, "keepsite.E013"),
            ("KEYSTONE_CACHE_S", 90_000, "keepsite.E013"),
            ("KEYSTONE_MEMCACHED", ["cache1:11211", "cache2"], "keepsite.E014"),
            ("KEYSTONE_INTERFACE", "private", "keepsite.E002"),
        ],
    )
    def test_unusable_value_is_named_with_what_is_accepted(self, keystone, name, value, problem):
        setattr(keystone, name, value)

        assert f"KEEPSITE_{name}" in found()[problem].msg
        assert found()[problem].hint


class TestMasterKey:
    def test_nothing_to_say_with_a_current_one(self, mkek):
        assert "keyring.E001" not in found(databases=["default"])

    def test_missing_one_comes_with_the_command(self, mkek):
        MKEK.objects.all().delete()

        assert "mkek_generate" in found(databases=["default"])["keyring.E001"].hint

    def test_pending_one_only_needs_activation(self, mkek):
        MKEK.objects.update(state=MKEK.State.PENDING, current_marker=None)

        assert f"mkek_activate {mkek.label}" in found(databases=["default"])["keyring.E001"].hint
