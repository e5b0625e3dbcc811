import pytest

from tests.support.pkcs11_standins import Shim
from tests.support.product import Product
from tests.support.product_rows import ProductRows
from tests.support.remote import Remote


@pytest.fixture(scope="module")
def product(tmp_path_factory, new_database_url):
    """A product of this module's own, impatient about orders, with the shim before its token."""
    product = Product(
        tmp_path_factory.mktemp("killed") / "state",
        database_url=new_database_url(),
        pin="8317264905",  # one that nothing else holds by accident
        KEEPSITE_ORDER_LEASE_S="4",
        KEEPSITE_ORDER_HANDOUT_S="2",
        KEEPSITE_RELAY_POLL_S="0.2",
    )
    product.shim = Shim(product.folder, product.token.module)
    product.environment |= product.shim.environment
    product.token.config_file(product.shim.module)
    try:
        yield product.setup().start()
    finally:
        product.shim.clear()
        product.stop()


@pytest.fixture
def remote(product):
    return Remote(product)


@pytest.fixture
def rows(product):
    return ProductRows(product)
