import pytest

from orders_app.models import Order

META = {"algorithm": "aes", "bit_length": 256}


@pytest.fixture
def place(api):
    """Places a key order with some meta; returns its row."""

    def place(caller=api, **meta):
        response = caller.post("/v1/orders", {"type": "key", "meta": META | meta})
        assert response.status_code == 202, response.content
        return Order.objects.get(id=response.json()["order_ref"].rpartition("/")[2])

    return place


@pytest.fixture
def order(place):
    """A waiting order of project p1."""
    return place()
