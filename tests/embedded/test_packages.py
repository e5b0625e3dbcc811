import subprocess

import pytest

from tests.support.embedded import CHECKOUT, clean_environment

DPKG_QUERY = """
for package; do :; done
case " {installed} " in
    *" $package "*) printf 'install ok installed' ;;
    *) exit 1 ;;
esac
"""


@pytest.fixture
def machine(tmp_path):
    """A machine of our choosing: stand-ins for the three programs that decide what the script does."""

    def make(*, installed, user_id):
        programs = {
            "dpkg-query": DPKG_QUERY.format(installed=installed),
            "id": f'[ "$1" = -u ] && echo {user_id} || echo alice',
            "apt-get": f'echo "$@" >>{tmp_path}/apt-get.calls',
            "sudo": "exit 1",
        }
        folder = tmp_path / "bin"
        folder.mkdir()
        for name, body in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name).chmod(0o755)
        return clean_environment(PATH=f"{folder}:/usr/bin:/bin", PYTHON="")

    return make


def packages(purpose, env):
    return subprocess.run(
        ["deploy/embedded/packages.sh", purpose],
        cwd=CHECKOUT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


class TestPackages:
    def test_says_what_is_missing_and_why_and_who_can_install_it(self, machine, tmp_path):
        env = machine(installed="python3-venv python3-dev gcc libc6-dev pkg-config curl", user_id=1000)

        done = packages("run", env)

        assert done.returncode == 1
        assert "softhsm2             the software token" in done.stdout
        assert "libmariadb-dev" in done.stdout
        assert "gcc" not in done.stdout
        assert f"sudo {CHECKOUT}/deploy/embedded/packages.sh run" in done.stdout
        assert not (tmp_path / "apt-get.calls").exists()

    def test_tests_need_servers_that_running_does_not(self, machine):
        env = machine(installed="", user_id=1000)

        run, test = packages("run", env).stdout, packages("test", env).stdout

        for name in ("mariadb-server-core", "rabbitmq-server", "chromium"):
            assert name not in run
            assert name in test

    def test_own_interpreter_needs_no_python_packages(self, machine):
        env = machine(installed="", user_id=1000) | {"PYTHON": "/opt/python/bin/python3"}

        assert "python3-" not in packages("run", env).stdout

    def test_nothing_missing_says_nothing(self, machine):
        env = machine(
            installed="python3-venv python3-dev gcc libc6-dev pkg-config libmariadb-dev softhsm2 curl",
            user_id=1000,
        )

        done = packages("run", env)

        assert (done.returncode, done.stdout) == (0, "")
