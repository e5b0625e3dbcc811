import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.errors import ConfigInvalid

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from pathlib import Path
from hsm.client import HSM
from hsm.config import load_config
from hsm.errors import LoginRefused
hsm = HSM(load_config(Path(sys.argv[1]), pool_size=2, wait_s=2, cache_max_keys=5))
sys.stdin.readline()
try:
    hsm.start()
except LoginRefused:
    sys.exit(3)
"""


def start(token, shim):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(token.config_file(shim.module))],
        cwd=CHECKOUT,
        env=os.environ,
        stdin=subprocess.PIPE,
    )


class TestLogIn:
    def test_five_processes_at_once_try_a_wrong_pin_once_in_all(self, token, shim):
        token.pin_file.write_text("9999")
        processes = [start(token, shim) for _ in range(5)]

        for process in processes:
            process.stdin.write(b"go\n")
            process.stdin.close()

        assert [process.wait(30) for process in processes] == [3] * 5
        assert shim.calls()["C_Login"] == 1

    def test_a_marker_that_cannot_be_read_counts_as_a_refusal(self, make_hsm, shim, token, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError

        hsm = make_hsm()
        monkeypatch.setattr(Path, "read_text", refuse)

        with pytest.raises(Exception, match="refused before"):
            hsm.start()
        assert "C_Login" not in shim.calls()

    def test_a_lock_that_cannot_be_opened_is_named(self, make_hsm, token):
        hsm = make_hsm()
        (token.folder / "login-lock-a").mkdir()

        with pytest.raises(ConfigInvalid, match="login-lock-a"):
            hsm.start()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    @pytest.mark.parametrize(("folder", "lock"), [(0o700, 0o600), (0o2770, 0o660), (0o755, 0o644)])
    def test_who_may_use_its_folder_may_lock_a_lock_that_root_made(self, make_hsm, token, folder, lock):
        os.chown(token.folder, 65534, 65534)
        token.folder.chmod(folder)
        former = os.umask(0o077)
        try:
            make_hsm().start()
        finally:
            os.umask(former)

        made = (token.folder / "login-lock-a").stat()
        assert (made.st_mode & 0o777, made.st_uid, made.st_gid) == (lock, 65534, 65534)

    def test_a_folder_that_nobody_may_write_to_is_no_obstacle(self, make_hsm, token, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        hsm = make_hsm()

        hsm.start()

        assert not (token.folder / "login-lock-a").exists()
        hsm.config.members[0].pin.lock_path.unlink()
