"""kill -9 of a rotation at each of its steps: the next run goes on, and everything opens."""

import os
import signal
import subprocess
import sys
from itertools import count

import pytest

from tests.support.product import CHECKOUT
from tests.support.remote import Remote
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

PKEKS, PAYLOADS, RUNS = "keyring_projectkek", "secrets_app_payload", "keyring_kekrun"
BEHIND = "mkek_id <> (SELECT id FROM keyring_mkek WHERE current_marker = 1)"
OLD = "pkek_id IN (SELECT id FROM keyring_projectkek WHERE active_marker IS NULL)"
numbers = count(2)


@pytest.fixture(scope="module")
def stored(product):
    """Secrets of four projects: who may read each, and what it holds."""
    found = []
    for project in ("p1", "p2", "p3", "p4"):
        caller = Remote(product, product.make_key(project=project, user="u", roles=["member"]))
        for number in range(3):
            text = f"secret {number} of {project}"
            found.append((caller, caller.store(text), text))
    return found


@pytest.fixture
def command(product):
    """Starts a management command in a process of its own, to be killed."""
    started = []

    def start(*arguments):
        log = (product.folder / "commands.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT, env=product.environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        started.append(process)
        return process

    yield start
    product.shim.clear()
    for process in started:
        if process.poll() is None:
            kill(process)


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def all_open(stored):
    for caller, path, text in stored:
        assert caller.get(f"{path}/payload").content == text.encode()
    return True


def killed_inside(product, process, function, *, done):
    """Kill it while it is inside ``function``, after ``done`` says that it has begun."""
    wait_until(lambda: done() or process.poll() is not None, 60)
    with product.shim.holding(function):
        wait_until(lambda: product.shim.held >= 1 or process.poll() is not None, 60)
        assert process.poll() is None, "it ended before it was killed"
        kill(process)


def killed_before_commit(rows, process, table, count):
    """Kill it while it waits to write what the token has made; return what ``count`` says then."""
    with rows.holding_writes_to(table):
        counted = count()
        wait_until(rows.somebody_waits)
        kill(process)
    return counted


class TestRewrap:
    @pytest.fixture
    def behind(self, product, stored, rows):
        """A new current MKEK, and all pKEKs under the former one."""
        label = f"killed-{next(numbers)}"
        product.manage("mkek_generate", "--label", label)
        product.manage("mkek_activate", label, "--yes")
        return rows.count(PKEKS, BEHIND)

    @pytest.mark.parametrize(
        "function", ["C_UnwrapKey", "C_WrapKey", "C_DestroyObject", "C_DecryptInit", "C_Decrypt"]
    )
    def test_inside_the_token(self, product, stored, rows, command, behind, function):
        process = command("mkek_rewrap", "--batch", "1", "--rate", "2")

        killed_inside(product, process, function, done=lambda: rows.count(PKEKS, BEHIND) < behind)

        assert all_open(stored)
        product.manage("mkek_rewrap")
        assert rows.count(PKEKS, BEHIND) == 0
        assert rows.count(RUNS, "state = 'running'") == 0
        assert all_open(stored)

    def test_between_the_token_and_the_commit(self, product, stored, rows, command, behind):
        process = command("mkek_rewrap", "--batch", "1", "--rate", "2")
        wait_until(lambda: rows.count(PKEKS, BEHIND) < behind, 60)
        assert killed_before_commit(rows, process, PKEKS, lambda: rows.count(PKEKS, BEHIND)) > 0

        assert all_open(stored)
        product.manage("mkek_rewrap")
        assert rows.count(PKEKS, BEHIND) == 0
        assert all_open(stored)


class TestReencrypt:
    @pytest.fixture
    def rotated(self, product, stored, rows):
        product.manage("pkek_rotate", "--all", "--yes")
        return rows.count(PAYLOADS, OLD)

    @pytest.mark.parametrize("function", ["C_DecryptInit", "C_Decrypt", "C_EncryptInit", "C_Encrypt"])
    def test_inside_the_token(self, product, stored, rows, command, rotated, function):
        process = command("pkek_reencrypt", "--batch", "1", "--rate", "3")

        killed_inside(product, process, function, done=lambda: rows.count(PAYLOADS, OLD) < rotated)

        assert all_open(stored)
        product.manage("pkek_reencrypt")
        assert rows.count(PAYLOADS, OLD) == 0
        assert all_open(stored)

    def test_between_the_token_and_the_commit(self, product, stored, rows, command, rotated):
        process = command("pkek_reencrypt", "--batch", "1", "--rate", "3")
        wait_until(lambda: rows.count(PAYLOADS, OLD) < rotated, 60)
        assert killed_before_commit(rows, process, PAYLOADS, lambda: rows.count(PAYLOADS, OLD)) > 0

        assert all_open(stored)
        product.manage("pkek_reencrypt")
        assert rows.count(PAYLOADS, OLD) == 0
        assert all_open(stored)

    def test_a_worker_that_is_killed_is_followed_by_another(self, product, stored, rows, rotated):
        product.manage("pkek_reencrypt", "--workers", "--batch", "1", "--rate", "1")
        wait_until(lambda: rows.count(PAYLOADS, OLD) < rotated, 60)
        with product.shim.holding("C_EncryptInit"):
            wait_until(lambda: product.shim.held >= 1)
            product.kill("worker")
        assert rows.count(PAYLOADS, OLD) > 0
        product.start("worker")

        wait_until(lambda: rows.count(PAYLOADS, OLD) == 0, 120)
        wait_until(lambda: rows.count(RUNS, "state IN ('queued', 'running')") == 0, 60)
        assert all_open(stored)


class TestRotate:
    @pytest.mark.parametrize("function", ["C_GenerateKey", "C_WrapKey", "C_UnwrapKey"])
    def test_inside_the_token_no_project_gets_two_new_keys(self, product, stored, rows, command, function):
        before = rows.count(PKEKS)
        projects = rows.count(PKEKS, "active_marker = 1")
        process = command("pkek_rotate", "--all", "--yes", "--batch", "1", "--rate", "2")

        killed_inside(product, process, function, done=lambda: rows.count(PKEKS) > before)

        assert all_open(stored)
        product.manage("pkek_rotate", "--all", "--yes")
        assert rows.count(PKEKS) == before + projects
        assert all_open(stored)

    def test_between_the_token_and_the_commit_neither(self, product, stored, rows, command):
        before = rows.count(PKEKS)
        projects = rows.count(PKEKS, "active_marker = 1")
        process = command("pkek_rotate", "--all", "--yes", "--batch", "1", "--rate", "2")
        wait_until(lambda: rows.count(PKEKS) > before, 60)
        assert killed_before_commit(rows, process, PKEKS, lambda: rows.count(PKEKS) - before) < projects

        assert all_open(stored)
        product.manage("pkek_rotate", "--all", "--yes")
        assert rows.count(PKEKS) == before + projects
        assert all_open(stored)
