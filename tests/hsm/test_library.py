import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hsm.errors import ConfigInvalid
from tests.hsm.conftest import create_key
from tests.support.pkcs11_standins import SOFTHSM, Token

CHECKOUT = Path(__file__).resolve().parents[2]

# Without locking SoftHSM dies within moments; the same program with locking must end well.
THREADS = """
    import sys, threading, time
    from pathlib import Path
    from pkcs11 import _pkcs11
    from hsm import library
    from hsm.client import HSM
    from hsm.config import load_config
    from hsm.faults import CKR_OK, CallFailed
    from hsm.native import Native

    config, seconds, locking = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "locking"
    if not locking:  # what python-pkcs11 does by itself: C_Initialize(NULL)
        Native.initialize = lambda self: self._functions["C_Initialize"](None)
    hsm = HSM(load_config(Path(config), pool_size=8, wait_s=10, cache_max_keys=50))
    mkek = hsm.generate_mkek(label="m")
    make = lambda name: hsm.create_key(
        mkek_id=mkek.mkek_id, key_id=name, canary_plaintext=b"c", canary_aad=b"a")
    keys = [make(f"k{n}") for n in range(4)]
    until, failures = time.monotonic() + seconds, []

    def work(number):
        try:
            turn = 0
            while time.monotonic() < until:
                turn += 1
                key = make(f"{number}-{turn}") if turn % 10 == 0 else keys[turn % 4]
                sealed = hsm.encrypt(key, bytes(turn % 300), aad=b"x")
                assert hsm.decrypt(key, sealed, aad=b"x") == bytes(turn % 300)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    sys.exit(f"{len(failures)} threads failed: {failures[0]!r}" if failures else 0)
"""

FORK = """
    import os, sys
    from pathlib import Path
    from hsm.client import HSM
    from hsm.config import load_config
    from hsm.errors import ForkedHSM

    load = lambda: load_config(Path(sys.argv[1]), pool_size=2, wait_s=2, cache_max_keys=5)
    hsm = HSM(load())
    if sys.argv[2] == "started":
        hsm.start()
    child = os.fork()
    if child == 0:
        try:
            hsm.random(8) if sys.argv[3] == "same" else HSM(load()).random(8)
        except ForkedHSM as error:
            os._exit(3 if "before fork" in str(error) else 4)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    hsm.random(8)  # the parent is not hurt
    sys.exit(code)
"""


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        cwd=CHECKOUT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestLocking:
    def test_eight_threads_end_well(self, token):
        done = run(THREADS, token.config_file(), 4, "locking")

        assert (done.returncode, done.stderr) == (0, "")

    def test_without_it_the_same_program_fails(self, tmp_path, monkeypatch):
        for attempt in range(5):
            token = Token(tmp_path / f"without-{attempt}")
            monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))

            try:
                done = run(THREADS, token.config_file(), 4, "none")
            except subprocess.TimeoutExpired:
                return  # threads that wait for one another for good
            if done.returncode != 0:
                return
        pytest.fail("five runs without locking ended well: this test proves nothing any more")


class TestFork:
    @pytest.mark.parametrize("whose", ["same", "new"])
    def test_a_child_of_a_parent_that_started_is_refused(self, token, whose):
        assert run(FORK, token.config_file(), "started", whose).returncode == 3

    @pytest.mark.parametrize("whose", ["same", "new"])
    def test_a_child_of_a_parent_that_did_not_start_works(self, token, whose):
        done = run(FORK, token.config_file(), "idle", whose)

        assert done.returncode == 0, done.stderr


class TestOpenLibrary:
    @pytest.mark.parametrize(
        ("content", "why"), [(None, "missing"), (b"no module", "not a library")], ids=["missing", "text"]
    )
    def test_what_is_no_module_is_named(self, make_hsm, tmp_path, content, why):
        file = tmp_path / "m.so"
        if content:
            file.write_bytes(content)

        with pytest.raises(ConfigInvalid, match=r"m\.so cannot be loaded"):
            make_hsm(module=file).start()

    def test_a_library_without_pkcs11_is_refused(self, make_hsm):
        import _ctypes

        with pytest.raises(ConfigInvalid, match="C_GetFunctionList"):
            make_hsm(module=_ctypes.__file__).start()

    def test_two_modules_serve_side_by_side(self, hsm, mkek, make_hsm, tmp_path, monkeypatch):
        first = create_key(hsm, mkek)
        second_token = Token(tmp_path / "second", label="second")
        monkeypatch.setenv("SOFTHSM2_CONF", str(second_token.conf))
        from hsm.client import HSM
        from hsm.config import load_config

        second = HSM(load_config(second_token.config_file(), pool_size=2, wait_s=1, cache_max_keys=5))
        key = create_key(second, second.generate_mkek(label="other"))

        assert second.decrypt(key, second.encrypt(key, b"b", aad=b""), aad=b"") == b"b"
        assert hsm.decrypt(first, hsm.encrypt(first, b"a", aad=b""), aad=b"") == b"a"
        assert [found.label for found in hsm.mkeks()] == [mkek.label]
        second.close()
        assert hsm.random(3)

    def test_closing_one_of_two_users_leaves_the_module_to_the_other(self, hsm, key, make_hsm):
        other = make_hsm()
        other.start()
        other.close()

        assert hsm.decrypt(key, hsm.encrypt(key, b"a", aad=b""), aad=b"") == b"a"

    def test_softhsm_is_where_these_tests_expect_it(self):
        assert SOFTHSM.exists()
