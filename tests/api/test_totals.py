"""Totals of long lists: remembered, and yet exact whatever happens to the rows."""

import random
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.api import totals
from keepsite.api.totals import LIFETIME, MARGIN, Listed, Totals
from keepsite.identity.operators import command_principal
from orders_app.models import Order
from secrets_app import services
from secrets_app.models import Container, Secret

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = command_principal()
KEY_ORDER = {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}
LONG_AGO = timedelta(days=40)
ASKED_UNTIL_REMEMBERED = 2  # the first answer finds the list long, the second counts it to remember


@pytest.fixture(autouse=True)
def _every_list_is_long(monkeypatch):
    monkeypatch.setattr(totals, "LONG", 1)
    monkeypatch.setattr(totals, "LONG_IF_FILTERED", 1)


@pytest.fixture
def shelf(api):
    """Paths of six secrets made long ago; the total is remembered."""
    paths = [api.store(name=f"n{number % 2}") for number in range(6)]
    Secret.objects.update(created_at=timezone.now() - LONG_AGO)
    remember(api, "/v1/secrets")
    return paths


def total(api, path="/v1/secrets"):
    return api.get(path).json()["total"]


def remember(api, path):
    for _ in range(ASKED_UNTIL_REMEMBERED):
        total(api, path)


def id_of(path):
    return path.rpartition("/")[2]


def listed(**filters):
    rows = Secret.objects.in_project("p1").filter(**filters).order_by("created_at", "id")
    return Listed(rows=rows, project_id="p1", filters=tuple(sorted(filters.items())), expire=True)


class TestSecrets:
    def test_a_new_one_counts_at_once(self, api, shelf):
        api.store()

        assert total(api) == 7

    def test_a_deleted_one_does_not(self, api, shelf):
        api.delete(shelf[0])

        assert total(api) == 5

    def test_one_made_and_deleted_since_changes_nothing(self, api, shelf):
        api.delete(api.store())

        assert total(api) == 6

    def test_what_was_deleted_before_the_count_is_not_taken_off_twice(self, api, shelf):
        api.delete(shelf[0])
        totals.TOTALS._counts.clear()
        remember(api, "/v1/secrets")
        api.delete(shelf[1])

        assert total(api) == 4

    def test_an_expired_one_goes_when_it_expires(self, api, shelf):
        now = timezone.now()
        Secret.objects.filter(id=id_of(shelf[0])).update(expires_at=now + timedelta(seconds=60))
        remembered = Totals()
        for _ in range(ASKED_UNTIL_REMEMBERED):
            remembered.of(listed(), now)

        assert remembered.of(listed(), now + timedelta(seconds=59)) == 6
        assert remembered.of(listed(), now + timedelta(seconds=60)) == 5

    def test_one_deleted_and_then_expired_goes_once(self, api, shelf):
        now = timezone.now()
        Secret.objects.filter(id=id_of(shelf[0])).update(expires_at=now + timedelta(seconds=60))
        remembered = Totals()
        for _ in range(ASKED_UNTIL_REMEMBERED):
            remembered.of(listed(), now)
        api.delete(shelf[0])

        assert remembered.of(listed(), now + timedelta(seconds=61)) == 5

    def test_a_restored_one_is_back_at_once(self, api, shelf):
        api.delete(shelf[0])
        Secret.objects.exclude(deleted_at=None).update(deleted_at=timezone.now() - timedelta(days=1))
        totals.TOTALS._counts.clear()
        remember(api, "/v1/secrets")

        services.restore_secret(id_of(shelf[0]), actor=ACTOR)

        assert total(api) == 6

    def test_a_purge_takes_nothing_off_twice(self, api, shelf):
        api.delete(shelf[0])
        remember(api, "/v1/secrets")
        call_command("purge_deleted", older_than_days=0, json=True)

        assert not Secret.objects.filter(id=id_of(shelf[0])).exists()
        assert total(api) == 5

    def test_whatever_happens_it_is_what_counting_finds(self, api, shelf):
        chance = random.Random(1)
        paths = list(shelf)
        for _ in range(40):
            match chance.choice(["store", "delete", "expiring", "clear"]):
                case "store":
                    paths.append(api.store(name="n0"))
                case "expiring":
                    paths.append(api.store(expiration="2090-01-01"))
                case "delete" if paths:
                    api.delete(paths.pop(chance.randrange(len(paths))))
                case "clear":
                    totals.TOTALS._counts.clear()

            counted = Secret.objects.live(timezone.now()).count()
            assert total(api) == counted
            assert (
                total(api, "/v1/secrets?name=n0")
                == Secret.objects.live(timezone.now()).filter(name="n0").count()
            )


