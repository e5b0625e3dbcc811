"""Deleting, restoring and purging in the console, one and many."""

from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from keepsite.errors import Conflict, NotAllowed, NotFound
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.readonly import detail_url, list_url
from orders_app.models import Order, OrderPassphrase
from orders_app.services import withdraw_order
from secrets_app import services
from secrets_app.admin.acts import SECRET_ACTS
from secrets_app.models import Container, ContainerConsumer, Payload, Secret, SecretConsumer
from tests.console.pages import act_url
from tests.support.callers import Caller

ACTOR = command_principal()


@pytest.fixture
def caller(mkek):
    return Caller.make(project="p1")


@pytest.fixture
def secrets(caller):
    """Three secrets with payload, by name."""
    for name in ("a", "b", "c"):
        caller.store("payload", name=name)
    return {secret.name: secret for secret in Secret.objects.all()}


def path(secret):
    return f"/v1/secrets/{secret.pk}"


def delete(*secrets, days_ago=0):
    at = timezone.now() - timedelta(days=days_ago)
    Secret.objects.filter(pk__in=[secret.pk for secret in secrets]).update(deleted_at=at)


class TestDelete:
    def test_clients_lose_it_until_it_is_restored(self, console, caller, secrets, audited):
        secret = secrets["a"]

        console.post(act_url(Secret, "withdraw", secret.pk), {"reason": "asked to", "typed": "a"})
        gone = caller.get(path(secret)).status_code
        console.post(act_url(Secret, "restore", secret.pk), {"reason": "by mistake"})

        assert (gone, caller.get(path(secret)).status_code) == (404, 200)
        (deleted,), (restored,) = audited("secret.deleted"), audited("secret.restored")
        assert (deleted["reason"], deleted["before"]) == ("asked to", {"deleted_at": None})
        assert (restored["reason"], restored["after"]) == ("by mistake", {"deleted_at": None})
        assert deleted["user_id"] == restored["user_id"] == "olga"

    def test_says_who_uses_it_and_takes_them_along(self, console, caller, secrets):
        secret = secrets["a"]
        consumer = {"service": "s", "resource_type": "t", "resource_id": "r"}
        assert caller.post(f"{path(secret)}/consumers", consumer).status_code == 200

        page = console.get(act_url(Secret, "withdraw", secret.pk)).context["page"]
        console.post(act_url(Secret, "withdraw", secret.pk), {"reason": "r", "typed": "a"})

        assert {fact.label: fact.value for fact in page.facts} == {"Consumers": "1", "Containers": "0"}
        assert not SecretConsumer.objects.filter(deleted_at=None).exists()

    def test_several_at_once_leave_out_what_is_deleted(self, console, secrets):
        delete(secrets["c"])
        ids = [secret.pk for secret in secrets.values()]

        page = console.get(act_url(Secret, "withdraw"), {"id": ids}).context["page"]
        console.post(act_url(Secret, "withdraw"), {"id": page.ids, "reason": "r", "typed": "delete 2"})

        assert "left out" in page.notice.message
        assert not Secret.objects.filter(deleted_at=None).exists()

    def test_nothing_ticked_is_told(self, console, secrets):
        answer = console.get(act_url(Secret, "withdraw"), follow=True)

        assert "Tick at least one row" in answer.content.decode()


