"""Key ceremonies: components, imports into two tokens that cannot be cloned, templates, members compared."""

import io
import os
import stat

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.core.management import CommandError, call_command

from hsm import provider
from hsm.keys import UnwrapTemplate
from keepsite.errors import Conflict, InvalidInput, NotAllowed
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.keyring import kcv, mkeks, services
from keepsite.keyring.management.component_files import component_file, component_from
from keepsite.keyring.models import MKEK
from keepsite.keyring.sealed import Plaintext, SealContext
from tests.support.pkcs11_standins import Shim, Token

ACTOR = command_principal()
ALL_ONES = bytearray(b"\xff" * 32)


class TestKeyCheckValue:
    def test_it_is_the_first_three_bytes_of_an_encrypted_zero_block(self):
        # FIPS 197 appendix C.3's key
        key = bytes(range(32))
        block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))

        assert kcv.key_check_value(key) == block[:3].hex().upper() == "F29000"

    def test_the_token_gives_the_same_for_a_key_of_ours(self, pair):
        key = kcv.new_component()

        made = mkeks.import_mkek(label="known", value=key, members=("a",), actor=ACTOR)

        view = next(view for view in mkeks.member_views() if view.name == "a")
        assert (
            [info.kcv.hex().upper() for info in view.mkeks] == [made.mkek.kcv] == [kcv.key_check_value(key)]
        )


class TestComponents:
    def test_xor_of_all_is_the_key(self):
        parts = [kcv.new_component() for _ in range(3)]

        key = kcv.combined(parts)

        assert bytes(key) == bytes(a ^ b ^ c for a, b, c in zip(*parts, strict=True))

    def test_any_but_all_say_nothing_about_it(self):
        """With one component missing, every key is as likely: some last component makes it."""
        parts = [kcv.new_component() for _ in range(2)]
        wanted = bytearray(os.urandom(32))
        last = kcv.combined([*parts, wanted])

        assert kcv.combined([*parts, last]) == wanted

    @pytest.mark.parametrize("parts", [[], [ALL_ONES], [ALL_ONES, bytearray(32), ALL_ONES]], ids=len)
    def test_too_few_or_equal_ones_are_refused(self, parts):
        with pytest.raises(InvalidInput):
            kcv.combined(parts)

    def test_what_is_written_is_read(self):
        part = kcv.new_component()

        assert kcv.read_component(kcv.written(part)) == part
        assert kcv.read_component(kcv.written(part).lower().replace(" ", "-")) == part

    @pytest.mark.parametrize("text", ["12", "FF" * 33, "GG" * 32], ids=["short", "long", "no hex"])
    def test_a_slip_is_refused_and_not_repeated(self, text):
        with pytest.raises(InvalidInput) as refused:
            kcv.read_component(text)
        assert text not in refused.value.public

    def test_a_file_is_checked_by_its_own_value(self, tmp_path):
        part = kcv.new_component()
        file = tmp_path / "part"
        file.write_text(component_file(part, number=1, count=2))
        assert component_from(file) == part

        file.write_text(component_file(part, number=1, count=2).replace("component: ", "component: 0")[:-40])
        with pytest.raises(InvalidInput):
            component_from(file)

    def test_a_wrong_digit_is_noticed(self, tmp_path):
        part = kcv.new_component()
        text = component_file(part, number=1, count=2)
        spoilt = kcv.written(bytes([part[0] ^ 1]) + part[1:])
        file = tmp_path / "part"
        file.write_text(text.replace(kcv.written(part), spoilt))

        with pytest.raises(InvalidInput, match="does not fit"):
            component_from(file)

    def test_wiped_they_are_zeros(self):
        part = kcv.new_component()
        kcv.wipe(part)

        assert part == bytearray(32)


@pytest.fixture
def pair(db, settings, tmp_path, monkeypatch, shim):
    """Two tokens that no vendor could clone, as members a and b; each behind a shim of its own."""
    tokens = {}
    lines = ['profile = "softhsm"']
    environment = None
    for name in "ab":
        token = Token(tmp_path / name, label=f"token-{name}")
        environment = environment or token
        tokens[name] = token
    # both in one store: two slots of one module
    first = tokens["a"]
    first.util("--init-token", "--free", "--label", "token-b", "--pin", first.pin, "--so-pin", "5678")
    monkeypatch.setenv("SOFTHSM2_CONF", str(first.conf))
    shim_of_pair = Shim(tmp_path, first.module)
    for name, value in shim_of_pair.environment.items():
        monkeypatch.setenv(name, value)
    for name in "ab":
        lines += [
            "[[members]]", f'name = "{name}"', f'module = "{shim_of_pair.module}"',
            f'token_label = "token-{name}"', f'pin_file = "{first.pin_file}"',
        ]  # fmt: skip
    config = tmp_path / "pair.toml"
    config.write_text("\n".join(lines) + "\n")
    former = provider._hsm
    provider._hsm = None
    settings.HSM_CONFIG = str(config)
    MKEK.objects.all().delete()
    yield shim_of_pair
    shim_of_pair.clear()
    provider.reset()
    provider._hsm = former


