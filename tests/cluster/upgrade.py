"""``make prove-upgrade PREVIOUS=<commit>``: the previous release on this release's schema, and beside it.

The previous release makes a database and fills it; this release migrates it while the previous one serves;
then both serve at once, as blue and green do, each reading what the other stores and fulfilling what the
other orders; at last this one alone.  Both run on the packages of this release.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from contextlib import ExitStack
from pathlib import Path

from tests.support.product import CHECKOUT, Product
from tests.support.remote import Remote
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.waiting import wait_until

SECRETS = 20
FIRST_SETUP = "tests/support/first_setup.py"
OWN = ("KEEPSITE_STATE_DIR", "KEEPSITE_BIND")  # what two nodes of a site do not share


class Traffic:
    """What was acknowledged, by whichever release, and whether every release still gives it back."""

    def __init__(self):
        self.payloads = {}
        self.orders = []
        self.deleted = []

    def store(self, remote, by):
        for number in range(SECRETS):
            text = f"{by} {number}"
            self.payloads[remote.store(text, name=text)] = text
        first = remote.store(f"{by}, deleted")
        _expect(remote.call("DELETE", first), 204)
        self.deleted.append(first)
        path = next(iter(self.payloads))
        _expect(remote.call("PUT", f"{path}/metadata", {"metadata": {"by": by}}), 201)
        _expect(remote.call("PUT", f"{path}/acl", {"read": {"users": [by], "project-access": True}}), 200)
        self.orders += [remote.order_key() for _ in range(SECRETS)]

    def read(self, remote):
        for path, text in self.payloads.items():
            answer = remote.get(f"{path}/payload", Accept="text/plain")
            if answer.content != text.encode():
                raise AssertionError(
                    f"{path} answers {answer.status} {answer.content!r} in place of {text!r}"
                )
        for path in self.deleted:
            _expect(remote.get(path), 404)
        for path in self.orders:
            wait_until(lambda path=path: remote.get(path).json()["status"] == "ACTIVE", 60)
            secret = remote.get(path).json()["secret_ref"].removeprefix(remote.product.url)
            secret = urllib.parse.urlsplit(secret).path
            key = _expect(remote.get(f"{secret}/payload", Accept="application/octet-stream"), 200)
            if len(key.content) != 32:
                raise AssertionError(f"{secret} holds {len(key.content)} bytes in place of 32")
        _expect(remote.get("/v1/secrets?limit=100"), 200)
        _expect(remote.get("/v1/orders?limit=100"), 200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("previous", help="a commit of the previous release")
    wanted = parser.parse_args().previous
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keepsite-upgrade-")))
        database, broker = stack.enter_context(MariaDB()), stack.enter_context(RabbitMQ())
        servers = {"database_url": database.url, "broker_url": broker.url}
        old = Product(folder / "old", checkout=_export(wanted, folder / "release"), **servers)
        old.environment["KEEPSITE_NODE_NAME"] = "old"
        del old.environment["KEEPSITE_AUDIT_SEAL_S"]  # which tests that count calls need
        configuration = Path(old.environment["KEEPSITE_HSM_CONFIG"])
        configuration.write_text(
            configuration.read_text().replace("heartbeat_s = 3600\n", "")
        )  # may be too new
        stack.callback(old.stop)
        traffic = Traffic()

        _say(f"{wanted} sets up, starts and is filled")
        old.setup().start()
        before = Remote(old)
        traffic.store(before, "before")
        traffic.read(before)

        _say("this release migrates the database while the previous one serves")
        new = Product(folder / "new", **servers)
        own = {name: new.environment[name] for name in OWN} | {"KEEPSITE_NODE_NAME": "new"}
        new.environment = old.environment | own
        new.key = old.key
        stack.callback(new.stop)
        new.manage("migrate", "--verbosity", "0")
        traffic.store(before, "before, on the new schema")
        traffic.read(before)

        _say("the previous release starts anew on the new schema")
        old.stop()
        old.start()
        traffic.store(before, "before, started on the new schema")
        traffic.read(before)

        _say("both serve; the previous one fulfils, then this one too")
        new.start("api")
        after = Remote(new)
        traffic.store(after, "after, fulfilled by the one before")
        traffic.read(after)
        new.start("relay", "worker")
        for remote, by in ((before, "before, beside"), (after, "after, beside")):
            traffic.store(remote, by)
        for remote in (before, after):
            traffic.read(remote)

        _say("this release alone")
        old.stop()
        traffic.store(after, "after, alone")
        traffic.read(after)
        print(new.manage("audit_verify", check=False).strip().splitlines()[-1])
    _say(f"{len(traffic.payloads)} secrets and {len(traffic.orders)} orders of both releases: all read back")


def _export(commit, folder):
    """Write the files of a commit into a folder; the folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, capture_output=True, check=False)
    if archive.returncode:
        sys.exit(f"{commit} is no commit of this repository: {archive.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    shutil.copy(CHECKOUT / FIRST_SETUP, folder / FIRST_SETUP)
    return folder


def _expect(answer, status):
    if answer.status != status:
        raise AssertionError(f"{answer.status} in place of {status}: {answer.content[:300]!r}")
    return answer


def _say(text):
    print(f"- {text}", flush=True)


if __name__ == "__main__":
    main()
