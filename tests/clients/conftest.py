import json

import pytest

from tests.support.product import Product

PROJECTS = 400  # more than there are tests of clients
MAKE_KEYS = """
import json
from keepsite.identity.api_keys import create_api_key
from keepsite.identity.operators import command_principal
for project, user, roles in json.loads({people!r}):
    who = {{"user_id": user, "roles": roles, "name": "tests", "actor": command_principal()}}
    print(create_api_key(project_id=project, **who)[1])
"""


@pytest.fixture(scope="package")
def product(tmp_path_factory, new_database_url):
    """One whole product for all clients: each test works in a project of its own."""
    folder = tmp_path_factory.mktemp("product") / "state"
    with Product(folder, database_url=new_database_url()).serving() as product:
        yield product


@pytest.fixture(scope="package")
def make_keys(product):
    """Makes API keys by one process: of (project, user, roles), in this order."""

    def make_keys(people):
        made = product.manage("shell", "--no-imports", "-c", MAKE_KEYS.format(people=json.dumps(people)))
        return [line for line in made.splitlines() if line.startswith("ks_")]

    return make_keys


@pytest.fixture(scope="package")
def keys(make_keys):
    """API keys of many projects: one for each test."""
    return iter(make_keys([(f"project {number}", "u1", ["member"]) for number in range(PROJECTS)]))


@pytest.fixture
def key(keys):
    """An API key of a member of a project that no other test uses."""
    return next(keys)
