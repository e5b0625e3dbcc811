"""MKEKs: generated on the token, pending until activated, at most one current."""

import pytest
from django.core.management import CommandError, call_command

from keepsite.errors import Conflict, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.keyring import services
from keepsite.keyring.models import MKEK, ProjectKEK
from secrets_app.models import Secret

ACTOR = command_principal()


@pytest.fixture
def label(request, mkek):
    """A label no token and no row knows yet."""
    return f"mkek {request.node.name}"[:60]


class TestGenerate:
    def test_a_new_mkek_waits_and_the_current_one_stays(self, mkek, label):
        made = services.generate_mkek(label=label, actor=ACTOR)

        assert made.state == MKEK.State.PENDING
        assert len(bytes.fromhex(made.cka_id)) == 16
        assert len(bytes.fromhex(made.kcv)) == 3
        assert MKEK.objects.get(current_marker=True) == mkek

    def test_a_label_is_taken_once(self, label):
        services.generate_mkek(label=label, actor=ACTOR)

        with pytest.raises(Conflict):
            services.generate_mkek(label=label, actor=ACTOR)
        assert MKEK.objects.filter(label=label).count() == 1

    def test_a_label_that_only_the_token_knows_is_refused(self, label):
        services.generate_mkek(label=label, actor=ACTOR)
        MKEK.objects.filter(label=label).delete()

        with pytest.raises(Conflict, match="no row knows"):
            services.generate_mkek(label=label, actor=ACTOR)
        assert not MKEK.objects.filter(label=label).exists()

    def test_a_token_that_fails_leaves_no_row(self, label, shim):
        services.random_keys([1])
        shim.answer(0x30)

        with pytest.raises(Unavailable):
            services.generate_mkek(label=label, actor=ACTOR)
        assert not MKEK.objects.filter(label=label).exists()


class TestActivate:
    def test_the_former_one_only_unwraps_from_then_on(self, api, mkek, label):
        before = api.store("before")
        made = services.generate_mkek(label=label, actor=ACTOR)
        services.activate_mkek(made, actor=ACTOR)

        other = api.other(project="after activation")
        after = other.store("after")

        assert MKEK.objects.get(id=mkek.id).state == MKEK.State.PREVIOUS
        assert ProjectKEK.objects.get(project__external_id="after activation").mkek == made
        assert api.get(f"{before}/payload").content == b"before"
        assert other.get(f"{after}/payload").content == b"after"
        assert api.store("still under the old one")

    def test_again_changes_nothing(self, mkek):
        services.activate_mkek(mkek, actor=ACTOR)

        assert MKEK.objects.get(current_marker=True) == mkek

    @pytest.mark.parametrize("state", [MKEK.State.PREVIOUS, MKEK.State.RETIRED])
    def test_one_that_was_replaced_does_not_come_back(self, mkek, label, state):
        made = services.generate_mkek(label=label, actor=ACTOR)
        MKEK.objects.filter(id=made.id).update(state=state)

        with pytest.raises(Conflict):
            services.activate_mkek(made, actor=ACTOR)
        assert MKEK.objects.get(current_marker=True) == mkek


class TestWithoutOne:
    def test_a_first_store_is_503_and_writes_nothing(self, api):
        MKEK.objects.update(state=MKEK.State.PREVIOUS, current_marker=None)

        response = api.post("/v1/secrets", {"payload": "x", "payload_content_type": "text/plain"})

        assert response.status_code == 503
        assert "master key" in response.json()["description"]
        assert not Secret.objects.exists()


class TestCommands:
    def test_generate_says_label_id_and_check_value(self, label, capsys):
        call_command("mkek_generate", label=label)

        made = MKEK.objects.get(label=label)
        said = capsys.readouterr().out
        assert made.state == MKEK.State.PENDING
        assert label in said
        assert made.cka_id in said
        assert made.kcv in said

    def test_generate_and_activate_in_one_go(self, label):
        call_command("mkek_generate", label=label, activate=True)

        assert MKEK.objects.get(current_marker=True).label == label

    def test_if_missing_does_nothing_when_there_is_one(self, mkek, label, capsys):
        call_command("mkek_generate", label=label, activate=True, if_missing=True)

        assert MKEK.objects.get() == mkek
        assert mkek.label in capsys.readouterr().out

    def test_activate_takes_a_label(self, label):
        services.generate_mkek(label=label, actor=ACTOR)
        call_command("mkek_activate", label, yes=True)

        assert MKEK.objects.get(current_marker=True).label == label

    def test_activate_lists_what_it_knows(self, mkek):
        with pytest.raises(CommandError, match=mkek.label):
            call_command("mkek_activate", "unknown")

    def test_generate_says_why_not(self, mkek):
        with pytest.raises(CommandError, match="already"):
            call_command("mkek_generate", label=mkek.label)
