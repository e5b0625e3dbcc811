import pickle

import pytest

from hsm.config import load_config
from hsm.errors import ConfigInvalid

GOOD = """
profile = "softhsm"
[[members]]
name = "a"
module = "/lib/m.so"
token_label = "t"
pin_file = "pin"
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "pin").write_text("4711\n")

    def load(text):
        file = tmp_path / "hsm.toml"
        file.write_text(text)
        return load_config(file, pool_size=3, wait_s=1.5, cache_max_keys=7)

    return load


class TestLoadConfig:
    def test_a_member_and_the_limits_are_there(self, load):
        config = load(GOOD)

        (member,) = config.members
        assert (member.name, str(member.module), member.token_label, member.weight) == (
            "a",
            "/lib/m.so",
            "t",
            1,
        )
        assert member.pin.reveal() == b"4711"
        assert (config.pool_size, config.wait_s, config.cache_max_keys) == (3, 1.5, 7)
        assert config.profile.wrap_mechanism == 0x2109

    def test_a_pin_may_come_from_a_variable(self, load, monkeypatch):
        monkeypatch.setenv("MY_PIN", "42")

        assert load(GOOD.replace('pin_file = "pin"', 'pin_env = "MY_PIN"')).members[0].pin.reveal() == b"42"

    def test_another_wrap_mechanism_is_required_of_the_token_too(self, load):
        profile = load("wrap_mechanism = 0x210B\nunwrap_needs_value_len = true" + GOOD).profile

        assert profile.wrap_mechanism == 0x210B
        assert 0x210B in profile.uses
        assert profile.unwrap_needs_value_len

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (("profile =", "profil ="), "profil: no such entry"),
            (('"softhsm"', '"x"'), 'profile: accepted is one of "softhsm"'),
            (('"softhsm"', "7"), "profile: accepted is"),
            (("[[members]]", "[[member]]"), r"members: accepted is one or more"),
            (('name = "a"', ""), r"members\[0\].name: accepted is"),
            (('name = "a"', 'name = "../a"'), r"members\[0\].name: accepted is"),
            (('token_label = "t"', ""), "token_label: accepted is"),
            (('token_label = "t"', 'token_label = "t"\ntoken_serial = "1"'), "one of the two"),
            (('pin_file = "pin"', 'pin = "1234"'), "PIN never stands in this file"),
            (('pin_file = "pin"', 'pin_file = "nope"'), "nope cannot be read"),
            (('pin_file = "pin"', 'pin_env = "NO_SUCH_PIN"'), "is empty"),
            (('name = "a"', 'name = "a"\nwieght = 2'), r"members\[0\].wieght: no such entry"),
            (('name = "a"', 'name = "a"\nweight = -1'), "0 for a standby"),
            (('profile = "softhsm"', 'profile = "softhsm"\npool = 3'), "pool: no such entry"),
            (('profile = "softhsm"', 'profile = "softhsm"\nmax_single_part_bytes = true'), "a size in bytes"),
            (("[[members]]", "[[members"), "not valid TOML"),
            ((GOOD, GOOD + GOOD.split("\n", 2)[2]), "two have the name"),
        ],
    )
    def test_what_is_wrong_is_named_with_file_and_remedy(self, load, change, message):
        with pytest.raises(ConfigInvalid, match=message) as failure:
            load(GOOD.replace(*change))

        assert "hsm.toml" in str(failure.value)
        assert "4711" not in str(failure.value)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ConfigInvalid, match=r"gone\.toml"):
            load_config(tmp_path / "gone.toml", pool_size=1, wait_s=1, cache_max_keys=1)


class TestPin:
    def test_is_neither_printed_nor_pickled(self, load):
        config = load(GOOD)

        assert "4711" not in repr(config)
        assert "<Pin>" in repr(config)
        with pytest.raises(TypeError):
            pickle.dumps(config)

    def test_on_a_read_only_mount_the_verdict_is_kept_elsewhere(self, load, tmp_path, monkeypatch):
        monkeypatch.setattr("hsm.config.os.access", lambda *_: False)
        monkeypatch.setattr("hsm.config.tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        load(GOOD).members[0].pin.mark_refused()

        assert load(GOOD).members[0].pin.was_refused()
        assert not list(tmp_path.glob("login-refused-*"))

    def test_only_a_refused_pin_is_remembered(self, load, tmp_path):
        load(GOOD).members[0].pin.mark_refused()

        assert load(GOOD).members[0].pin.was_refused()
        (tmp_path / "pin").write_text("4712")
        assert not load(GOOD).members[0].pin.was_refused()
