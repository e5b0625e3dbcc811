import pytest

MAKE_KEYS = """
from keepsite.identity.api_keys import create_api_key
from keepsite.identity.operators import command_principal
for number in range(80):
    project = f"project {number}"
    who = {"user_id": "u1", "roles": ["member"], "name": "tests", "actor": command_principal()}
    print(create_api_key(project_id=project, **who)[1])
"""


@pytest.fixture(scope="module")
def keys(product):
    """API keys of many projects, made by one process: one for each test."""
    made = product.manage("shell", "--no-imports", "-c", MAKE_KEYS)
    return iter([line for line in made.splitlines() if line.startswith("ks_")])


@pytest.fixture
def key(keys):
    """An API key of a member of a project that no other test uses."""
    return next(keys)
