"""The product's processes while HSM calls hang, members die, or a parent has loaded the module."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.support import pkcs11_standins
from tests.support.pkcs11_standins import NetworkHSM, Shim, Token
from tests.support.product import CHECKOUT, Product
from tests.support.remote import Remote
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

PRELOADED = "tests.support.preloading:application"


def children(product, name):
    return {child.pid for child in psutil.Process(product.processes[name].pid).children()}


@pytest.fixture
def shimmed(tmp_path):
    """The product before a shim that can hold its calls; calls that hang for 3 s are taken for lost."""
    product = Product(tmp_path / "state", KEEPSITE_THREADS="4")
    shim = Shim(tmp_path, product.token.module)
    product.token.config_file(shim.module, extra="hard_hang_s = 3")
    product.setup()
    try:
        yield product, shim
    finally:
        shim.clear()
        product.stop()


class TestHangingCalls:
    def test_the_api_process_is_replaced_and_metadata_is_served_by_the_next(self, shimmed):
        product, shim = shimmed
        product.start("api")
        remote = Remote(product)
        path = remote.store("payload")
        assert remote.get(f"{path}/payload").content == b"payload"
        (first,) = children(product, "api")

        with shim.holding("C_DecryptInit"):
            reader = subprocess.Popen(
                [
                    "curl",
                    "-s",
                    "-m",
                    "60",
                    "-H",
                    f"X-Auth-Token: {product.key}",
                    f"{product.url}{path}/payload",
                ],
                stdout=subprocess.DEVNULL,
            )
            wait_until(lambda: shim.held >= 1)
            wait_until(lambda: first not in children(product, "api"), 60)
            reader.wait(60)
            wait_until(lambda: remote.get(path).status == 200)
        assert remote.get(f"{path}/payload").content == b"payload"
        assert "this process is to be replaced" in (product.folder / "api.log").read_text()

    def test_a_celery_child_is_replaced_and_its_order_is_done_once_by_the_next(self, shimmed):
        product, shim = shimmed
        product.start("api", "relay")
        remote = Remote(product)
        remote.store("makes the project's key")
        product.start("worker")
        order = remote.order_key()
        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 40)
        (first,) = children(product, "worker")

        with shim.holding("C_GenerateRandom"):
            order = remote.order_key()
            wait_until(lambda: shim.held >= 1)
            wait_until(lambda: first not in children(product, "worker"), 40)
        wait_until(lambda: remote.get(order).json()["status"] == "ACTIVE", 90)
        assert "worker.replaced" in (product.folder / "worker.log").read_text()


class TestForking:
    """A module is loaded after the fork, or not at all."""

    @pytest.fixture
    def product(self, tmp_path):
        product = Product(tmp_path / "state").setup()
        yield product
        product.stop()

    def run(self, product, *arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=CHECKOUT, env=product.environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def test_gunicorn_preloading_an_application_that_used_the_hsm_refuses_to_fork(self, product):
        done = self.run(product, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--preload", PRELOADED)

        assert done.returncode != 0
        assert "was loaded before fork" in done.stderr

    def test_gunicorn_preloading_the_product_itself_loads_no_module(self, product):
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--preload", "keepsite.wsgi"],
            cwd=CHECKOUT, env=product.environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        product.processes["api"] = process
        try:
            wait_until(product.is_healthy)
            remote = Remote(product)
            assert remote.get(f"{remote.store('x')}/payload").content == b"x"
            assert mapped_modules(process.pid) == set()
            (child,) = children(product, "api")
            assert mapped_modules(child) == {str(product.token.module)}
        finally:
            product.kill("api")

    def test_a_celery_parent_that_used_the_hsm_refuses_to_fork(self, product):
        done = self.run(
            product,
            "-c",
            "import tests.support.preloading as preloading; from celery.__main__ import main; "
            "import sys; sys.argv = ['celery', '-A', 'keepsite', 'worker', '--concurrency', '1']; main()",
        )

        assert done.returncode != 0
        assert "was loaded before fork" in done.stdout + done.stderr

    def test_neither_parent_of_the_running_product_has_the_module(self, product):
        product.start("api", "worker")
        remote = Remote(product)
        remote.store("x")

        assert mapped_modules(product.processes["api"].pid) == set()
        assert mapped_modules(product.processes["worker"].pid) == set()


class TestWrongPin:
    def test_all_processes_together_try_it_once(self, tmp_path):
        product = Product(tmp_path / "state", KEEPSITE_WORKERS="3")
        shim = Shim(tmp_path, product.token.module)
        product.token.config_file(shim.module)
        product.setup()
        product.token.pin_file.write_text("9999\n")
        before = shim.calls()["C_Login"]
        try:
            product.start("api", "worker")
            log = product.folder / "api.log"
            wait_until(lambda: log.read_text().count("startup.token_not_ready") == 3)
            wait_until(lambda: "startup.token_not_ready" in (product.folder / "worker.log").read_text())
        finally:
            product.stop()

        assert shim.calls()["C_Login"] - before == 1


class TestTwoAppliances:
    @pytest.fixture
    def pair(self, tmp_path):
        """The product before two appliances, each a process with a token of its own, cloned."""
        product = Product(tmp_path / "state", KEEPSITE_WORKERS="2")
        product.setup()
        appliances = {}
        for name in "ab":
            folder = tmp_path / name
            folder.mkdir()
            appliances[name] = NetworkHSM(
                folder, clone_of(product.token, folder), timeout_ms=1000, sticky=True
            )
            appliances[name].start()
        Path(product.environment["KEEPSITE_HSM_CONFIG"]).write_text(
            # A busy machine is slow, but nobody is away.
            'profile = "softhsm"\nbudget_ms = 10000\nheartbeat_s = 1\n'
            + "".join(
                pkcs11_standins.member(name, one.module, product.token) for name, one in appliances.items()
            )
        )
        try:
            yield product.start("api"), appliances
        finally:
            for appliance in appliances.values():
                appliance.go_on()
            product.stop()
            for appliance in appliances.values():
                appliance.kill()

    def test_clients_notice_nothing_until_both_are_gone_and_then_are_told_when_to_come_back(self, pair):
        product, appliances = pair
        remote = Remote(product)
        path = remote.store("payload")

        def payloads(count=20):
            return [remote.get(f"{path}/payload").content for _ in range(count)]

        assert payloads() == [b"payload"] * 20
        appliances["a"].kill()
        assert payloads() == [b"payload"] * 20
        wait_until(lambda: ups(product, "a") == 0, 90)  # that process too that none of these reached
        appliances["a"].start()
        wait_until(lambda: ups(product, "a") == 2, 90)
        appliances["b"].stop()
        assert payloads() == [b"payload"] * 20
        wait_until(lambda: ups(product, "b") == 0, 90)
        appliances["b"].go_on()
        wait_until(lambda: ups(product, "b") == 2, 90)
        for appliance in appliances.values():
            appliance.kill()

        refused = [remote.get(f"{path}/payload") for _ in range(10)]
        assert {answer.status for answer in refused} == {503}
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert remote.get(path).status == 200
        assert urllib.request.urlopen(f"{product.url}/healthcheck").status == 200

        for appliance in appliances.values():
            appliance.start()
        wait_until(lambda: remote.get(f"{path}/payload").status == 200, 90)
        wait_until(lambda: ups(product, "a") == ups(product, "b") == 2, 90)
        assert payloads() == [b"payload"] * 20


def clone_of(token, folder):
    """A token with the same keys, label and serial, in a folder of its own."""
    clone = Token.__new__(Token)
    clone.__dict__.update(token.__dict__)
    subprocess.run(["cp", "-a", token.folder / "tokens", token.module, folder], check=True)
    clone.folder, clone.module, clone.conf = folder, folder / token.module.name, folder / "softhsm2.conf"
    clone.conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\n")
    clone.environment = {"SOFTHSM2_CONF": str(clone.conf)}
    return clone


def ups(product, member):
    """How many API processes see a member up, as /metrics tells."""
    text = urllib.request.urlopen(f"{product.url}/metrics").read().decode()
    wanted = f'keepsite_hsm_member_processes{{member="{member}",state="up"}} '
    return sum(float(line.removeprefix(wanted)) for line in text.splitlines() if line.startswith(wanted))


def mapped_modules(pid):
    """PKCS#11 modules in a process's memory."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {line.split()[-1] for line in maps.splitlines() if "softhsm" in line and line.endswith(".so")}
