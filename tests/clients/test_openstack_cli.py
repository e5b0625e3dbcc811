"""The unmodified ``openstack`` command with Barbican's plugin, against the whole product.

A call takes a second, so each test is a round of what belongs together.
Source: spec/barbican-api.md §22.4.
"""

import json
import subprocess
import sys

import pytest

from tests.clients import connect
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

NOVA = ["--service-type-name", "nova", "--resource-type", "instance", "--resource-id", "i-1"]
UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"


def only(*columns):
    """Options that show these columns alone."""
    return [option for column in columns for option in ("--column", column)]


@pytest.fixture
def run(product, key, tmp_path):
    """Runs one command; returns how it ended."""
    who = {
        "OS_AUTH_TYPE": "admin_token",
        "OS_ENDPOINT": f"{product.url}/v1/",
        "OS_TOKEN": key,
        "HOME": str(tmp_path),
    }

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "openstackclient.shell", *arguments],
            env=who, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def openstack(run):
    """Runs one command that must succeed; returns what it printed."""

    def openstack(*arguments):
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return openstack


@pytest.fixture
def shown(openstack):
    """Runs one command that shows something; returns it as JSON."""
    return lambda *arguments: json.loads(openstack(*arguments, "--format", "json"))


@pytest.fixture
def secret(shown):
    """The ref of a stored password."""
    return shown("secret", "store", "--name", "n", "--payload", "pass word")["Secret href"]


class TestSecrets:
    def test_store_get_list_delete(self, run, openstack, shown, secret):
        read = shown("secret", "get", secret)
        assert (read["Name"], read["Algorithm"], read["Bit length"], read["Mode"]) == ("n", "aes", 256, "cbc")
        assert shown("secret", "get", secret, "--payload") == {"Payload": "pass word"}
        assert [each["Secret href"] for each in shown("secret", "list")] == [secret]
        assert shown("secret", "list", "--name", "other") == []

        openstack("secret", "delete", secret)

        missing = run("secret", "get", secret)
        assert missing.returncode != 0
        assert "Not Found: Secret not found." in missing.stderr

    def test_in_two_steps(self, openstack, shown):
        ref = shown("secret", "store", "--name", "n")["Secret href"]
        openstack("secret", "update", ref, "later")

        assert shown("secret", "get", ref, "--payload") == {"Payload": "later"}

    def test_from_a_file_into_a_file(self, openstack, shown, tmp_path):
        (tmp_path / "in").write_bytes(b"\x00\xff")
        ref = shown("secret", "store", "--file", "in")["Secret href"]
        openstack("secret", "get", ref, "--file", "out", "--payload_content_type", "application/octet-stream")

        assert (tmp_path / "out").read_bytes() == b"\x00\xff"

    def test_consumers(self, run, openstack, shown, secret):
        openstack("secret", "consumer", "create", *NOVA, secret)

        (listed,) = shown("secret", "consumer", "list", secret)
        assert (listed["Service"], listed["Resource type"], listed["Resource id"]) == tuple(NOVA[1::2])
        assert "it has consumers" in run("secret", "delete", secret).stderr
        openstack("secret", "consumer", "delete", *NOVA, secret)
        openstack("secret", "delete", secret)


class TestOrders:
    def test_create_get_list_delete(self, openstack, shown):
        order = shown("secret", "order", "create", "key", "--algorithm", "aes", "--bit-length", "256")
        ref = order["Order href"]

        wait_until(lambda: shown("secret", "order", "get", ref)["Status"] == "ACTIVE")

        (listed,) = shown("secret", "order", "list")
        assert (listed["Order href"], listed["Type"]) == (ref, "Key")
        openstack("secret", "order", "delete", ref)
        assert shown("secret", "order", "list") == []
        assert shown("secret", "get", listed["Secret href"])["Secret type"] == "symmetric"

    def test_a_pair_comes_in_an_rsa_container(self, shown):
        order = shown("secret", "order", "create", "asymmetric", "--algorithm", "rsa", "--bit-length", "2048")

        made = wait_until(lambda: self._active(shown("secret", "order", "get", order["Order href"])))

        assert made["Type"] == "Asymmetric"
        columns = only("Type", "Private Key")  # the command cannot write such a container's time as JSON
        pair = shown("secret", "container", "get", made["Container href"], *columns)
        assert pair["Type"] == "rsa"
        assert "/v1/secrets/" in pair["Private Key"]

    @staticmethod
    def _active(order):
        return order if order["Status"] == "ACTIVE" else None

    def test_an_error_says_why(self, run):
        refused = run("secret", "order", "create", "key", "--algorithm", "bogus", "--bit-length", "256")

        assert refused.returncode != 0
        assert "bogus" in refused.stderr


@pytest.fixture
def quickly_stored(product, key):
    """Stores a secret without a command; returns its ref."""
    barbican = connect.barbican(product.url, key)
    return lambda: barbican.secrets.create(payload="x").store()


class TestContainers:
    def test_create_get_list_delete(self, openstack, shown, secret):
        made = shown("secret", "container", "create", "--name", "c", "--secret", f"a={secret}")
        ref = made["Container href"]

        read = shown("secret", "container", "get", ref)
        assert (read["Name"], read["Type"], read["Secrets"]) == ("c", "generic", f"a={secret}")
        assert [each["Container href"] for each in shown("secret", "container", "list")] == [ref]
        openstack("secret", "container", "delete", ref)
        assert shown("secret", "container", "list") == []

    @pytest.mark.parametrize(
        ("kind", "parts"),
        [
            ("rsa", {"public_key": "Public Key", "private_key": "Private Key"}),
            (
                "certificate",
                {
                    "certificate": "Certificate",
                    "private_key": "Private Key",
                    "private_key_passphrase": "PK Passphrase",
                    "intermediates": "Intermediates",
                },
            ),
        ],
    )
    def test_of_a_type(self, shown, quickly_stored, kind, parts):
        refs = {name: quickly_stored() for name in parts}
        wanted = [option for name, ref in refs.items() for option in ("--secret", f"{name}={ref}")]

        made = shown(
            "secret", "container", "create", "--type", kind, *wanted, *only("Type", "Container href")
        )

        assert made["Type"] == kind
        read = shown("secret", "container", "get", made["Container href"], *only(*parts.values()))
        assert {name: read[column] for name, column in parts.items()} == refs


class TestCAs:
    def test_there_are_none_as_with_current_barbican(self, run):
        for done in (run("ca", "list"), run("ca", "get", UNKNOWN)):
            assert done.returncode != 0
            assert "Not Found" in done.stderr


class TestACL:
    def test_get_submit_add_remove_delete(self, openstack, shown, secret):
        assert shown("acl", "get", secret)[0]["Project Access"] is True

        (submitted,) = shown("acl", "submit", "--no-project-access", "--user", "u8", secret)
        assert (submitted["Project Access"], submitted["Users"]) == (False, ["u8"])
        (added,) = shown("acl", "user", "add", "--user", "u9", secret)
        assert added["Users"] == ["u8", "u9"]
        (removed,) = shown("acl", "user", "remove", "--user", "u8", secret)
        assert removed["Users"] == ["u9"]
        openstack("acl", "delete", secret)
        assert shown("acl", "get", secret)[0]["Users"] == []
