"""What the installed clients can do is driven by the tests here, and docs/api/clients.md says how it ends.

A new version of a client that can do more, or a test taken away, shows here.
"""

import ast
import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from barbicanclient.v1 import acls, cas, containers, orders, secrets
from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
from openstack.key_manager.v1._proxy import Proxy

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "api" / "clients.md"
CLASSES = {
    "secrets": [secrets.SecretManager],
    "orders": [orders.OrderManager],
    "containers": [containers.ContainerManager],
    "acls": [acls.ACLManager],
    "cas": [cas.CAManager],
    "secret": [secrets.Secret],
    "order": [orders.KeyOrder, orders.AsymmetricOrder],
    "container": [containers.Container, containers.RSAContainer, containers.CertificateContainer],
    "acl": [acls.SecretACL, acls.ContainerACL],
    "ca": [cas.CA],
}  # of python-barbicanclient: managers, and what they give out
# These work on texts and options and never ask a server.
LOCAL = {
    "acl.get_acl_ref_from_entity_ref",
    "acl.get_acl_ref_from_entity_ref_relative",
    "acl.identify_ref_type",
    "acl.validate_input_ref",
    "list_options_for_discovery",
}


def methods(cls):
    """The public ones, inherited ones included."""
    return {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


VERBS = {
    "python-barbicanclient": {
        f"{name}.{verb}" for name, kinds in CLASSES.items() for kind in kinds for verb in methods(kind)
    }
    - LOCAL,
    "castellan": methods(BarbicanKeyManager) - LOCAL,
    "openstacksdk": methods(Proxy) & vars(Proxy).keys(),  # the others are those of every service
    "openstack secret": {
        point.name.replace("_", " ") for point in entry_points(group="openstack.key_manager.v1")
    },
}


def calls(module):
    """What a test module calls: the last two names of each call, and the texts it begins with."""
    for node in ast.walk(ast.parse((HERE / module).read_text())):
        if isinstance(node, ast.Call):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
            yield ".".join(ast.unparse(node.func).split(".")[-2:]), texts


def methods_called(module, *owners):
    """Methods that a test module calls on what has one of these names."""
    called = (call.partition(".") for call, _ in calls(module))
    return {verb for owner, _, verb in called if owner in owners}


def commands_run(module):
    """The first two and three words of each command that a test module runs."""
    run = [texts for call, texts in calls(module) if call in {"run", "openstack", "shown"}]
    return {" ".join(map(str, texts[:count])) for texts in run for count in (2, 3)}


DRIVEN = {
    "python-barbicanclient": {call for call, _ in calls("test_barbicanclient.py")},
    "castellan": methods_called("test_castellan.py", "castellan"),
    "openstacksdk": methods_called("test_openstacksdk.py", "sdk", "admin"),
    "openstack secret": commands_run("test_openstack_cli.py"),
}


def listed(client):
    """The verbs in the second column of the client's table; before those of an object stands its name."""
    _, _, section = PAGE.read_text().partition(f"\n## {client}\n")
    for row in section.partition("\n## ")[0].splitlines():
        cells = row.split("|")
        if len(cells) > 2:
            owner = f"{cells[1].strip()}." if client == "python-barbicanclient" else ""
            yield from (f"{owner}{verb}" for verb in re.findall("`([^`]+)`", cells[2]))


@pytest.mark.parametrize("client", VERBS)
class TestEveryVerb:
    def test_is_driven(self, client):
        assert sorted(VERBS[client] - DRIVEN[client]) == []

    def test_is_listed_once_and_nothing_else_is(self, client):
        assert sorted(listed(client)) == sorted(VERBS[client])
