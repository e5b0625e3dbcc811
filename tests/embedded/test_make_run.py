import re
import signal
import stat
import subprocess
from textwrap import dedent

import pytest

from tests.support.embedded import CHECKOUT, alive, clean_environment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes


def printed(output, start, end):
    """The lines of the banner between two of its headings, as a person copies them."""
    return dedent(output.split(start, 1)[1].split(end, 1)[0]).strip()


def shell(script):
    return subprocess.run(
        ["sh", "-c", script],
        cwd="/",
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def curl_example(output):
    return printed(output, "with curl:", "The same in Python")


def python_example(output):
    return printed(output, "python-barbicanclient:", "Keepsite's own commands")


def said(run):
    """What a run that is expected to refuse says."""
    run.launch()
    assert run.process.wait(60) == 1
    return run.output


class TestFirstRun:
    def test_printed_curl_stores_and_reads_a_secret(self, embedded):
        answer = shell(curl_example(embedded.output))

        assert answer.stdout.strip() == "my first secret", answer

    def test_printed_python_stores_and_reads_a_secret(self, embedded):
        answer = shell(python_example(embedded.output))

        assert answer.stdout.strip() == "my first secret", answer.stderr

    def test_printed_commands_work_on_the_same_state(self, embedded):
        answer = shell(printed(embedded.output, "on the same state:", "Stop:").replace(" help", " hsm_check"))

        assert answer.returncode == 0, answer.stderr

    def test_a_placed_order_becomes_active(self, embedded):
        order = (
            '{"type": "key", "meta": {"algorithm": "aes", "bit_length": 256, '
            '"payload_content_type": "application/octet-stream"}}'
        )
        header = f'-H "X-Auth-Token: $(cat {embedded.state}/api-key)"'
        placed = shell(
            f"curl -sS {embedded.url}/v1/orders {header} -H 'Content-Type: application/json' -d '{order}'"
        )
        ref = re.search(r'"order_ref": *"([^"]+)"', placed.stdout).group(1)

        wait_until(lambda: '"ACTIVE"' in shell(f"curl -sS {ref} {header}").stdout, 30)

    def test_operator_gets_a_one_time_password(self, embedded):
        assert re.search(r"user operator, one-time password \S{12,}", embedded.output)


class TestSecrecy:
    def test_state_is_private_to_the_user(self, embedded):
        served = embedded.state / "static"  # style sheets, which anybody may fetch
        readable = [
            path
            for path in [embedded.state, *embedded.state.rglob("*")]
            if served not in path.parents and path.stat().st_mode & 0o077
        ]

        assert stat.S_IMODE(embedded.state.stat().st_mode) == 0o700
        assert not readable

    @pytest.mark.parametrize("name", ["pin", "so-pin", "secret-key", "api-key"])
    def test_no_process_shows_a_secret(self, embedded, name):
        secret = (embedded.state / name).read_text().strip()

        for process in embedded.family():
            shown = [*process.cmdline(), *process.environ().values()]
            assert not [word for word in shown if secret in word], process

    @pytest.mark.parametrize("name", ["pin", "so-pin", "secret-key", "api-key"])
    def test_no_secret_is_printed_or_logged(self, embedded, name):
        secret = (embedded.state / name).read_text().strip()

        assert secret not in embedded.output
        for log in (embedded.state / "logs").iterdir():
            assert secret not in log.read_text()

    def test_one_time_password_is_not_kept(self, embedded):
        password = re.search(r"one-time password (\S+)", embedded.output).group(1).encode()

        kept = [
            path for path in embedded.state.rglob("*") if path.is_file() and password in path.read_bytes()
        ]

        assert not kept


class TestWhileOneRuns:
    def test_second_run_on_the_same_state_says_so(self, embedded, fresh):
        words = said(fresh(embedded.state.with_name("state"), bind="127.0.0.1:1"))

        assert f"Keepsite is running on {embedded.state} (process {embedded.process.pid})" in words

    def test_taken_port_is_named_with_the_way_out(self, embedded, fresh):
        words = said(fresh(bind=embedded.bind))

        assert f"Port {embedded.bind.split(':')[1]} is taken" in words
        assert "KEEPSITE_BIND=" in words
        assert "Starting" not in words


class TestStop:
    def test_ctrl_c_leaves_no_process_and_a_second_run_goes_on(self, fresh):
        first = fresh().start()
        family = first.family()
        shell(curl_example(first.output))
        kept = {name: (first.state / name).read_bytes() for name in ("pin", "api-key", "secret-key")}

        code = first.interrupt()
        second = fresh().start()

        assert code == 0
        assert not alive(family)
        assert kept == {name: (second.state / name).read_bytes() for name in kept}
        assert "password" not in second.output
        assert shell(curl_example(second.output)).stdout.strip() == "my first secret"
        assert shell(list_of_secrets(second)).stdout.count('"secret_ref"') == 2

    def test_a_process_that_dies_ends_all_and_shows_its_log(self, fresh):
        running = fresh().start()
        family = running.family()
        worker = next(
            process for process in family if "celery" in process.cmdline() and "worker" in process.cmdline()
        )

        worker.send_signal(signal.SIGKILL)

        assert running.process.wait(60) == 1
        assert "The worker was ended by SIGKILL" in running.output
        assert "worker.log" in running.output
        assert not alive(family)

    def test_killed_runner_takes_its_processes_along(self, fresh):
        running = fresh().start()
        family = running.family()

        running.process.kill()
        running.process.wait()

        wait_until(lambda: not alive(family), 60)


class TestShell:
    def test_variables_of_another_deployment_are_named_and_not_used(self, tmp_path):
        state = tmp_path / "state"
        database = tmp_path / "production.sqlite3"
        env = clean_environment(
            KEEPSITE_STATE_DIR=str(state),
            KEEPSITE_DATABASE_URL=f"sqlite:///{database}",
            KEEPSITE_BIND="nonsense",
        )

        done = subprocess.run(
            ["python3", "deploy/embedded/run.py"],
            cwd=CHECKOUT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert "KEEPSITE_BIND is 'nonsense'; it must be host:port" in done.stderr
        assert not database.exists()

    def test_folder_with_other_files_is_refused_and_left_alone(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        tmp_path.chmod(0o755)

        done = subprocess.run(
            ["python3", "deploy/embedded/run.py"],
            cwd=CHECKOUT,
            env=clean_environment(KEEPSITE_STATE_DIR=str(tmp_path)),
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert "not Keepsite's state" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def list_of_secrets(running):
    return f'curl -sS {running.url}/v1/secrets -H "X-Auth-Token: $(cat {running.state}/api-key)"'