class TestExpire:
    def test_clients_lose_it_for_good(self, console, caller, secrets, audited):
        secret, later = secrets["a"], timezone.now() + timedelta(days=9)
        Secret.objects.filter(pk=secret.pk).update(expires_at=later)

        page = console.get(act_url(Secret, "expire", secret.pk)).context["page"]
        console.post(act_url(Secret, "expire", secret.pk), {"reason": "leaked", "typed": "a"})

        assert "cannot be undone" in page.lead
        for asked in (path(secret), f"{path(secret)}/payload", f"{path(secret)}/metadata"):
            assert caller.get(asked).status_code == 404
        listed = caller.get("/v1/secrets").json()
        assert (listed["total"], {one["name"] for one in listed["secrets"]}) == (2, {"b", "c"})
        (record,) = audited("secret.expired")
        assert (record["reason"], record["user_id"]) == ("leaked", "olga")
        assert record["before"] == {"expires_at": later.isoformat(timespec="microseconds")}
        row = Secret.objects.get(pk=secret.pk)
        assert record["after"] == {"expires_at": row.expires_at.isoformat(timespec="microseconds")}
        assert row.updated_at == row.expires_at <= timezone.now()

    def test_nothing_brings_it_back(self, console, caller, secrets):
        secret = secrets["a"]
        console.post(act_url(Secret, "expire", secret.pk), {"reason": "r", "typed": "a"})
        page = console.get(detail_url(Secret, secret.pk))
        assert {act.label for act in page.context["acts"]} == {"Delete"}
        assert "has expired: no client sees it, and nothing brings it back" in page.content.decode()

        console.post(act_url(Secret, "withdraw", secret.pk), {"reason": "r", "typed": "a"})

        assert console.get(act_url(Secret, "restore", secret.pk)).context["page"].form is None
        with pytest.raises(Conflict, match="expired"):
            services.restore_secret(secret.pk, actor=ACTOR)

    def test_several_at_once_leave_out_what_is_gone_already(self, console, secrets, audited):
        delete(secrets["c"])
        ids = [secret.pk for secret in secrets.values()]

        page = console.get(act_url(Secret, "expire"), {"id": ids}).context["page"]
        console.post(act_url(Secret, "expire"), {"id": page.ids, "reason": "r", "typed": "expire 2"})

        assert "left out" in page.notice.message
        assert len(page.table.rows) == 2
        assert not Secret.objects.live(timezone.now()).exists()
        assert [record["before"] for record in audited("secret.expired")] == [{"expires_at": None}] * 2

    def test_what_has_expired_keeps_its_moment(self, console, secrets, audited):
        earlier = timezone.now() - timedelta(days=3)
        Secret.objects.update(expires_at=earlier)

        page = console.get(act_url(Secret, "expire", secrets["a"].pk)).context["page"]
        with pytest.raises(Conflict, match="expired already"):
            services.expire_secret(secrets["a"].pk, actor=ACTOR, reason="r")

        assert page.form is None
        assert {*Secret.objects.values_list("expires_at", flat=True)} == {earlier}
        assert not audited("secret.expired")

    def test_what_is_deleted_or_unknown_is_not_found(self, secrets):
        delete(secrets["a"])

        for unknown in (secrets["a"].pk, "00000000-0000-4000-8000-000000000000"):
            with pytest.raises(NotFound):
                services.expire_secret(unknown, actor=ACTOR, reason="r")

    def test_callers_of_the_api_may_not(self, secrets):
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            services.expire_secret(secrets["a"].pk, actor=admin, reason="r")
        assert Secret.objects.live(timezone.now()).count() == 3

    def test_totals_that_processes_remember_are_counted_anew(self, console, caller, secrets, monkeypatch):
        monkeypatch.setattr("keepsite.api.totals.LONG", 1)
        Secret.objects.update(created_at=timezone.now() - timedelta(hours=1))
        for _ in range(2):
            assert caller.get("/v1/secrets").json()["total"] == 3

        a_little_ago = timezone.now() - timedelta(minutes=1)  # by the clock of another host
        services.expire_secret(secrets["a"].pk, actor=ACTOR, reason="r", now=a_little_ago)

        assert caller.get("/v1/secrets").json()["total"] == 2

    @pytest.mark.parametrize("wrong", [{"typed": "b"}, {"reason": ""}], ids=str)
    def test_asks_for_reason_and_name(self, console, secrets, wrong):
        sent = {"reason": "r", "typed": "a", **wrong}

        console.post(act_url(Secret, "expire", secrets["a"].pk), sent)

        assert Secret.objects.live(timezone.now()).count() == 3


