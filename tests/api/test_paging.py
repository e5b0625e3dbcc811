"""Lists: limit and offset, total, and links that lead through all of it."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keepsite.api import paging
from tests.support.callers import path_of


@pytest.fixture
def twelve(api):
    """Twelve secrets of the caller's project, oldest first."""
    return [api.store(name=f"s{number:02}") for number in range(12)]


def names(response):
    return [secret["name"] for secret in response.json()["secrets"]]


class TestLimit:
    @pytest.mark.parametrize(
        ("limit", "count"),
        [
            ("5", 5),
            ("0", 1),
            ("-3", 1),
            ("1000", 12),
            ("x", 10),
            ("", 10),
            ("1.5", 10),
            ("\u0663", 10),  # a digit, but not ours
            ("9" * 19, 12),
            ("9" * 20, 12),
            ("9" * 5000, 12),
            ("-" + "9" * 40, 1),
            ("0" * 5000 + "5", 5),
        ],
    )
    def test_bad_values_fall_back_and_never_fail(self, api, twelve, limit, count):
        response = api.get(f"/v1/secrets?limit={limit}")

        assert response.status_code == 200
        assert len(response.json()["secrets"]) == count
        assert response.json()["total"] == 12

    def test_a_hundred_is_the_most(self, api, twelve, settings):
        settings.MAX_PAGE_SIZE = 11

        response = api.get("/v1/secrets?limit=1000")

        assert len(response.json()["secrets"]) == 11
        assert "limit=11&" in response.json()["next"]

    def test_a_repeated_limit_is_no_failure(self, api, twelve):
        assert len(api.get("/v1/secrets?limit=2&limit=3").json()["secrets"]) == 3


class TestOffset:
    @pytest.mark.parametrize("offset", ["-1", "x", "", "1.5", "9" * 5000, str(2**31)])
    def test_bad_values_start_at_the_beginning(self, api, twelve, offset):
        assert names(api.get(f"/v1/secrets?offset={offset}"))[0] == "s00"

    def test_beyond_the_end_is_an_empty_list_with_total_and_no_links(self, api, twelve):
        assert api.get("/v1/secrets?offset=12").json() == {"secrets": [], "total": 12}

    def test_an_empty_project_has_an_empty_list(self, api):
        assert api.get("/v1/secrets").json() == {"secrets": [], "total": 0}

    def test_barbicanclients_way_to_ask_for_the_total(self, api, twelve):
        assert api.get("/v1/secrets?limit=0&offset=0").json()["total"] == 12


class TestLinks:
    def test_next_and_previous_lead_to_the_neighbours(self, api, twelve):
        middle = api.get("/v1/secrets?limit=5&offset=3").json()

        assert middle["next"] == "http://testserver/v1/secrets?limit=5&offset=8"
        assert middle["previous"] == "http://testserver/v1/secrets?limit=5&offset=0"

    def test_following_next_shows_every_item_once(self, api, twelve):
        seen, path = [], "/v1/secrets?limit=5"
        while path:
            response = api.get(path)
            seen += names(response)
            path = path_of(response.json()["next"]) if "next" in response.json() else None

        assert seen == [f"s{number:02}" for number in range(12)]

    def test_the_last_page_has_no_next_and_the_first_no_previous(self, api, twelve):
        assert "previous" not in api.get("/v1/secrets?limit=5").json()
        assert "next" not in api.get("/v1/secrets?limit=5&offset=7").json()

    def test_links_keep_every_other_parameter(self, api, twelve):
        query = "limit=2&name=s%25&created=gt:2020-01-01,lt:2090-01-01&unknown=a+b&empty="
        link = api.get(f"/v1/secrets?{query}").json()["next"]

        assert parse_qs(urlsplit(link).query, keep_blank_values=True) == {
            "limit": ["2"],
            "offset": ["2"],
            "name": ["s%"],
            "created": ["gt:2020-01-01,lt:2090-01-01"],
            "unknown": ["a b"],
            "empty": [""],
        }
        assert "%3A" in link
        assert "%2C" in link
        assert "a+b" in link

    def test_links_of_orders_keep_their_filter(self, api):
        for _ in range(3):
            api.post(
                "/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256, "name": "x"}}
            )

        page = api.get("/v1/orders?limit=1&meta=x").json()

        assert page["total"] == 3
        assert page["next"] == "http://testserver/v1/orders?limit=1&offset=1&meta=x"