def import_two(label="ceremony", **options):
    parts = [kcv.new_component(), kcv.new_component()]
    return mkeks.import_mkek(
        label=label, value=kcv.combined(parts), members=("a", "b"), actor=ACTOR, **options
    ).mkek


class TestImport:
    def test_both_tokens_hold_the_same_key_and_serve(self, pair):
        mkek = import_two()
        assert mkek.state == MKEK.State.PENDING

        mkeks.activate_mkek(mkek, actor=ACTOR)

        pkek = services.sealing_key("p1")
        context = SealContext(project_id="p1", secret_id="s", version=1)
        for _ in range(4):  # whichever member serves
            sealed = services.seal(Plaintext(b"x"), pkek=pkek, context=context)
            assert services.open_sealed(sealed, pkek=pkek, context=context).reveal() == b"x"
        assert all(view.holds(mkek.canary) for view in mkeks.member_views())

    def test_one_member_after_the_other(self, pair):
        key = kcv.new_component()
        first = mkeks.import_mkek(label="m", value=key, members=("a",), actor=ACTOR).mkek
        with pytest.raises(Conflict, match="b "):
            mkeks.activate_mkek(first, actor=ACTOR)

        second = mkeks.import_mkek(label="m", value=key, members=("b",), actor=ACTOR).mkek

        assert second == first
        mkeks.activate_mkek(first, actor=ACTOR)

    def test_other_components_under_the_same_label_are_refused(self, pair):
        import_two("m")

        with pytest.raises(Conflict, match="key check value"):
            import_two("m")
        assert MKEK.objects.count() == 1

    def test_a_ceremony_that_broke_off_is_held_again(self, pair):
        key = kcv.new_component()
        mkeks.import_mkek(label="m", value=key, members=("a",), actor=ACTOR)
        MKEK.objects.all().delete()  # as if it had been killed before the row

        again = mkeks.import_mkek(label="m", value=key, members=("a", "b"), actor=ACTOR).mkek

        mkeks.activate_mkek(again, actor=ACTOR)

    def test_another_key_that_the_token_has_under_the_label_is_not_taken_for_it(self, pair):
        mkeks.import_mkek(label="m", value=kcv.new_component(), members=("a",), actor=ACTOR)
        MKEK.objects.all().delete()

        with pytest.raises(Conflict, match="another key"):
            mkeks.import_mkek(label="m", value=kcv.new_component(), members=("a",), actor=ACTOR)
        assert not MKEK.objects.exists()

    def test_a_token_that_takes_no_key_in_the_clear_gets_it_wrapped(self, pair):
        provider.hsm().start()
        pair.answer(0xD1, "C_CreateObject")

        mkek = import_two()

        pair.clear()
        mkeks.activate_mkek(mkek, actor=ACTOR)
        assert services.sealing_key("p1")

    def test_one_that_takes_it_neither_way_is_told_so(self, pair, monkeypatch):
        provider.hsm().start()
        pair.answer(0xD1, "C_CreateObject")
        monkeypatch.setattr("hsm.mkeks._import_wrapped", refused)

        with pytest.raises(Conflict, match="vendor's own means"):
            import_two()
        assert not MKEK.objects.exists()

    def test_only_operators_may(self, pair):
        caller = Principal(project_id="p1", user_id="u", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            mkeks.import_mkek(label="m", value=kcv.new_component(), members=("a",), actor=caller)


class TestCompare:
    def test_hsm_check_finds_the_member_that_lacks_a_key(self, pair, capsys):
        mkeks.import_mkek(label="m", value=kcv.new_component(), members=("a",), actor=ACTOR)

        with pytest.raises(CommandError, match=r"b does not open the canary of MKEK m \(MKEKNotFound\)"):
            call_command("hsm_check")

    def test_and_one_that_holds_another_key_under_the_id(self, pair, capsys):
        mkek = mkeks.import_mkek(label="m", value=kcv.new_component(), members=("a",), actor=ACTOR).mkek
        from hsm import ceremony
        from hsm.keys import MKEKInfo

        impostor = MKEKInfo(mkek_id=bytes.fromhex(mkek.cka_id), label="m", kcv=b"")
        ceremony.import_mkek(provider.hsm(), member="b", value=kcv.new_component(), new=impostor)

        with pytest.raises(CommandError, match="CanaryMismatch") as refused:
            call_command("hsm_check")
        assert "different key check values" in str(refused.value)

    def test_equal_members_pass(self, pair, capsys):
        import_two("m")

        call_command("hsm_check")

        assert capsys.readouterr().out.count("canary opens") == 2


class TestTemplates:
    @pytest.mark.parametrize("template", [UnwrapTemplate.STRICT, UnwrapTemplate.ROTATABLE])
    def test_the_token_keeps_the_keys_in(self, pair, template):
        made = mkeks.make_mkek(label="bound", actor=ACTOR, template=template)

        assert (made.mkek.unwrap_template, made.gives_out) == (template, False)

    def test_without_one_it_gives_them_out_and_says_so(self, pair, capsys):
        call_command("mkek_generate", label="unbound")

        assert MKEK.objects.get().unwrap_template == "none"
        assert "whoever has the PIN" in capsys.readouterr().err

    @pytest.mark.parametrize("template", list(UnwrapTemplate))
    def test_projects_work_under_each(self, mkek, template):
        made = mkeks.make_mkek(label=f"works {template}", actor=ACTOR, template=template).mkek
        mkeks.activate_mkek(made, actor=ACTOR)
        pkek = services.sealing_key(f"under {template}")
        provider.hsm().forget(pkek.id)
        context = SealContext(project_id=f"under {template}", secret_id="s", version=1)

        sealed = services.seal(Plaintext(b"x"), pkek=pkek, context=context)

        assert services.open_sealed(sealed, pkek=pkek, context=context).reveal() == b"x"

    def test_an_imported_key_is_bound_too(self, pair):
        mkek = import_two("bound", template=UnwrapTemplate.STRICT)

        assert mkek.unwrap_template == "strict"


class TestCommands:
    def test_components_are_private_files_and_become_a_key(self, pair, tmp_path, capsys):
        call_command("mkek_components", "--count", "2", "--output", str(tmp_path))
        files = sorted(tmp_path.glob("component-*"))
        said = capsys.readouterr().out
        whole = said.rsplit("key check value ", 1)[1][:6]

        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
        named = [option for file in files for option in ("--file", str(file))]
        call_command("mkek_import", "--label", "m", *named, "--kcv", whole, "--yes")

        said = capsys.readouterr().out
        assert MKEK.objects.get().kcv == whole
        for file in files:
            assert kcv.written(component_from(file)) not in said

    def test_the_wrong_whole_is_refused(self, pair, tmp_path):
        call_command("mkek_components", "--count", "2", "--output", str(tmp_path))
        named = [option for file in tmp_path.glob("component-*") for option in ("--file", str(file))]

        with pytest.raises(CommandError, match="check value"):
            call_command("mkek_import", "--label", "m", *named, "--kcv", "000000", "--yes")
        assert not MKEK.objects.exists()

    def test_typed_components_are_asked_for_without_echo_and_confirmed(self, pair, monkeypatch, capsys):
        parts = [kcv.new_component(), kcv.new_component()]
        typed = [kcv.written(part) for part in parts]
        asked = []
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("getpass.getpass", lambda asking: asked.append(asking) or typed[len(asked) - 1])
        monkeypatch.setattr(
            "builtins.input", lambda question: asked.append(question) or "yes" if False else "yes"
        )

        call_command("mkek_import", "--label", "m")

        assert len(asked) == 2
        assert MKEK.objects.get().kcv == kcv.key_check_value(kcv.combined(parts))
        said = capsys.readouterr()
        assert all(text not in said.out + said.err for text in typed)

    def test_nobody_at_the_terminal_types_nothing(self, pair):
        with pytest.raises(CommandError, match="--file"):
            call_command("mkek_import", "--label", "m", "--yes")

    def test_an_unknown_member_is_named(self, pair):
        with pytest.raises(CommandError, match=r"no member c\. Known: a, b"):
            call_command("mkek_import", "--label", "m", "--member", "c")


def refused(*_):
    from hsm.faults import CallFailed

    raise CallFailed(0x70, "C_UnwrapKey")


class Terminal(io.StringIO):
    def isatty(self):
        return True
