"""A project that is gone takes all it had along, and can bring it back for a while."""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from keepsite.errors import Conflict, NotAllowed, NotFound
from keepsite.identity.operators import command_principal
from keepsite.keyring.models import ProjectKEK
from keepsite.projects.models import Project
from orders_app import retirement, services
from orders_app.models import Order, OrderPassphrase
from orders_app.retirement import restore_project, retire_project
from orders_app.services.claims import worker_of
from orders_app.tasks import fulfil
from secrets_app.models import Container, Secret
from tests.support.callers import path_of
from tests.support.rows import written_rows

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}


@pytest.fixture
def things(api, place):
    """Paths of a secret with a consumer, a container, a finished and a waiting order."""
    secret = api.store("kept")
    assert api.post(f"{secret}/consumers", NOVA).status_code == 200
    ref = api.get(secret).json()["secret_ref"]
    body = {"type": "generic", "name": "c", "secret_refs": [{"name": "s", "secret_ref": ref}]}
    container = path_of(api.post("/v1/containers", body).json()["container_ref"])
    done, waiting = place(), place()
    fulfil(done.id)
    meta = {"algorithm": "ec", "bit_length": 256, "passphrase": "correct horse"}
    api.post("/v1/orders", {"type": "asymmetric", "meta": meta})
    return {
        "secret": secret,
        "container": container,
        "done": f"/v1/orders/{done.id}",
        "waiting": f"/v1/orders/{waiting.id}",
    }


def retire(project="p1"):
    return retire_project(project, actor=command_principal(), reason="tests")


def restore(project="p1"):
    return restore_project(project, actor=command_principal(), reason="tests")


class TestRetire:
    def test_all_it_had_is_gone(self, api, things):
        retire()

        assert {api.get(path).status_code for path in things.values()} == {404}
        assert not OrderPassphrase.objects.exists()
        assert not Order.objects.unclaimed(timezone.now()).exists()

    def test_others_keep_theirs(self, api, things):
        other = api.other(project="p2")
        theirs = other.store("theirs")
        retire()

        assert other.get(f"{theirs}/payload").content == b"theirs"

    def test_nothing_new_is_taken(self, api, things):
        retire()

        bodies = {
            "/v1/secrets": {"payload": "x", "payload_content_type": "text/plain"},
            "/v1/orders": {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}},
            "/v1/containers": {"type": "generic", "name": "c", "secret_refs": []},
        }
        for path, body in bodies.items():
            response = api.post(path, body)
            assert (response.status_code, response.json()["description"]) == (
                403,
                "This project has been deleted.",
            )

    def test_its_key_seals_nothing_more(self, api, things):
        retire()

        assert {pkek.state for pkek in ProjectKEK.objects.all()} == {ProjectKEK.State.DECRYPT_ONLY}

    def test_a_worker_that_is_at_an_order_keeps_nothing(self, api, order):
        api.store("makes the key")
        held = services.claim(order.id)
        retire()

        fulfil.settle(held)

        assert not Secret.objects.filter(deleted_at=None).exists()
        assert {order.status for order in Order.objects.all()} == {Order.Status.PENDING}

    def test_twice_is_once(self, api, things, audited):
        retire()
        before = written_rows()
        retire()

        assert written_rows() == before
        assert len(audited("project.retired")) == 1

    def test_interrupted_it_goes_on_with_the_same_moment(self, api, things, monkeypatch):
        monkeypatch.setattr(retirement, "_in_batches", lambda rows, **columns: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            retire()
        monkeypatch.undo()
        retire()

        moment = Project.objects.get(external_id="p1").retired_at
        assert {secret.deleted_at for secret in Secret.objects.all()} == {moment}

    def test_more_rows_than_a_batch(self, api, monkeypatch):
        monkeypatch.setattr(retirement, "BATCH_ROWS", 2)
        for _ in range(5):
            api.store("x")
        retire()

        assert not Secret.objects.filter(deleted_at=None).exists()

    def test_an_unknown_project_is_nothing(self, mkek):
        assert retire("never here") is None

    def test_callers_of_the_api_may_not(self, api, order):
        with pytest.raises(NotAllowed):
            retire_project("p1", actor=worker_of(order), reason="x")


class TestRestore:
    def test_what_it_had_is_back(self, api, things):
        retire()
        restore()

        assert api.get(f"{things['secret']}/payload").content == b"kept"
        assert api.get(f"{things['secret']}/consumers").json()["consumers"]
        assert len(api.get(things["container"]).json()["secret_refs"]) == 1
        assert api.get(things["done"]).json()["status"] == "ACTIVE"

    def test_orders_that_waited_stay_deleted(self, api, things):
        retire()
        restore()

        assert api.get(things["waiting"]).status_code == 404

    def test_it_seals_again_with_its_key(self, api, things):
        retire()
        restore()

        path = api.store("anew")
        assert api.get(f"{path}/payload").content == b"anew"
        assert ProjectKEK.objects.get().state == ProjectKEK.State.ACTIVE

    def test_what_was_deleted_before_stays_so(self, api, things):
        gone = api.store("gone")
        api.delete(gone)
        retire()
        restore()

        assert api.get(gone).status_code == 404

    def test_not_after_the_window(self, api, things):
        retire()
        days = timedelta(days=django_settings.RECOVERY_DAYS + 1)
        Project.objects.filter(external_id="p1").update(retired_at=timezone.now() - days)

        with pytest.raises(Conflict, match="recovery window"):
            restore()

    def test_not_what_is_not_retired_or_not_here(self, api, things):
        with pytest.raises(Conflict):
            restore()
        with pytest.raises(NotFound):
            restore("never here")

    def test_callers_of_the_api_may_not(self, order):
        retire()
        with pytest.raises(NotAllowed):
            restore_project("p1", actor=worker_of(order), reason="x")


class TestPurge:
    def test_after_the_window_its_key_goes_with_the_rest(self, api, things):
        other = api.other(project="p2")
        theirs = other.store("theirs")
        retire()

        call_command("purge_deleted", "--older-than-days", "0", "--json")

        assert not Secret.objects.filter(project__external_id="p1").exists()
        assert not Container.objects.exists()
        assert [pkek.project.external_id for pkek in ProjectKEK.objects.all()] == ["p2"]
        assert other.get(f"{theirs}/payload").content == b"theirs"


class TestCommands:
    def test_project_retire_and_project_restore(self, api, things, capsys):
        call_command("project_retire", "p1", "--reason", "tests")
        call_command("project_restore", "p1", "--reason", "tests")

        assert capsys.readouterr().out.splitlines() == ["Retired project p1.", "Restored project p1."]

    @pytest.mark.parametrize("command", ["project_retire", "project_restore"])
    def test_an_unknown_project_is_said(self, mkek, command):
        with pytest.raises(CommandError, match="no project nowhere"):
            call_command(command, "nowhere", "--reason", "tests")
