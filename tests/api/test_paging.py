"""Lists: limit and offset, total, and links that lead through all of it."""

from urllib.parse import parse_qs, urlsplit

import pytest

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
            ("9" * 40, 10),
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
    @pytest.mark.parametrize("offset", ["-1", "x", "", "1.5", "9" * 30, str(2**31)])
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
