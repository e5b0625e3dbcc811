"""Claims, leases and ends: one order, one key, whatever fails."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from billiard import pool as soft_timeout
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hsm.provider import hsm
from keepsite.keyring.models import ProjectKEK
from orders_app import services
from orders_app.models import Order
from orders_app.tasks import fulfil
from secrets_app.models import Payload, Secret
from tests.support.callers import path_of
from tests.support.waiting import wait_until


def lapse(order):
    """Let the lease of ``order`` run out."""
    Order.objects.filter(id=order.id).update(lease_until=timezone.now() - timedelta(seconds=1))


def state_of(order):
    order.refresh_from_db()
    return order.status


class TestFulfil:
    def test_the_key_has_what_meta_said(self, api, place):
        order = place(name="k", mode="cbc", expiration="2099-01-01")
        fulfil(order.id)

        secret = path_of(api.get(f"/v1/orders/{order.id}").json()["secret_ref"])
        shown = api.get(secret).json()
        assert shown["content_types"] == {"default": "application/octet-stream"}
        assert (shown["secret_type"], shown["algorithm"], shown["bit_length"]) == ("symmetric", "aes", 256)
        assert (shown["name"], shown["mode"], shown["expiration"]) == ("k", "cbc", "2099-01-01T00:00:00")
        assert shown["creator_id"] == "u1"
        assert len(api.get(f"{secret}/payload").content) == 32

    def test_two_keys_differ(self, api, place):
        for _ in range(2):
            fulfil(place().id)

        paths = [path_of(secret["secret_ref"]) for secret in api.get("/v1/secrets").json()["secrets"]]
        first, second = (api.get(f"{path}/payload").content for path in paths)
        assert first != second

    def test_updated_moves(self, api, order):
        before = api.get(f"/v1/orders/{order.id}").json()
        fulfil(order.id)

        assert api.get(f"/v1/orders/{order.id}").json()["updated"] > before["updated"]

    def test_a_message_delivered_twice_makes_one_key(self, order):
        fulfil(order.id)
        fulfil(order.id)

        assert state_of(order) == Order.Status.ACTIVE
        assert Secret.objects.count() == Payload.objects.count() == 1

    def test_a_message_about_no_order_is_dropped(self, mkek):
        fulfil("unknown")

        assert not Secret.objects.exists()

    def test_a_meta_expiration_that_has_passed_meanwhile_is_no_failure(self, place):
        order = place(expiration="2099-01-01")
        Order.objects.update(meta=order.meta | {"expiration": "2020-01-01T00:00:00.000000"})
        fulfil(order.id)

        assert state_of(order) == Order.Status.ACTIVE


class TestClaim:
    def test_of_two_workers_one_wins(self, order):
        assert services.claim(order.id)
        assert not services.claim(order.id)

    def test_a_lapsed_lease_is_claimed_again(self, order):
        services.claim(order.id)
        lapse(order)

        (again,) = services.claim(order.id)

        assert again.order.attempts == 2

    def test_who_comes_back_too_late_keeps_nothing(self, order):
        (late,) = services.claim(order.id)
        lapse(order)
        (quick,) = services.claim(order.id)
        services.fulfil(quick)

        with pytest.raises(services.ClaimLost):
            services.fulfil(late)
        assert Secret.objects.count() == Payload.objects.count() == 1
        order.refresh_from_db()
        assert order.secret_id == Secret.objects.get().id

    def test_who_lost_the_claim_can_neither_fail_nor_release_it(self, order):
        (late,) = services.claim(order.id)
        lapse(order)
        (quick,) = services.claim(order.id)

        with pytest.raises(services.ClaimLost):
            services.fail(late, reason="mine")
        services.release([late])

        order.refresh_from_db()
        assert order.status == Order.Status.PENDING
        assert order.lease_until == quick.lease_until

    @pytest.mark.parametrize("status", [Order.Status.ACTIVE, Order.Status.ERROR])
    def test_a_finished_order_is_not_claimed(self, order, status):
        Order.objects.update(status=status)

        assert not services.claim(order.id)

    def test_the_lease_lasts_as_long_as_the_setting_says(self, order, settings):
        settings.ORDER_LEASE_S = 7

        (held,) = services.claim(order.id)

        left = held.lease_until - timezone.now()
        assert timedelta(seconds=5) < left <= timedelta(seconds=7)


class TestTimeLimit:
    """As Celery's pool tells of it: a signal, whose handler raises once the call into the module is over."""

    @pytest.fixture
    def meets_it(self, shim):
        """Fulfils an order whose first random bytes take longer than the soft limit."""

        def meet(order):
            former = signal.signal(soft_timeout.SIG_SOFT_TIMEOUT, soft_timeout.soft_timeout_sighandler)
            try:
                with shim.holding("C_GenerateRandom"), ThreadPoolExecutor(1) as pool:
                    pool.submit(interrupt_held, shim)
                    fulfil(order.id)
            finally:
                signal.signal(soft_timeout.SIG_SOFT_TIMEOUT, former)

        return meet

    def test_leaves_the_order_to_another_worker(self, order, meets_it):
        meets_it(order)

        assert state_of(order) == Order.Status.PENDING
        assert (order.attempts, order.retries) == (1, 0)
        assert order.lease_until > timezone.now()
        lapse(order)
        fulfil(order.id)
        assert state_of(order) == Order.Status.ACTIVE

    def test_of_orders_taken_together_none_is_begun_after_it(self, place, meets_it):
        orders = [place(name=name) for name in "abc"]
        Order.objects.update(handed_out_at=timezone.now(), handed_out_by="one group")

        meets_it(orders[0])

        assert {state_of(order) for order in orders} == {Order.Status.PENDING}
        assert {order.attempts for order in orders} == {1}
        assert not Secret.objects.exists()


