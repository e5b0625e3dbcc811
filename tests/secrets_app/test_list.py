"""GET /v1/secrets: filters, sorting, dates, links that keep both.

Source: spec/barbican-api.md §4.4.
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from secrets_app.models import Secret
from tests.support.callers import path_of


@pytest.fixture
def shelf(api):
    """Five secrets, created on the first five days of 2024; d and e expire on days of 2090."""
    rows = {
        "a": {"algorithm": "aes", "bit_length": 256, "mode": "cbc", "secret_type": "symmetric"},
        "b": {"algorithm": "AES", "bit_length": 128, "mode": "gcm", "secret_type": "symmetric"},
        "c_1": {"algorithm": "rsa", "bit_length": 2048, "secret_type": "private"},
        "d%": {"algorithm": "aes-xts", "expiration": "2090-01-01"},
        "e+1": {"secret_type": "passphrase", "expiration": "2090-06-01"},
    }
    for day, (name, fields) in enumerate(rows.items(), 1):
        path = api.store(name=name, **fields)
        at = datetime(2024, 1, day, tzinfo=UTC)
        Secret.objects.filter(id=path.rpartition("/")[2]).update(created_at=at, updated_at=at + timedelta(1))


def names(api, query=""):
    response = api.get(f"/v1/secrets?{query}")
    assert response.status_code == 200, response.content
    return [secret["name"] for secret in response.json()["secrets"]]


@pytest.mark.usefixtures("shelf")
class TestFilters:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("name=a", ["a"]),
            ("name=A", ["a"]),
            ("name=C_1", ["c_1"]),
            ("name=a%20", []),
            ("name=A%25", ["a"]),
            ("mode=GCM", ["b"]),
            ("name=", ["a", "b", "c_1", "d%", "e+1"]),
            ("name=nothing", []),
            ("name=c_1", ["c_1"]),
            ("name=%25%25", ["a", "b", "c_1", "d%", "e+1"]),
            ("name=c%25", ["c_1"]),
            ("name=e%2B1", ["e+1"]),
            ("name=___", []),
            ("name=|", []),
            ("alg=aes", ["a", "b"]),
            ("alg=aes%25", ["a", "b", "d%"]),
            ("algorithm=rsa", ["a", "b", "c_1", "d%", "e+1"]),
            ("mode=gcm", ["b"]),
            ("bits=256", ["a"]),
            ("bits=0", ["a", "b", "c_1", "d%", "e+1"]),
            ("bits=-1", ["a", "b", "c_1", "d%", "e+1"]),
            ("bits=x", ["a", "b", "c_1", "d%", "e+1"]),
            ("bits=", ["a", "b", "c_1", "d%", "e+1"]),
            ("bits=99999", []),
            ("bits=" + "9" * 30, []),
            ("secret_type=symmetric", ["a", "b"]),
            ("secret_type=nonsense", []),
            ("unknown=x", ["a", "b", "c_1", "d%", "e+1"]),
            ("alg=aes&bits=128", ["b"]),
            ("acl_only=true", []),
            ("acl_only=TRUE", []),
            ("acl_only=yes", ["a", "b", "c_1", "d%", "e+1"]),
            ("acl_only=", ["a", "b", "c_1", "d%", "e+1"]),
        ],
    )
    def test_what_each_finds(self, api, query, expected):
        if connection.vendor == "postgresql" and query == "alg=aes":
            expected = ["a"]
        assert names(api, query) == expected

    def test_of_a_repeated_filter_one_counts(self, api):
        assert names(api, "name=a&name=b") == ["b"]

    def test_total_counts_what_the_filters_leave(self, api):
        assert api.get("/v1/secrets?secret_type=symmetric&limit=1").json()["total"] == 2

    def test_a_nul_in_a_filter_is_no_failure(self, api):
        assert api.get("/v1/secrets?name=%00").status_code in {200, 400}


@pytest.mark.usefixtures("shelf")
class TestDates:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("created=gt:2020-01-01,lt:2090-01-01", ["a", "b", "c_1", "d%", "e+1"]),
            ("created=gt:2024-01-02", ["c_1", "d%", "e+1"]),
            ("created=gte:2024-01-02", ["b", "c_1", "d%", "e+1"]),
            ("created=lt:2024-01-02", ["a"]),
            ("created=lte:2024-01-02", ["a", "b"]),
            ("created=2024-01-03", ["c_1"]),
            ("created=2024-01-03T00:00:00", ["c_1"]),
            ("created=2024-01-03T02:00:00%2B02:00", ["c_1"]),
            ("created=2024-01-03T00:00:00.000001", []),
            ("created=2024-01-03,gt:2024-01-02", ["c_1"]),
            ("created=gte:2024-01-02,lte:2024-01-03", ["b", "c_1"]),
            ("updated=2024-01-02", ["a"]),
            ("expiration=lt:2090-02-01", ["d%"]),
            ("expiration=gt:2000", ["d%", "e+1"]),
            ("created=", ["a", "b", "c_1", "d%", "e+1"]),
        ],
    )
    def test_what_each_finds(self, api, query, expected):
        assert names(api, query) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "xx",
            "gt:",
            "gt:xx",
            ",",
            "2024-01-01,",
            "2024-13-01",
            "gt:2020-01-01,gte:2020-01-01",
            "lt:2020-01-01,lte:2021-01-01",
            "2020-01-01,2021-01-01",
            "2020-01-01,gte:2019-01-01",
            "2020-01-01,lte:2021-01-01",
            "GT:2020-01-01",
            "exact:2020-01-01",
            "ne:2020-01-01",
        ],
    )
    @pytest.mark.parametrize("parameter", ["created", "updated", "expiration"])
    def test_what_is_malformed_is_400(self, api, parameter, text):
        response = api.get(f"/v1/secrets?{parameter}={text}")

        assert response.status_code == 400
        assert parameter in response.json()["description"]


@pytest.mark.usefixtures("shelf")
class TestSort:
    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("", ["a", "b", "c_1", "d%", "e+1"]),
            ("name", ["a", "b", "c_1", "d%", "e+1"]),
            ("name:asc", ["a", "b", "c_1", "d%", "e+1"]),
            ("name:desc", ["e+1", "d%", "c_1", "b", "a"]),
            ("created:desc,name", ["e+1", "d%", "c_1", "b", "a"]),
            ("updated:desc", ["e+1", "d%", "c_1", "b", "a"]),
            ("secret_type,name:desc", ["d%", "e+1", "c_1", "b", "a"]),
            ("status", ["a", "b", "c_1", "d%", "e+1"]),
            ("status:desc,created:desc", ["e+1", "d%", "c_1", "b", "a"]),
        ],
    )
    def test_order(self, api, sort, expected):
        assert names(api, f"sort={sort}") == expected

    @pytest.mark.parametrize("key", ["bit_length", "algorithm", "mode", "expiration"])
    def test_every_key_sorts_both_ways(self, api, key):
        up, down = names(api, f"sort={key}"), names(api, f"sort={key}:desc")

        assert sorted(up) == sorted(down) == sorted(names(api))

    @pytest.mark.parametrize(
        "sort",
        [
            "foo",
            "name:up",
            "name:",
            "name:asc:x",
            "name,name",
            "name, created",
            ",",
            "name,",
            "NAME",
            "-name",
            "id",
        ],
    )
    def test_what_is_malformed_is_400(self, api, sort):
        assert api.get(f"/v1/secrets?sort={sort}").status_code == 400


@pytest.mark.usefixtures("shelf")
class TestPages:
    def test_links_keep_filters_and_sort(self, api):
        query, seen = "/v1/secrets?limit=1&alg=aes%25&sort=name:desc", []
        while query:
            body = api.get(query).json()
            seen += [secret["name"] for secret in body["secrets"]]
            query = path_of(body["next"]) if "next" in body else None

        assert seen == ["d%", "b", "a"]

    def test_names_sort_without_regard_to_case(self, api):
        api.store(name="B2")

        assert names(api, "sort=name") == ["a", "b", "B2", "c_1", "d%", "e+1"]

    def test_equal_sort_values_are_neither_skipped_nor_repeated(self, api):
        pages = [names(api, f"sort=status&limit=2&offset={offset}") for offset in (0, 2, 4)]

        assert [name for page in pages for name in page] == ["a", "b", "c_1", "d%", "e+1"]


class TestScope:
    def test_only_the_callers_project_is_listed(self, api):
        api.store(name="mine")
        other = api.other(project="p2")
        other.store(name="theirs")

        assert names(api) == ["mine"]
        assert names(other) == ["theirs"]

    def test_an_admin_of_another_project_lists_their_own(self, api):
        api.store(name="mine")

        assert names(api.other(project="p2", roles=["admin"])) == []

    @pytest.mark.parametrize("parameter", ["project_id", "external_project_id", "user_id", "roles"])
    def test_no_parameter_widens_it(self, api, parameter):
        api.other(project="p2").store(name="theirs")

        assert names(api, f"{parameter}=p2") == []

    def test_deleted_secrets_are_gone(self, api):
        api.delete(api.store(name="x"))

        assert api.get("/v1/secrets").json() == {"secrets": [], "total": 0}

    def test_no_list_item_has_other_keys_than_the_object(self, api):
        path = api.store("x")
        (item,) = api.get("/v1/secrets").json()["secrets"]

        assert item == api.get(path).json()
