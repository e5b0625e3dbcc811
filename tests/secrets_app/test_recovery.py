"""What was deleted can be brought back for a while, with all that its deletion took away."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from keepsite.errors import Conflict, NotAllowed, NotFound
from keepsite.identity.operators import command_principal, console_principal
from keepsite.identity.principal import Principal
from secrets_app import services
from secrets_app.models import Container, Secret

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = command_principal()
USE = {"service": "s", "resource_type": "t", "resource_id": "i"}
OTHER_USE = USE | {"resource_id": "another"}
LISTENER = {"name": "lb", "URL": "http://192.0.2.1/lb"}


def id_of(path):
    return path.rpartition("/")[2]


def age(model, **delta):
    model.objects.exclude(deleted_at=None).update(deleted_at=timezone.now() - timedelta(**delta))


@pytest.fixture
def dressed(api):
    """The path of a secret with everything that can hang on one, and of the container that holds it."""
    path = api.store("payload", name="n")
    api.call("PUT", f"{path}/acl", {"read": {"users": ["u9"], "project-access": False}})
    api.call("PUT", f"{path}/metadata", {"metadata": {"a": "b"}})
    for use in (USE, OTHER_USE):
        api.post(f"{path}/consumers", use)
    api.delete(f"{path}/consumers", OTHER_USE)
    ref = f"http://testserver{path}"
    container = api.post(
        "/v1/containers", {"type": "generic", "name": "c", "secret_refs": [{"name": "k", "secret_ref": ref}]}
    ).json()["container_ref"]
    return path, "/" + container.split("/", 3)[3]


def seen(api, path, container):
    """All that clients can see of both."""
    shown = {
        f"{path}{below}": api.get(f"{path}{below}").content for below in ("/payload", "/acl", "/metadata")
    }
    return shown | {
        "consumers": [use["resource_id"] for use in api.get(f"{path}/consumers").json()["consumers"]],
        "places": api.get(container).json()["secret_refs"],
    }


class TestRestoreSecret:
    def test_all_that_hung_on_it_comes_back(self, api, dressed):
        before = seen(api, *dressed)
        api.call("DELETE", f"{dressed[0]}?force=1")
        assert api.get(dressed[0]).status_code == 404
        assert api.get(dressed[1]).json()["secret_refs"] == []

        services.restore_secret(id_of(dressed[0]), actor=ACTOR)

        assert seen(api, *dressed) == before
        assert before["consumers"] == ["i"]  # and the one removed before stays removed

    def test_it_can_be_deleted_and_restored_again(self, api):
        path = api.store("x")
        for _ in range(3):
            assert api.delete(path).status_code == 204
            services.restore_secret(id_of(path), actor=ACTOR)

        assert api.get(f"{path}/payload").content == b"x"

    def test_last_moment_of_the_window(self, api, settings):
        path = api.store("x")
        api.delete(path)
        age(Secret, days=settings.RECOVERY_DAYS, minutes=-1)

        services.restore_secret(id_of(path), actor=ACTOR)

        assert api.get(path).status_code == 200

    def test_after_the_window_it_stays_deleted(self, api, settings):
        path = api.store("x")
        api.delete(path)
        age(Secret, days=settings.RECOVERY_DAYS, minutes=1)

        with pytest.raises(Conflict, match="KEEPSITE_RECOVERY_DAYS"):
            services.restore_secret(id_of(path), actor=ACTOR)
        assert api.get(path).status_code == 404

    def test_a_secret_that_is_not_deleted_is_left_alone(self, api):
        path = api.store("x")

        with pytest.raises(Conflict, match="not deleted"):
            services.restore_secret(id_of(path), actor=ACTOR)

    def test_a_secret_that_expired_meanwhile_would_stay_invisible(self, api):
        path = api.store("x")
        api.delete(path)
        Secret.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

        with pytest.raises(Conflict, match="expired"):
            services.restore_secret(id_of(path), actor=ACTOR)

    def test_unknown_id(self, db):
        with pytest.raises(NotFound):
            services.restore_secret("00000000-0000-4000-8000-000000000000", actor=ACTOR)

    def test_callers_of_the_api_may_not(self, api):
        path = api.store("x")
        api.delete(path)
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            services.restore_secret(id_of(path), actor=admin)
        assert api.get(path).status_code == 404

    def test_a_full_quota_does_not_stand_in_the_way_and_counts_it(self, api):
        path = api.store("x")
        api.delete(path)
        boss = api.other(project="p1", user="boss", roles=["admin"])
        boss.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 0}})

        services.restore_secret(id_of(path), actor=console_principal("alice"))

        assert api.get(path).status_code == 200
        assert api.post("/v1/secrets", {}).status_code == 403

    def test_of_two_at_once_one_is_told(self, api, monkeypatch):
        path = api.store("x")
        api.delete(path)
        stale = services.recovery._found(Secret, id_of(path))
        services.restore_secret(id_of(path), actor=ACTOR)

        monkeypatch.setattr(services.recovery, "_found", lambda *_: stale)
        with pytest.raises(Conflict, match="somebody else"):
            services.restore_secret(id_of(path), actor=ACTOR)

    def test_it_is_in_the_audit_trail(self, api, audited):
        path = api.store("x")
        api.delete(path)

        services.restore_secret(id_of(path), actor=console_principal("alice"))

        (record,) = audited("secret.restored")
        assert (record["subject"], record["user_id"]) == (f"secret:{id_of(path)}", "alice")


class TestRestoreContainer:
    def test_it_comes_back_with_places_acl_and_consumers(self, api, dressed):
        _, container = dressed
        api.call("PUT", f"{container}/acl", {"read": {"users": ["u9"]}})
        api.post(f"{container}/consumers", LISTENER)
        before = [api.get(f"{container}{below}").content for below in ("/acl", "/consumers")]
        places = api.get(container).json()["secret_refs"]
        api.delete(container)

        services.restore_container(id_of(container), actor=ACTOR)

        assert [api.get(f"{container}{below}").content for below in ("/acl", "/consumers")] == before
        assert api.get(container).json()["secret_refs"] == places

    def test_it_comes_back_without_what_was_purged(self, api, dressed):
        path, container = dressed
        api.delete(container)
        api.call("DELETE", f"{path}?force=1")
        age(Secret, days=40)
        call_command("purge_deleted")

        services.restore_container(id_of(container), actor=ACTOR)

        assert api.get(container).json()["secret_refs"] == []

    def test_after_the_window_it_stays_deleted(self, api, dressed):
        api.delete(dressed[1])
        age(Container, days=31)

        with pytest.raises(Conflict):
            services.restore_container(id_of(dressed[1]), actor=ACTOR)


class TestCommands:
    def test_they_restore(self, api, dressed, capsys):
        path, container = dressed
        api.call("DELETE", f"{path}?force=1")
        api.delete(container)

        call_command("secret_restore", id_of(path))
        call_command("container_restore", id_of(container))

        assert len(api.get(container).json()["secret_refs"]) == 1
        assert "is back" in capsys.readouterr().out

    @pytest.mark.parametrize("command", ["secret_restore", "container_restore"])
    def test_they_say_what_is_wrong(self, db, command):
        with pytest.raises(CommandError, match="purged"):
            call_command(command, "00000000-0000-4000-8000-000000000000")
