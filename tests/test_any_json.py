"""Whatever JSON is sent, the answer is never a failure of ours, and a refusal leaves nothing behind."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders_app.api.serializers import NewOrderSerializer, OrderMetaSerializer
from secrets_app.api.serializers.consumers import SecretUseSerializer
from secrets_app.api.serializers.secrets import NewSecretSerializer
from tests.support.rows import written_rows

EXAMPLES = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "text/plain",
            "application/octet-stream",
            "application/pkcs8",
            "base64",
            "AAEC",
            "AA==",
            "opaque",
            "symmetric",
            "true",
            "2099",
            "2099-01-01",
            "2020",
            "key",
            "aes",
            "hmacsha256",
            "\x00",
            "x" * 256,
            "x" * 20001,
        ]
    ),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 8, 12, 64, 128, 256, 32_767, 32_768, 12.0, -1, 2**63, 1e308]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def objects(serializer, **sure):
    """Objects with the names that ``serializer`` knows, any value in them, and some that it does not know."""
    names = st.sampled_from([*serializer().fields, "unknown", "self", "request"])
    return st.builds(dict.__or__, st.dictionaries(names, VALUES, max_size=6), st.fixed_dictionaries(sure))


META = objects(OrderMetaSerializer, algorithm=TEXTS, bit_length=NUMBERS)
SECRETS = st.one_of(VALUES, objects(NewSecretSerializer))
ORDERS = st.one_of(
    VALUES,
    objects(NewOrderSerializer, type=st.just("key"), meta=META),
    objects(NewOrderSerializer, meta=VALUES),
)


def assert_holds(api, path, body):
    before = written_rows()

    response = api.call("POST", path, json.dumps(body))

    assert response.status_code < 500, response.content
    if response.status_code >= 300:
        assert written_rows() == before
        assert {*response.json()} == {"code", "title", "description"}


@pytest.fixture
def warm(api):
    """A caller whose project has its key already: a refused first store must not be what makes it."""
    api.store("x")
    return api


class TestAnyJson:
    @EXAMPLES
    @given(body=SECRETS)
    def test_secrets(self, warm, body):
        assert_holds(warm, "/v1/secrets", body)

    @EXAMPLES
    @given(body=ORDERS)
    def test_orders(self, warm, body):
        assert_holds(warm, "/v1/orders", body)

    @settings(EXAMPLES, max_examples=100)
    @given(body=st.one_of(VALUES, objects(SecretUseSerializer)))
    def test_consumers(self, warm, body):
        path = (
            warm.get("/v1/secrets?limit=1")
            .json()["secrets"][0]["secret_ref"]
            .removeprefix("http://testserver")
        )

        assert_holds(warm, f"{path}/consumers", body)


class TestAnyBytes:
    @settings(EXAMPLES, max_examples=100)
    @given(body=st.binary(max_size=60))
    def test_as_json(self, warm, body):
        response = warm.call("POST", "/v1/secrets", body)

        assert response.status_code < 500

    @settings(EXAMPLES, max_examples=50)
    @given(body=st.binary(min_size=1, max_size=200))
    def test_as_a_payload_come_back(self, warm, body):
        path = warm.store()

        assert warm.put(path, body).status_code == 204
        assert warm.get(f"{path}/payload").content == body


class TestAnyQuery:
    @settings(EXAMPLES, max_examples=150)
    @given(
        query=st.dictionaries(
            st.sampled_from(
                [
                    "limit",
                    "offset",
                    "name",
                    "alg",
                    "mode",
                    "bits",
                    "secret_type",
                    "created",
                    "updated",
                    "expiration",
                    "sort",
                    "acl_only",
                    "meta",
                    "marker",
                    "unknown",
                ]
            ),
            st.one_of(
                st.text(max_size=10),
                st.sampled_from(
                    ["gt:2020", "gte:2020,lt:2021", "2020-01-01", "name:desc", "-1", "1e9", "9" * 25]
                ),
            ),
            max_size=4,
        )
    )
    @pytest.mark.parametrize("path", ["/v1/secrets", "/v1/orders"])
    def test_lists_never_fail(self, warm, path, query):
        response = warm.get(f"{path}?{urlencode(query, errors='surrogatepass')}")

        assert response.status_code in {200, 400}, response.content