class TestDeleteContainer:
    @pytest.fixture
    def boxes(self, caller, secrets):
        """Three containers with a secret each, by name; balancers use them."""
        for name, secret in secrets.items():
            places = [{"name": "key", "secret_ref": f"http://h/v1/secrets/{secret.pk}"}]
            made = caller.post(
                "/v1/containers", {"type": "generic", "name": f"box {name}", "secret_refs": places}
            )
            balancer = {"name": "balancer", "URL": "https://balancer.example"}
            caller.post(f"{urlsplit(made.json()['container_ref']).path}/consumers", balancer)
        return {container.name: container for container in Container.objects.all()}

    def test_clients_lose_it_and_keep_its_secrets_until_it_is_restored(
        self, console, caller, secrets, boxes, audited
    ):
        box = boxes["box a"]
        address = f"/v1/containers/{box.pk}"
        url = act_url(Container, "withdraw", box.pk)

        page = console.get(url).context["page"]
        console.post(url, {"reason": "asked to", "typed": "box a"})
        gone = caller.get(address).status_code
        kept = caller.get(f"{path(secrets['a'])}/payload").status_code
        assert not ContainerConsumer.objects.filter(container=box, deleted_at=None).exists()
        console.post(act_url(Container, "restore", box.pk), {"reason": "by mistake"})

        assert {fact.label: fact.value for fact in page.facts} == {"Consumers": "1", "Secrets": "1"}
        assert (gone, kept, caller.get(address).status_code) == (404, 200, 200)
        assert len(caller.get(f"{address}/consumers").json()["consumers"]) == 1
        (deleted,) = audited("container.deleted")
        assert (deleted["reason"], deleted["user_id"]) == ("asked to", "olga")
        assert deleted["before"] == {"deleted_at": None}
        assert deleted["after"]["deleted_at"]

    def test_several_at_once_leave_out_what_is_deleted(self, console, boxes):
        Container.objects.filter(name="box c").update(deleted_at=timezone.now())
        ids = [box.pk for box in boxes.values()]

        page = console.get(act_url(Container, "withdraw"), {"id": ids}).context["page"]
        answer = console.post(
            act_url(Container, "withdraw"), {"id": page.ids, "reason": "r", "typed": "delete 2"}, follow=True
        )

        assert "left out" in page.notice.message
        assert "2 containers are deleted" in answer.content.decode()
        assert not Container.objects.filter(deleted_at=None).exists()

    def test_one_that_somebody_else_has_just_deleted_is_not_found(self, boxes):
        Container.objects.update(deleted_at=timezone.now())

        with pytest.raises(NotFound):
            services.withdraw_container(boxes["box a"].pk, actor=ACTOR, reason="r")

    def test_callers_of_the_api_may_not(self, boxes):
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            services.withdraw_container(boxes["box a"].pk, actor=admin, reason="r")
        assert Container.objects.filter(deleted_at=None).count() == 3


