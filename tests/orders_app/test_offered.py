"""What POST accepts is made, whatever goes together; what cannot be made is refused there."""

import pytest

from orders_app.models import Order
from orders_app.tasks import fulfil
from orders_app.wishes import ASYMMETRIC, SYMMETRIC

LENGTHS = [(algorithm, bits) for algorithm, lengths in SYMMETRIC.items() for bits in lengths]
SHORTEST = [(algorithm, lengths[0]) for algorithm, lengths in ASYMMETRIC.items()]


def ended(api, order_type, **meta):
    response = api.post("/v1/orders", {"type": order_type, "meta": meta})
    assert response.status_code == 202, response.content
    order_id = response.json()["order_ref"].rpartition("/")[2]
    fulfil(order_id)
    return Order.objects.get(id=order_id)


class TestAccepted:
    @pytest.mark.parametrize(("algorithm", "bits"), LENGTHS)
    def test_every_key_is_made(self, api, algorithm, bits):
        for mode in ("", "cbc", "xts", "no such mode"):
            order = ended(api, "key", algorithm=algorithm, bit_length=bits, mode=mode)
            assert order.status == Order.Status.ACTIVE, order.error_reason

    @pytest.mark.parametrize("content_type", ["application/octet-stream", "text/plain; charset=utf-8", None])
    @pytest.mark.parametrize(
        ("order_type", "algorithm", "bits"), [("key", "aes", 256), ("asymmetric", "ec", 256)]
    )
    def test_with_every_content_type(self, api, order_type, algorithm, bits, content_type):
        meta = {"algorithm": algorithm, "bit_length": bits, "payload_content_type": content_type}
        order = ended(api, order_type, **meta)

        assert order.status == Order.Status.ACTIVE, order.error_reason

    @pytest.mark.parametrize(("algorithm", "bits"), SHORTEST)
    @pytest.mark.parametrize("passphrase", ["x", "ü" * 511], ids=["short", "long"])
    def test_every_pair_with_a_pass_phrase(self, api, algorithm, bits, passphrase):
        meta = {"algorithm": algorithm, "bit_length": bits, "passphrase": passphrase, "mode": "cbc"}
        order = ended(api, "asymmetric", **meta)

        assert order.status == Order.Status.ACTIVE, order.error_reason


class TestRefused:
    @pytest.mark.parametrize(
        ("order_type", "algorithm", "bits"),
        [
            ("key", "rsa", 2048), ("key", "ec", 256), ("key", "3des", 192), ("key", "bogus", 256),
            ("key", "aes", 1024), ("key", "hmacsha256", 384), ("key", "des", 56), ("key", "aes", 8),
            ("asymmetric", "rsa", 8192), ("asymmetric", "dsa", 512), ("asymmetric", "hmacsha256", 256),
            ("asymmetric", "x25519", 256), ("certificate", "rsa", 2048), ("KEY", "aes", 256),
        ],
    )  # fmt: skip
    def test_with_400_and_what_is_accepted(self, api, order_type, algorithm, bits):
        meta = {"algorithm": algorithm, "bit_length": bits}
        response = api.post("/v1/orders", {"type": order_type, "meta": meta})

        assert response.status_code == 400
        assert response.json()["description"]
        assert not Order.objects.exists()
