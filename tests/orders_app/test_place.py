"""POST /v1/orders and what is shown of orders.

Source: spec/barbican-api.md §13.1, §13.2, §13.5, §22.1.
"""

import pytest

from orders_app.models import Order
from orders_app.tasks import fulfil
from orders_app.wishes import SYMMETRIC as BIT_LENGTHS
from tests.support.callers import path_of
from tests.support.rows import written_rows

META = {"algorithm": "aes", "bit_length": 256}
MISSING = object()
LENGTHS = [(algorithm, bits) for algorithm in BIT_LENGTHS for bits in BIT_LENGTHS[algorithm]]


def body_with(**meta):
    return {"type": "key", "meta": {n: v for n, v in (META | meta).items() if v is not MISSING}}


BAD_META = {
    "algorithm": [MISSING, "", "  ", None, 1, ["aes"], "bogus", "rsa", "ec", "3des", "x" * 256],
    "bit_length": [MISSING, None, 0, 12, 255, -8, "256", True, 32768, 32760, 257.5, 2048],
    "mode": [None, 1, "x" * 256],
    "name": [1, True, [], "x" * 256],
    "expiration": [None, 1, "2020-01-01", "xx", "2099-02-30"],
    "payload": ["x", "", 1],
    "payload_content_type": ["", "application/xml", "text/plain; charset=latin-1", 1],
    "payload_content_encoding": ["gzip", None, "BASE64"],
    "secret_type": [None, "Symmetric", "nonsense", 1],
}
NO_ORDERS = {
    "empty": {},
    "no type": {"meta": META},
    "no meta": {"type": "key"},
    "null meta": {"type": "key", "meta": None},
    "meta a list": {"type": "key", "meta": []},
    "meta a text": {"type": "key", "meta": "aes"},
    "certificate": {"type": "certificate", "meta": META},
    "asymmetric": {"type": "asymmetric", "meta": META},
    "type in capitals": {"type": "KEY", "meta": META},
    "type a number": {"type": 1, "meta": META},
    "type null": {"type": None, "meta": META},
    "type empty": {"type": "", "meta": META},
}


class TestPlace:
    def test_the_answer_is_202_with_the_ref(self, api):
        response = api.post("/v1/orders", body_with())

        assert response.status_code == 202
        assert response.json() == {"order_ref": response["Location"]}
        assert api.get(path_of(response["Location"])).json()["status"] == "PENDING"

    def test_no_call_to_the_token_is_made(self, api, shim):
        with shim.counting() as calls:
            api.post("/v1/orders", body_with())

        assert calls == {}

    def test_with_the_token_away_it_is_taken_all_the_same(self, api, shim):
        shim.answer(0x30)

        assert api.post("/v1/orders", body_with()).status_code == 202

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            pytest.param(field, value, id=f"{field}={'missing' if value is MISSING else repr(value)}"[:50])
            for field, values in BAD_META.items()
            for value in values
        ],
    )
    def test_bad_meta_is_400_and_nothing_is_written(self, api, field, value):
        before = written_rows()

        response = api.post("/v1/orders", body_with(**{field: value}))

        assert response.status_code == 400, response.content
        assert response.json()["title"] == "Bad Request"
        assert written_rows() == before

    @pytest.mark.parametrize("body", NO_ORDERS.values(), ids=NO_ORDERS.keys())
    def test_what_is_no_key_order_is_400(self, api, body):
        assert api.post("/v1/orders", body).status_code == 400
        assert not Order.objects.exists()

    @pytest.mark.parametrize(("algorithm", "bits"), LENGTHS)
    def test_every_offered_length_is_made(self, api, place, algorithm, bits):
        order = place(algorithm=algorithm.upper(), bit_length=bits)
        fulfil(order.id)

        secret = path_of(api.get(f"/v1/orders/{order.id}").json()["secret_ref"])
        assert len(api.get(f"{secret}/payload").content) == bits // 8
        assert api.get(secret).json()["algorithm"] == algorithm.upper()

    @pytest.mark.parametrize(
        "meta",
        [
            {"payload_content_type": None},
            {"payload_content_encoding": "base64"},
            {"secret_type": "opaque"},
            {"mode": ""},
            {"name": None},
            {"name": ""},
            {"expiration": ""},
            {"bit_length": 256.0},
        ],
        ids=str,
    )
    def test_harmless_meta_is_taken(self, place, meta):
        assert place(**meta).status == Order.Status.PENDING

    def test_put_on_the_collection_is_405(self, api):
        assert api.put("/v1/orders", b"{}").status_code == 405