def interrupt_held(shim):
    wait_until(lambda: shim.held)
    os.kill(os.getpid(), soft_timeout.SIG_SOFT_TIMEOUT)
    shim.release()


class TestTogether:
    """Keys that were handed out with one message."""

    @pytest.fixture
    def orders(self, api, place):
        """Three of two projects, handed out together."""
        placed = [place(name="a"), place(name="b"), place(api.other(project="p2"), name="c")]
        Order.objects.update(handed_out_at=timezone.now(), handed_out_by="one group")
        return placed

    def test_one_message_fulfils_all_each_with_a_key_of_its_own(self, orders):
        fulfil(orders[0].id)

        assert [state_of(order) for order in orders] == [Order.Status.ACTIVE] * 3
        for order in orders:
            secret = Secret.objects.get(id=order.secret_id)
            assert (secret.name, secret.project_id) == (order.meta["name"], order.project_id)
        assert Secret.objects.count() == Payload.objects.count() == 3

    def test_they_are_claimed_and_ended_with_a_statement_each(self, orders):
        with CaptureQueriesContext(connection) as queries:
            fulfil(orders[0].id)

        assert sum(query["sql"].startswith("UPDATE") for query in queries) == 2

    def test_the_keys_differ_and_open(self, api, orders):
        fulfil(orders[0].id)

        paths = [path_of(secret["secret_ref"]) for secret in api.get("/v1/secrets").json()["secrets"]]
        first, second = (api.get(f"{path}/payload").content for path in paths)
        assert first != second
        assert len(first) == len(second) == 32

    def test_one_that_is_deleted_meanwhile_keeps_nothing_and_the_others_theirs(self, api, orders):
        held = services.claim(orders[0].id)
        api.delete(f"/v1/orders/{orders[1].id}")
        services.fulfil_together(held)

        assert [state_of(order) for order in orders] == ["ACTIVE", "PENDING", "ACTIVE"]
        assert {*Secret.objects.values_list("name", flat=True)} == {"a", "c"}
        assert Payload.objects.count() == 2

    def test_who_comes_back_too_late_keeps_nothing(self, orders):
        late = services.claim(orders[0].id)
        for order in orders:
            lapse(order)
            services.fulfil_together(services.claim(order.id))
        services.fulfil_together(late)

        assert Secret.objects.count() == Payload.objects.count() == 3

    def test_one_that_cannot_be_made_fails_alone(self, orders):
        Order.objects.filter(id=orders[1].id).update(meta={"algorithm": "aes"})
        fulfil(orders[0].id)

        assert [state_of(order) for order in orders] == ["ACTIVE", "ERROR", "ACTIVE"]
        assert Secret.objects.count() == 2

    def test_a_token_that_is_away_gives_all_back(self, orders, shim):
        hsm().random(1)
        shim.answer(0x30)
        fulfil(orders[0].id)

        for order in orders:
            order.refresh_from_db()
            assert (order.status, order.attempts, order.lease_until) == ("PENDING", 0, None)
            assert order.not_before > timezone.now()

    def test_those_that_were_handed_out_otherwise_stay(self, orders):
        Order.objects.filter(id=orders[1].id).update(handed_out_by="another group")
        Order.objects.filter(id=orders[2].id).update(handed_out_by="")
        fulfil(orders[0].id)

        assert [state_of(order) for order in orders] == ["ACTIVE", "PENDING", "PENDING"]

    def test_of_two_workers_one_has_each(self, orders):
        first, second = services.claim(orders[0].id), services.claim(orders[1].id)

        assert (len(first), len(second)) == (3, 0)

    def test_one_that_failed_a_worker_before_is_not_taken_along(self, orders):
        Order.objects.filter(id=orders[1].id).update(attempts=1)

        assert {one.order.id for one in services.claim(orders[0].id)} == {orders[0].id, orders[2].id}