class TestFarFromTheStart:
    """There the ids are found first; what is shown must not differ."""

    @pytest.mark.parametrize(
        "sort", ["", "name", "name:desc", "created:desc", "algorithm,name:desc", "expiration"]
    )
    def test_pages_are_those_of_the_whole(self, api, twelve, monkeypatch, sort):
        whole = names(api.get(f"/v1/secrets?limit=100&sort={sort}"))
        monkeypatch.setattr(paging, "DEEP_OFFSET", 1)

        pages = [names(api.get(f"/v1/secrets?limit=5&sort={sort}&offset={offset}")) for offset in (1, 6, 11)]

        assert [whole[:1], *pages] == [whole[:1], whole[1:6], whole[6:11], whole[11:]]

    def test_filters_hold_there(self, api, twelve, monkeypatch):
        monkeypatch.setattr(paging, "DEEP_OFFSET", 1)

        assert names(api.get("/v1/secrets?limit=5&offset=1&name=s1%25")) == ["s11"]

    def test_it_costs_no_statement_more(self, api, twelve, monkeypatch):
        monkeypatch.setattr(paging, "DEEP_OFFSET", 1)

        with CaptureQueriesContext(connection) as queries:
            api.get("/v1/secrets?limit=5&offset=1")

        assert len(queries) == 3

    def test_what_goes_with_the_rows_is_loaded_with_them(self, api, monkeypatch):
        admin = api.other(project="service", roles=["admin", "key-manager:service-admin"])
        for number in range(3):
            admin.call("PUT", f"/v1/project-quotas/q{number}", {"project_quotas": {"secrets": 1}})
        monkeypatch.setattr(paging, "DEEP_OFFSET", 1)

        with CaptureQueriesContext(connection) as queries:
            shown = admin.get("/v1/project-quotas?offset=1").json()["project_quotas"]

        assert [quota["project_id"] for quota in shown] == ["q1", "q2"]
        assert len(queries) == 3


class TestMarker:
    """openstacksdk ends its walk through a list with ``limit`` by asking for what follows the last one."""

    @pytest.mark.parametrize(
        "spelling", ["http://testserver{}", "https://elsewhere.example/prefix{}/", "{}"], ids=str
    )
    def test_the_page_starts_after_it(self, api, twelve, spelling):
        marker = spelling.format(twelve[4])

        assert names(api.get(f"/v1/secrets?limit=3&marker={marker}")) == ["s05", "s06", "s07"]

    def test_an_id_will_do(self, api, twelve):
        assert names(api.get(f"/v1/secrets?limit=1&marker={twelve[0].rpartition('/')[2]}")) == ["s01"]

    def test_after_the_last_there_is_nothing(self, api, twelve):
        response = api.get(f"/v1/secrets?limit=5&offset=10&marker={twelve[-1]}")

        assert response.json() == {"secrets": [], "total": 12}

    @pytest.mark.parametrize("marker", ["x", "x/", "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", "%00", "/"])
    def test_after_an_unknown_one_there_is_nothing(self, api, twelve, marker):
        response = api.get(f"/v1/secrets?marker={marker}x")

        assert response.status_code == 200
        assert response.json() == {"secrets": [], "total": 12}

    def test_another_projects_is_unknown(self, api, twelve):
        foreign = api.other(project="p2").store()

        assert names(api.get(f"/v1/secrets?marker={foreign}")) == []

    def test_an_empty_one_is_none(self, api, twelve):
        assert names(api.get("/v1/secrets?marker="))[0] == "s00"

    def test_links_go_on_by_offset(self, api, twelve):
        body = api.get(f"/v1/secrets?limit=3&name=s%25&marker={twelve[4]}").json()

        assert body["total"] == 12
        assert body["next"] == "http://testserver/v1/secrets?limit=3&offset=8&name=s%25"
        assert body["previous"] == "http://testserver/v1/secrets?limit=3&offset=2&name=s%25"

    @pytest.mark.parametrize(
        "sort",
        ["name", "name:desc", "algorithm", "algorithm:desc,name", "mode:desc,bit_length", "created:desc"],
    )
    def test_any_order_is_walked_whole(self, api, sort):
        for number in range(3):
            api.store(name="same", algorithm="aes", bit_length=number + 1)
            api.store(mode="cbc")
            api.store(name="Other", algorithm="AES")
        everything = api.get(f"/v1/secrets?sort={sort}").json()["secrets"]
        seen, marker = [], ""

        while page := api.get(f"/v1/secrets?sort={sort}&limit=2&marker={marker}").json()["secrets"]:
            seen += page
            marker = page[-1]["secret_ref"]

        assert seen == everything

    @pytest.mark.parametrize("plural", ["containers", "orders", "transport_keys"])
    def test_in_other_lists(self, api, plural):
        bodies = {
            "containers": {"type": "generic", "name": "c"},
            "orders": {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}},
            "transport_keys": {"plugin_name": "p", "transport_key": "k"},
        }
        admin = api.other(project="p1", roles=["admin", "key-manager:service-admin"])
        refs = [admin.post(f"/v1/{plural}", bodies[plural])["Location"] for _ in range(3)]

        assert (
            api.get(f"/v1/{plural}?limit=1&marker={refs[1]}").json()[plural]
            == (api.get(f"/v1/{plural}?offset=2").json()[plural])
        )

    def test_in_the_list_of_quotas(self, api):
        admin = api.other(project="service", roles=["admin"])
        admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {"secrets": 1}})

        assert admin.get("/v1/project-quotas?marker=p1").json() == {"project_quotas": [], "total": 1}
