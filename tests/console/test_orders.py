"""Orders and dead letters in the console: what waits, retrying, cancelling, replaying, discarding."""

import pytest
from django.utils import timezone

from keepsite.ids import new_id
from keepsite.readonly import detail_url, list_url
from orders_app import services
from orders_app.models import DeadLetter, Order
from orders_app.tasks import fulfil
from secrets_app.models import Container, Payload, Secret
from tests.console.pages import act_url
from tests.support.callers import Caller

SECRET_BYTES = b"whoever wrote this may have put a pass phrase into it"


@pytest.fixture
def place(mkek):
    """Places a key order of project p1."""
    caller = Caller.make(project="p1")

    def place():
        wanted = {"type": "key", "meta": {"name": "k", "algorithm": "aes", "bit_length": 256}}
        placed = caller.post("/v1/orders", wanted).json()["order_ref"]
        return Order.objects.get(id=placed.rpartition("/")[2])

    return place


@pytest.fixture
def failed(place):
    """Two orders that failed."""
    orders = [place() for _ in range(2)]
    for order in orders:
        services.fail(*services.claim(order.id), reason="The key store refused.")
    return orders


@pytest.fixture
def letter(db):
    """A dead letter that names an order."""
    return DeadLetter.objects.create(
        id=new_id(), reason="This release knows no task 'x'.", task="x", order_id=new_id(),
        headers={"task": "x", "argsrepr": SECRET_BYTES.decode()},
        body=SECRET_BYTES, size_bytes=len(SECRET_BYTES),
    )  # fmt: skip


def statuses(orders):
    return {Order.objects.get(id=order.id).status for order in orders}


class TestList:
    def test_one_line_says_how_orders_are_doing(self, console, place, letter):
        services.claim(place().id)
        place()

        figures = console.get(list_url(Order)).context["figures"]

        shown = {figure.label: str(figure.value) for figure in figures}
        assert (shown["Waiting"], shown["At work"], shown["Retried"]) == ("2", "1", "0")
        assert ">1<" in shown["Dead letters"]

    @pytest.mark.parametrize(
        ("query", "count"),
        [({"type": "key"}, 3), ({"type": "asymmetric"}, 0), ({"created": "minutes"}, 3),
         ({"state": "failed"}, 2), ({"state": "waiting"}, 1), ({"project": "p1"}, 3)],
        ids=str,
    )  # fmt: skip
    def test_filters(self, console, place, failed, query, count):
        place()

        assert len(console.get(list_url(Order, **query)).context["page"].table.rows) == count

    def test_says_why_an_order_failed_in_the_clients_words(self, console, failed):
        assert "The key store refused." in console.get(list_url(Order)).content.decode()


class TestResult:
    def test_of_a_pair_is_its_container_and_finds_the_order(self, console, mkek):
        wanted = {"type": "asymmetric", "meta": {"name": "pair", "algorithm": "ec", "bit_length": 256}}
        ref = Caller.make(project="p1").post("/v1/orders", wanted).json()["order_ref"]
        fulfil(ref.rpartition("/")[2])
        order = Order.objects.get()

        shown = console.get(detail_url(Order, order.pk)).content.decode()

        assert "Nothing yet" not in shown
        assert detail_url(Container, order.container_id) in shown
        found = console.get(list_url(Order, q=order.container_id)).context["page"].table.rows
        assert len(found) == 1

    def test_of_a_key_is_its_secret_or_that_it_has_been_removed(self, console, place):
        order = place()
        assert "Nothing yet" in console.get(detail_url(Order, order.pk)).content.decode()
        fulfil(order.id)
        order.refresh_from_db()

        assert (
            detail_url(Secret, order.secret_id) in console.get(detail_url(Order, order.pk)).content.decode()
        )

        Payload.objects.all().delete()
        Secret.objects.all().delete()
        shown = console.get(detail_url(Order, order.pk)).content.decode()
        assert "removed since" in shown
        assert order.secret_id in shown


class TestRetry:
    def test_one(self, console, failed, audited):
        console.post(act_url(Order, "retry", failed[0].pk), {"reason": "the token is back"})

        assert [Order.objects.get(id=order.id).status for order in failed] == ["PENDING", "ERROR"]
        (record,) = audited("order.retried")
        assert (record["reason"], record["user_id"]) == ("the token is back", "olga")
        assert (record["before"]["status"], record["after"]["status"]) == ("ERROR", "PENDING")

    def test_several(self, console, failed):
        ids = [order.pk for order in failed]

        answer = console.post(act_url(Order, "retry"), {"id": ids, "reason": "r"}, follow=True)

        assert "2 orders are handed out again" in answer.content.decode()
        assert statuses(failed) == {"PENDING"}

    def test_what_is_at_work_is_left_alone(self, console, place):
        order = place()
        services.claim(order.id)

        assert console.get(act_url(Order, "retry", order.pk)).context["page"].form is None


class TestCancel:
    def test_one_needs_its_name_typed(self, console, place, audited):
        order = place()

        console.post(act_url(Order, "cancel", order.pk), {"reason": "asked to", "typed": "no"})
        before = statuses([order])
        console.post(act_url(Order, "cancel", order.pk), {"reason": "asked to", "typed": str(order)})

        order.refresh_from_db()
        assert (before, order.status) == ({"PENDING"}, "ERROR")
        assert order.error_reason == "Cancelled by an operator: asked to"
        assert audited("order.cancelled")[0]["reason"] == "asked to"

    def test_several_leave_out_what_has_ended(self, console, place, failed):
        orders = [place(), place()]
        ids = [order.pk for order in (*orders, *failed)]

        page = console.get(act_url(Order, "cancel"), {"id": ids}).context["page"]
        console.post(act_url(Order, "cancel"), {"id": page.ids, "reason": "r", "typed": "cancel 2"})

        assert "left out" in page.notice.message
        assert statuses(orders) == {"ERROR"}
        assert statuses(failed) == {"ERROR"}


class TestDeadLetters:
    def test_replay(self, console, letter, audited):
        console.post(act_url(DeadLetter, "replay", letter.pk), {"reason": "the release is there"})

        letter.refresh_from_db()
        assert letter.state == DeadLetter.State.REPLAY
        (record,) = audited("dead_letter.replayed")
        assert record["reason"] == "the release is there"
        assert (record["before"]["state"], record["after"]["state"]) == ("kept", "replay")

    def test_discard(self, console, letter):
        console.post(act_url(DeadLetter, "discard", letter.pk), {"reason": "noise", "typed": str(letter)})

        letter.refresh_from_db()
        assert letter.state == DeadLetter.State.DISCARDED

    def test_what_is_settled_is_offered_nothing(self, console, letter):
        DeadLetter.objects.update(state=DeadLetter.State.DISCARDED, settled_at=timezone.now())

        assert not console.get(detail_url(DeadLetter, letter.pk)).context["acts"]

    def test_one_that_was_not_kept_whole_cannot_be_replayed(self, console, letter):
        DeadLetter.objects.update(size_bytes=100_000)

        offered = {act.name for act in console.get(detail_url(DeadLetter, letter.pk)).context["acts"]}
        assert offered == {"discard"}

    def test_no_page_shows_what_the_message_holds(self, console, letter):
        pages = [list_url(DeadLetter), detail_url(DeadLetter, letter.pk)]
        pages += [act_url(DeadLetter, act, letter.pk) for act in ("replay", "discard")]

        for page in pages:
            assert SECRET_BYTES not in console.get(page).content