class TestDeletedUnderWork:
    def test_a_deleted_order_is_not_claimed(self, api, order):
        api.delete(f"/v1/orders/{order.id}")
        fulfil(order.id)

        assert not Secret.objects.exists()

    def test_deleted_after_the_claim_nothing_is_kept(self, api, order):
        (held,) = services.claim(order.id)
        api.delete(f"/v1/orders/{order.id}")

        with pytest.raises(services.ClaimLost):
            services.fulfil(held)
        assert not Secret.objects.exists()
        assert not Payload.objects.exists()


class TestFaultsThatPass:
    def test_a_token_that_is_away_gives_the_order_back_after_a_pause(self, order, shim):
        hsm().random(1)
        shim.answer(0x30)
        fulfil(order.id)

        order.refresh_from_db()
        assert order.status == Order.Status.PENDING
        assert order.attempts == 0
        assert order.lease_until is None
        assert order.handed_out_at is None
        assert order.not_before > timezone.now()
        assert not Secret.objects.exists()

    def test_a_database_that_is_away_for_a_moment_gives_the_order_back(self, order):
        away = {"sqlite": ("database is locked",), "mysql": (2006, "Server has gone away")}

        def fail(execute, sql, params, many, context):
            if "keyring_projectkek" in sql:
                raise OperationalError(*away[connection.vendor])
            return execute(sql, params, many, context)

        with connection.execute_wrapper(fail):
            fulfil(order.id)

        order.refresh_from_db()
        assert order.status == Order.Status.PENDING
        assert order.lease_until is None
        assert order.not_before > timezone.now()

    def test_the_pause_grows_and_is_bounded(self, order):
        pauses = []
        for waited_s in (0, 5, 40, 3600):
            now = timezone.now()
            Order.objects.update(created_at=now - timedelta(seconds=waited_s), not_before=now)
            services.release(services.claim(order.id))
            order.refresh_from_db()
            pauses.append(round((order.not_before - timezone.now()).total_seconds()))

        assert pauses == [1, 5, 40, 60]

    def test_however_often_it_was_given_back_it_is_not_given_up(self, order, settings):
        settings.ORDER_MAX_ATTEMPTS = 2
        for _ in range(5):
            services.release(services.claim(order.id))

        fulfil(order.id)

        assert state_of(order) == Order.Status.ACTIVE

    def test_once_the_fault_has_passed_the_key_is_made(self, api, order, shim, token_is_back):
        hsm().random(1)
        shim.answer(0x30)
        fulfil(order.id)
        shim.clear()
        token_is_back()

        fulfil(order.id)

        assert state_of(order) == Order.Status.ACTIVE
        assert Secret.objects.count() == 1

    @pytest.fixture
    def token_is_back(self):
        return lambda: wait_until(lambda: all(member.state.serves for member in hsm().status()))


class TestFaultsThatDoNot:
    def test_a_project_key_that_does_not_open_ends_the_order(self, api, order, place):
        api.store("makes the pKEK")
        Secret.objects.all().delete()
        pkek = ProjectKEK.objects.get()
        ProjectKEK.objects.update(canary_ciphertext=bytes(len(pkek.canary_ciphertext)))
        hsm().forget(pkek.id)
        fulfil(order.id)

        shown = api.get(f"/v1/orders/{order.id}").json()
        assert shown["status"] == "ERROR"
        assert shown["error_status_code"] == "500"
        assert "decrypt" in shown["error_reason"]
        assert "secret_ref" not in shown
        assert not Secret.objects.exists()

    def test_too_many_attempts_end_the_order(self, api, order, settings):
        settings.ORDER_MAX_ATTEMPTS = 3
        Order.objects.update(attempts=3)
        fulfil(order.id)

        shown = api.get(f"/v1/orders/{order.id}").json()
        assert shown["status"] == "ERROR"
        assert "3 attempts" in shown["error_reason"]

    def test_what_nobody_expected_ends_the_order_without_details(self, api, order):
        Order.objects.update(meta={**order.meta, "expiration": "2030-77-77T00:00:00"})
        fulfil(order.id)

        shown = api.get(f"/v1/orders/{order.id}").json()
        assert shown["status"] == "ERROR"
        assert "77" not in shown["error_reason"]
        assert isinstance(shown["error_status_code"], str)

    def test_a_reason_is_cut_to_255_characters(self, order):
        services.fail(*services.claim(order.id), reason="x" * 1000)

        order.refresh_from_db()
        assert len(order.error_reason) == 255

    def test_an_ended_order_stays_ended(self, order):
        services.fail(*services.claim(order.id), reason="for good")
        fulfil(order.id)

        assert state_of(order) == Order.Status.ERROR
        assert not Secret.objects.exists()