class TestEcho:
    def test_meta_shows_only_names_that_barbicanclient_reads(self, api, place):
        order = place(
            name=" k ", mode="cbc", secret_type="opaque", foo=1, creator_id="x", passphrase="hunter2"
        )

        shown = api.get(f"/v1/orders/{order.id}").json()

        assert shown["meta"] == {
            "name": "k",
            "algorithm": "aes",
            "bit_length": 256,
            "mode": "cbc",
            "expiration": None,
        }
        assert "hunter2" not in str(Order.objects.values().get())

    def test_the_content_type_is_normalised(self, api, place):
        order = place(payload_content_type="text/plain;charset=utf-8")

        assert api.get(f"/v1/orders/{order.id}").json()["meta"]["payload_content_type"] == "text/plain"

    def test_a_pending_order_has_these_keys_and_no_nulls(self, api, order):
        shown = api.get(f"/v1/orders/{order.id}").json()

        assert {*shown} == {"created", "updated", "status", "type", "meta", "order_ref", "creator_id"}
        assert shown["type"] == "key"
        assert shown["creator_id"] == "u1"

    def test_an_active_order_has_these_more(self, api, order):
        fulfil(order.id)

        shown = api.get(f"/v1/orders/{order.id}").json()

        assert shown["status"] == "ACTIVE"
        assert shown["sub_status"] == shown["sub_status_message"] == "Unknown"
        assert {"error_reason", "error_status_code", "container_ref"}.isdisjoint(shown)
        assert api.get(path_of(shown["secret_ref"])).status_code == 200


class TestList:
    def test_full_objects_oldest_first(self, api, place):
        orders = [place(name=name) for name in "abc"]

        body = api.get("/v1/orders").json()

        assert [order["meta"]["name"] for order in body["orders"]] == ["a", "b", "c"]
        assert body["total"] == 3
        assert body["orders"][0] == api.get(f"/v1/orders/{orders[0].id}").json()

    def test_meta_filters_by_a_part_of_it(self, api, place):
        place(name="this one")
        place(name="another")

        assert api.get("/v1/orders?meta=this").json()["total"] == 1

    def test_other_projects_orders_do_not_exist(self, api, order):
        other = api.other(project="p2", roles=["admin"])

        assert other.get("/v1/orders").json() == {"orders": [], "total": 0}
        assert other.get(f"/v1/orders/{order.id}").status_code == 404
        assert other.delete(f"/v1/orders/{order.id}").status_code == 404

    @pytest.mark.parametrize("order_id", ["nonsense", "5D4F0C5E", "%00", "x" * 500, "ключ"])
    def test_any_unknown_id_is_404(self, api, order_id):
        assert api.get(f"/v1/orders/{order_id}").status_code == 404

    def test_a_reader_may_nothing(self, api, order):
        reader = api.other(roles=["reader"])

        assert reader.get("/v1/orders").status_code == 403
        assert reader.post("/v1/orders", body_with()).status_code == 403
        assert reader.get(f"/v1/orders/{order.id}").status_code == 403
        assert reader.delete(f"/v1/orders/{order.id}").status_code == 403


class TestDelete:
    def test_success_is_204_and_again_is_404(self, api, order):
        assert api.delete(f"/v1/orders/{order.id}").status_code == 204
        assert api.delete(f"/v1/orders/{order.id}").status_code == 404
        assert api.get("/v1/orders").json()["total"] == 0

    def test_what_it_made_stays(self, api, order):
        fulfil(order.id)
        secret = path_of(api.get(f"/v1/orders/{order.id}").json()["secret_ref"])

        api.delete(f"/v1/orders/{order.id}")

        assert len(api.get(f"{secret}/payload").content) == 32

    def test_deleting_the_key_leaves_the_order(self, api, order):
        fulfil(order.id)
        ref = api.get(f"/v1/orders/{order.id}").json()["secret_ref"]

        assert api.delete(path_of(ref)).status_code == 204
        assert api.get(f"/v1/orders/{order.id}").json()["secret_ref"] == ref