class TestDeleteOrder:
    @pytest.fixture
    def orders(self, caller):
        """One that failed, one that waits with its pass phrase."""
        meta = {"algorithm": "rsa", "bit_length": 2048, "passphrase": "of a key pair"}
        caller.post("/v1/orders", {"type": "asymmetric", "meta": meta})
        caller.post("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}})
        Order.objects.filter(type="key").update(status="ERROR")
        return {order.type: order for order in Order.objects.all()}

    def test_clients_lose_one_that_has_ended_until_it_is_restored(self, console, caller, orders, audited):
        order = orders["key"]
        address = f"/v1/orders/{order.pk}"

        console.post(
            act_url(Order, "withdraw", order.pk), {"reason": "asked to", "typed": f"key order {order.pk}"}
        )
        gone = caller.get(address).status_code
        console.post(act_url(Order, "restore", order.pk), {"reason": "by mistake"})

        assert (gone, caller.get(address).status_code) == (404, 200)
        (deleted,) = audited("order.deleted")
        assert (deleted["reason"], deleted["user_id"]) == ("asked to", "olga")
        assert deleted["before"] == {"deleted_at": None}
        assert deleted["after"]["deleted_at"]

    def test_several_at_once_say_how_many_wait_and_forget_their_pass_phrases(self, console, caller, orders):
        ids = [order.pk for order in orders.values()]

        page = console.get(act_url(Order, "withdraw"), {"id": ids}).context["page"]
        assert OrderPassphrase.objects.count() == 1
        answer = console.post(
            act_url(Order, "withdraw"), {"id": ids, "reason": "r", "typed": "delete 2"}, follow=True
        )

        assert [(fact.label, fact.value) for fact in page.facts] == [("Still waiting", "1")]
        assert "2 orders are deleted" in answer.content.decode()
        assert caller.get("/v1/orders").json()["total"] == 0
        assert not OrderPassphrase.objects.exists()
        assert not Order.objects.unclaimed(timezone.now()).exists()

    def test_one_that_is_deleted_is_not_found(self, orders):
        Order.objects.update(deleted_at=timezone.now())

        with pytest.raises(NotFound):
            withdraw_order(orders["key"].pk, actor=ACTOR, reason="r")

    def test_callers_of_the_api_may_not(self, orders):
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            withdraw_order(orders["key"].pk, actor=admin, reason="r")
        assert Order.objects.filter(deleted_at=None).count() == 2


class TestRestore:
    def test_several_at_once(self, console, caller, secrets):
        delete(secrets["a"], secrets["b"], days_ago=1)
        ids = [secrets[name].pk for name in ("a", "b")]

        answer = console.post(act_url(Secret, "restore"), {"id": ids, "reason": "r"}, follow=True)

        assert "2 secrets are back" in answer.content.decode()
        assert caller.get("/v1/secrets").json()["total"] == 3

    def test_after_the_window_it_is_not_offered(self, console, secrets, settings):
        delete(secrets["a"], days_ago=settings.RECOVERY_DAYS + 1)

        page = console.get(detail_url(Secret, secrets["a"].pk))

        assert "Restore" not in {act.label for act in page.context["acts"]}
        assert "cannot be restored any more" in page.content.decode()
        assert console.get(act_url(Secret, "restore", secrets["a"].pk)).context["page"].form is None

    @pytest.mark.parametrize(("days", "state"), [(1, "recoverable"), (31, "overdue")])
    def test_lists_tell_what_can_be_restored(self, console, secrets, days, state):
        delete(secrets["a"], days_ago=days)

        for choice, count in ((state, 1), ("deleted", 1)):
            assert len(console.get(list_url(Secret, state=choice)).context["page"].table.rows) == count

    def test_a_container_comes_back(self, console, caller, secrets):
        ref = caller.post("/v1/containers", {"type": "generic", "name": "box", "secret_refs": []})
        container = Container.objects.get()
        assert ref.status_code == 201
        caller.delete(f"/v1/containers/{container.pk}")

        console.post(act_url(Container, "restore", container.pk), {"reason": "r"})

        assert caller.get(f"/v1/containers/{container.pk}").status_code == 200


class TestRestoreOrder:
    @pytest.fixture
    def order(self, caller):
        caller.post(
            "/v1/orders", {"type": "key", "meta": {"name": "k", "algorithm": "aes", "bit_length": 256}}
        )
        return Order.objects.get()

    def test_one_that_had_ended_comes_back(self, console, caller, order, audited):
        Order.objects.update(status="ERROR", deleted_at=timezone.now())

        console.post(act_url(Order, "restore", order.pk), {"reason": "wanted"})

        assert caller.get(f"/v1/orders/{order.pk}").status_code == 200
        assert audited("order.restored")[0]["reason"] == "wanted"

    def test_one_that_waited_does_not(self, console, caller, order):
        caller.delete(f"/v1/orders/{order.pk}")

        page = console.get(act_url(Order, "restore", order.pk)).context["page"]

        assert page.form is None
        assert not console.get(list_url(Order, state="recoverable")).context["page"].table.rows


class TestPurge:
    def test_shows_what_goes_and_takes_it(self, console, secrets, audited):
        delete(secrets["a"])
        url = act_url(Secret, "purge", secrets["a"].pk)

        page = console.get(url).context["page"]
        answer = console.post(url, {"reason": "court order", "typed": "a"})

        assert {fact.label: fact.value for fact in page.facts} == {"Secrets": "1", "Payloads": "1"}
        assert answer.url == list_url(Secret)
        assert set(Secret.objects.values_list("name", flat=True)) == {"b", "c"}
        assert Payload.objects.count() == 2
        (record,) = audited("purged")
        assert record["subject"] == f"secret:{secrets['a'].pk}"
        assert record["reason"] == "chosen in the console; court order"
        assert record["user_id"] == "olga"
        (ended,) = audited("purge.ended")
        assert (ended["reason"], ended["user_id"]) == (record["reason"], "olga")
        assert ended["before"] == {"secrets": 1}
        assert ended["after"] == {"secrets": 0, "secrets purged": 1, "payloads purged": 1}

    def test_live_ones_are_out_of_reach(self, console, secrets):
        url = act_url(Secret, "purge", secrets["a"].pk)

        console.post(url, {"reason": "r", "typed": "a"})

        assert Secret.objects.count() == 3

    def test_several_at_once(self, console, secrets):
        delete(secrets["a"], secrets["b"])
        ids = [secrets[name].pk for name in ("a", "b")]

        console.post(act_url(Secret, "purge"), {"id": ids, "reason": "r", "typed": "purge 2"})

        assert Secret.objects.get().name == "c"

    def test_everything_past_its_window(self, console, secrets, settings):
        delete(secrets["a"], days_ago=settings.RECOVERY_DAYS + 1)
        delete(secrets["b"], days_ago=settings.RECOVERY_DAYS - 1)
        url = act_url(Secret, "purge-overdue")

        assert console.get(url).context["page"].facts[0].value == "1"
        console.post(url, {"reason": "r", "typed": "purge all secrets past recovery"})

        assert set(Secret.objects.values_list("name", flat=True)) == {"b", "c"}
        assert console.get(url).context["page"].form is None

    @pytest.mark.parametrize("wrong", [{"typed": "b"}, {"typed": ""}, {"reason": ""}], ids=str)
    def test_asks_for_reason_and_name(self, console, secrets, wrong):
        delete(secrets["a"])

        console.post(act_url(Secret, "purge", secrets["a"].pk), {"reason": "r", "typed": "a", **wrong})

        assert Secret.objects.count() == 3

    def test_a_name_that_cannot_be_typed_gives_way_to_the_id(self, console, secrets):
        Secret.objects.filter(pk=secrets["a"].pk).update(name="\N{SNOWMAN}" * 3, deleted_at=timezone.now())
        url = act_url(Secret, "purge", secrets["a"].pk)

        assert secrets["a"].pk in console.get(url).context["page"].form.fields["typed"].label
        assert console.post(url, {"reason": "r", "typed": secrets["a"].pk}).status_code == 302

    def test_what_is_left_after_its_time_is_told(self, console, secrets, settings, monkeypatch):
        delete(*secrets.values(), days_ago=settings.RECOVERY_DAYS + 1)
        (act,) = (act for act in SECRET_ACTS if act.name == "purge-overdue")
        monkeypatch.setattr(act, "_purge", partial(services.purge, batch_rows=1))
        monkeypatch.setattr("keepsite.acts.recovery.PURGE_BUDGET_S", -1)

        answer = console.post(
            act_url(Secret, act.name),
            {"reason": "r", "typed": "purge all secrets past recovery"},
            follow=True,
        )

        assert "2 are left" in answer.content.decode()
        assert Secret.objects.count() == 2