class TestWhatIsRemembered:
    def test_one_statement_answers_whatever_is_remembered(self, api, shelf):
        for _ in range(ASKED_UNTIL_REMEMBERED + 2):
            with CaptureQueriesContext(connection) as queries:
                api.get("/v1/secrets")

            assert len(queries) == 3

    def test_old_rows_are_not_counted_again(self, api, shelf):
        Secret.objects.filter(id=id_of(shelf[0])).update(
            deleted_at=timezone.now() - LONG_AGO
        )  # behind its back

        assert total(api) == 6

    def test_until_the_count_is_too_old(self, api, shelf):
        now = timezone.now()
        remembered = Totals()
        for _ in range(ASKED_UNTIL_REMEMBERED):
            remembered.of(listed(), now)
        Secret.objects.filter(id=id_of(shelf[0])).update(deleted_at=now - LONG_AGO)

        assert remembered.of(listed(), now + LIFETIME - timedelta(seconds=1)) == 6
        assert remembered.of(listed(), now + LIFETIME) == 5

    def test_a_clock_set_back_counts_anew(self, api, shelf):
        now = timezone.now()
        remembered = Totals()
        for _ in range(ASKED_UNTIL_REMEMBERED):
            remembered.of(listed(), now)
        Secret.objects.filter(id=id_of(shelf[0])).update(deleted_at=now - LONG_AGO)

        assert remembered.of(listed(), now - timedelta(seconds=1)) == 5

    def test_a_row_committed_late_is_found_within_the_margin(self, api, shelf):
        now = timezone.now()
        remembered = Totals()
        for _ in range(ASKED_UNTIL_REMEMBERED):
            remembered.of(listed(), now)
        stamped = now - MARGIN + timedelta(seconds=1)
        Secret.objects.filter(id=id_of(api.store())).update(created_at=stamped)
        Secret.objects.filter(id=id_of(shelf[0])).update(deleted_at=stamped)
        Secret.objects.filter(id=id_of(shelf[1])).update(deleted_at=stamped)

        assert remembered.of(listed(), now) == 5

    def test_each_filter_has_a_total_of_its_own(self, api, shelf):
        for _ in range(ASKED_UNTIL_REMEMBERED + 1):
            assert total(api, "/v1/secrets?name=n0") == 3
            assert total(api, "/v1/secrets?name=n1&secret_type=opaque") == 3
            assert total(api, "/v1/secrets?name=n1&secret_type=private") == 0
            assert total(api) == 6

    def test_each_project_has_a_total_of_its_own(self, api, shelf):
        other = api.other(project="p2")
        other.store()

        remember(other, "/v1/secrets")

        assert total(other) == 1
        assert total(api) == 6

    def test_what_is_chosen_by_a_column_that_changes_is_counted(self, api, shelf):
        query = "/v1/secrets?updated=gt:2020-01-01"
        remember(api, query)
        Secret.objects.filter(id=id_of(shelf[0])).update(updated_at="2019-01-01T00:00:00Z")

        assert total(api, query) == 5

    @pytest.mark.parametrize(
        ("limit", "query"), [("LONG", "/v1/secrets"), ("LONG_IF_FILTERED", "/v1/secrets?name=n0")]
    )
    def test_a_short_list_is_counted(self, api, shelf, monkeypatch, limit, query):
        monkeypatch.setattr(totals, limit, 7)
        totals.TOTALS._counts.clear()
        remember(api, query)

        assert not totals.TOTALS._counts

    def test_the_oldest_is_forgotten_for_the_newest(self, api, shelf, monkeypatch):
        monkeypatch.setattr(totals, "MAX_REMEMBERED", 1)

        remember(api, "/v1/secrets?name=n0")

        assert [key[2] for key in totals.TOTALS._counts] == [(("name", "n0"),)]


class TestOtherLists:
    def test_containers(self, api):
        paths = [api.post("/v1/containers", {"type": "generic"})["Location"] for _ in range(3)]
        Container.objects.update(created_at=timezone.now() - LONG_AGO)
        remember(api, "/v1/containers")

        api.post("/v1/containers", {"type": "generic"})
        api.delete(f"/v1/containers/{id_of(paths[0])}")
        api.delete(f"/v1/containers/{id_of(paths[1])}")

        assert total(api, "/v1/containers") == 2

    def test_orders_that_a_purge_takes_while_they_are_listed(self, api):
        for _ in range(3):
            api.post("/v1/orders", KEY_ORDER)
        Order.objects.update(created_at=timezone.now() - LONG_AGO)
        remember(api, "/v1/orders")
        finished = Order.objects.first()
        Order.objects.filter(id=finished.id).update(status="ACTIVE", updated_at=timezone.now() - LONG_AGO)

        call_command("purge_deleted", orders_older_than_days=30, json=True)

        assert total(api, "/v1/orders") == 2
