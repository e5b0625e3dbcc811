"""Operators retry and cancel orders; nobody else does."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from keepsite.errors import Conflict, InvalidInput, NotAllowed, NotFound
from keepsite.identity.operators import command_principal, console_principal
from orders_app import services
from orders_app.interventions import cancel_order, retry_order
from orders_app.models import Order, OrderPassphrase
from orders_app.services.claims import worker_of
from orders_app.tasks import fulfil
from secrets_app.models import Secret
from tests.support.rows import written_rows

WHY = "the token was replaced"


def failed(order):
    services.fail(*services.claim(order.id), reason="because")
    return order


def pair(api, **meta):
    meta = {"algorithm": "ec", "bit_length": 256} | meta
    ref = api.post("/v1/orders", {"type": "asymmetric", "meta": meta}).json()["order_ref"]
    return Order.objects.get(id=ref.rpartition("/")[2])


class TestRetry:
    def test_a_failed_order_is_made_after_all(self, api, order):
        failed(order)

        retry_order(order.id, actor=command_principal(), reason=WHY)
        shown = api.get(f"/v1/orders/{order.id}").json()
        assert shown["status"] == "PENDING"
        assert not {"error_reason", "error_status_code", "sub_status"} & {*shown}
        fulfil(order.id)

        assert api.get(f"/v1/orders/{order.id}").json()["status"] == "ACTIVE"
        assert Secret.objects.count() == 1

    def test_it_has_all_its_attempts_again(self, order, settings):
        settings.ORDER_MAX_ATTEMPTS = 3
        Order.objects.update(attempts=3)
        fulfil(order.id)
        retry_order(order.id, actor=command_principal(), reason=WHY)
        fulfil(order.id)

        order.refresh_from_db()
        assert order.status == Order.Status.ACTIVE

    def test_a_waiting_order_need_not_wait_for_its_pause(self, order):
        Order.objects.update(not_before=timezone.now() + timedelta(hours=1), handed_out_at=timezone.now())

        retry_order(order.id, actor=command_principal(), reason=WHY)

        now = timezone.now()
        assert Order.objects.due(now, handed_out_before=now).filter(id=order.id).exists()

    def test_a_pair_with_a_pass_phrase_is_not_made_without_it(self, api):
        order = failed(pair(api, passphrase="correct horse"))
        assert not OrderPassphrase.objects.exists()

        with pytest.raises(Conflict, match="pass phrase"):
            retry_order(order.id, actor=command_principal(), reason=WHY)

    def test_a_pair_without_one_is(self, api):
        order = failed(pair(api))

        assert retry_order(order.id, actor=command_principal(), reason=WHY).status == Order.Status.PENDING

    def test_a_pair_of_an_older_release_may_have_had_one(self, api):
        order = failed(pair(api))
        Order.objects.update(had_passphrase=None)

        with pytest.raises(Conflict):
            retry_order(order.id, actor=command_principal(), reason=WHY)

    def test_not_while_a_worker_has_it_nor_when_it_is_done(self, order):
        services.claim(order.id)
        with pytest.raises(Conflict):
            retry_order(order.id, actor=command_principal(), reason=WHY)
        Order.objects.update(lease_until=None)
        fulfil(order.id)
        with pytest.raises(Conflict):
            retry_order(order.id, actor=command_principal(), reason=WHY)


class TestCancel:
    def test_the_client_reads_why(self, api, order):
        cancel_order(order.id, actor=console_principal("alice"), reason=WHY)

        shown = api.get(f"/v1/orders/{order.id}").json()
        assert (shown["status"], shown["error_status_code"]) == ("ERROR", "409")
        assert shown["error_reason"] == f"Cancelled by an operator: {WHY}"

    def test_a_worker_that_is_at_it_keeps_nothing(self, order):
        (held,) = services.claim(order.id)
        cancel_order(order.id, actor=command_principal(), reason=WHY)

        with pytest.raises(services.ClaimLost):
            services.fulfil(held)
        assert not Secret.objects.exists()

    def test_its_pass_phrase_goes(self, api):
        order = pair(api, passphrase="correct horse")

        cancel_order(order.id, actor=command_principal(), reason=WHY)

        assert not OrderPassphrase.objects.exists()

    def test_what_has_ended_stays_as_it_is(self, order):
        fulfil(order.id)

        with pytest.raises(Conflict):
            cancel_order(order.id, actor=command_principal(), reason=WHY)
        order.refresh_from_db()
        assert order.status == Order.Status.ACTIVE


@pytest.mark.parametrize("act", [retry_order, cancel_order])
class TestBoth:
    def test_callers_of_the_api_may_not(self, act, order):
        before = written_rows()

        with pytest.raises(NotAllowed):
            act(order.id, actor=worker_of(order), reason=WHY)
        assert written_rows() == before

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
    def test_a_reason_is_wanted(self, act, order, reason):
        with pytest.raises(InvalidInput):
            act(order.id, actor=command_principal(), reason=reason)

    def test_a_deleted_order_is_nobodys(self, act, api, order):
        api.delete(f"/v1/orders/{order.id}")

        with pytest.raises(NotFound):
            act(order.id, actor=command_principal(), reason=WHY)

    def test_it_is_in_the_audit_trail_with_the_reason(self, act, order, audited):
        act(order.id, actor=command_principal(), reason=WHY)

        (record,) = audited("order.retried") + audited("order.cancelled")
        assert (record["subject"], record["reason"]) == (f"order:{order.id}", WHY)
        order.refresh_from_db()
        assert (record["before"]["status"], record["after"]["status"]) == ("PENDING", order.status)


class TestCommands:
    def test_order_cancel_and_order_retry(self, order, capsys):
        call_command("order_cancel", order.id, "--reason", WHY)
        call_command("order_retry", order.id, "--reason", WHY)

        assert capsys.readouterr().out.splitlines() == [f"{order}: ERROR", f"{order}: PENDING"]

    @pytest.mark.parametrize("command", ["order_cancel", "order_retry"])
    def test_what_is_refused_is_said(self, mkek, command):
        with pytest.raises(CommandError, match="no order nowhere"):
            call_command(command, "nowhere", "--reason", WHY)
