"""``make run``: Keepsite on one machine, from nothing to a working example.

Prepares the state folder, then starts the API, one worker and the order relay, waits
until they serve, says how to use them, and ends them on Ctrl-C.  Everything it needs
from Debian and PyPI is there when this starts (``packages.sh``, ``venv.sh``).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from banner import banner
from environment import DEFAULT_BIND, embedded_variables, overruled, process_environment
from health import Address
from processes import LOG_TAIL_LINES, Plan, Process, stop_all
from softhsm import ensure_token, find_module, write_configuration
from state import (
    CHECKOUT,
    StateFolder,
    StateRefused,
    chosen_folder,
    hold_lock,
    keep_secret_key,
    make_subfolders,
    prepare_folder,
    write_environment,
)

HEALTHY_TIMEOUT_S = 60.0
POLL_S = 0.2
PYTHON = sys.executable
PLANS = (
    Plan(
        name="API",
        command=[PYTHON, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "keepsite.wsgi"],
        stop_timeout_s=35,  # gunicorn's graceful_timeout and a little
    ),
    Plan(name="relay", command=[PYTHON, "manage.py", "order_relay"], stop_timeout_s=10),
    Plan(
        name="worker",
        command=[
            *(PYTHON, "-m", "celery", "-A", "keepsite", "worker"),
            *("--concurrency", "1", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        stop_timeout_s=30,  # an order under way may finish
    ),
)


class StepFailed(Exception):
    """Something that had to work did not; the message holds what a person needs to know."""


class Stopped(Exception):
    """Someone asked us to end before we were ready."""


class StopRequest:
    """Ctrl-C, SIGTERM or a closed terminal, remembered until the main loop looks."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._asked.set())

    def check(self) -> None:
        """Raise ``Stopped`` if it came."""
        if self._asked.is_set():
            raise Stopped

    def came_within(self, seconds: float) -> bool:
        """Wait for it; whether it came."""
        return self._asked.wait(seconds)


def main() -> int:
    """Prepare, serve, stop; 0 unless something failed."""
    os.umask(0o077)
    stop = StopRequest()
    bind = os.environ.get("KEEPSITE_BIND", DEFAULT_BIND)
    state = chosen_folder()
    try:
        is_new = prepare_folder(state)
        with hold_lock(state):
            address = free_address(bind)
            say(f"{'Creating' if is_new else 'Using'} the state folder {state.path}")
            variables = embedded_variables(state, bind)
            for name in overruled(variables):
                say(f"Note: {name} from your shell is not used; `make run` has its own in the state folder.")
            manage = Manage(state, variables, stop)
            prepare(state, variables, manage)
            return serve(state, address, manage, stop)
    except Stopped:
        say("Stopped before Keepsite was up. `make run` goes on from here.")
        return 0
    except (StateRefused, StepFailed, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def free_address(bind: str) -> Address:
    """Where to serve; asked before anything is changed or started.

    Raises:
        StepFailed: somebody serves there already.
    """
    address = Address.parse(bind)
    if address.is_taken():
        raise StepFailed(
            f"Port {address.port} is taken: another program listens on {bind}, perhaps another Keepsite. "
            "Stop it, or choose another address: KEEPSITE_BIND=127.0.0.1:9312 make run"
        )
    return address


class Manage:
    """Runs the product's commands on the state folder, one sentence each; the detail goes to setup.log."""

    def __init__(self, state: StateFolder, variables: Mapping[str, str], stop: StopRequest) -> None:
        self.env = process_environment(variables)
        self._log = state.logs / "setup.log"
        self._stop = stop

    def __call__(self, sentence: str, *command: str) -> str:
        """Return what the command printed.

        Raises:
            StepFailed: it failed; the message ends with its last words.
            Stopped: it was interrupted, or not even begun.
        """
        self._stop.check()
        say(sentence)
        done = subprocess.run(
            [PYTHON, "manage.py", *command],
            cwd=CHECKOUT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        with self._log.open("a") as log:  # stdout may hold a secret
            log.write(f"manage.py {command[0]}: exit code {done.returncode}\n{done.stderr}")
        if done.returncode:
            self._stop.check()
            last_words = "\n".join(f"  | {line}" for line in done.stderr.splitlines()[-LOG_TAIL_LINES:])
            raise StepFailed(f"That failed (manage.py {' '.join(command)}):\n{last_words}")
        return done.stdout


def prepare(state: StateFolder, variables: Mapping[str, str], manage: Manage) -> None:
    """Bring the state folder to what this checkout needs; each step finds its work done on the next run."""
    module = find_module()
    make_subfolders(state)
    keep_secret_key(state)
    write_configuration(state, module)
    write_environment(state, dict(variables))
    if ensure_token(state, module):
        say("Initialised a SoftHSM token with a fresh random PIN")
    manage("Bringing the database up to date", "migrate", "--noinput")
    manage("Collecting the console's style sheets", "collectstatic", "--noinput")
    label = f"keepsite-mkek-{datetime.now(UTC):%Y%m%d-%H%M%S}"  # new for every try, should one break off
    manage(
        "Making sure there is a master key (MKEK)",
        *("mkek_generate", "--label", label, "--activate", "--if-missing"),
    )
    manage("Checking the token", "hsm_check")
    if not state.api_key.exists():
        make_api_key(state, manage)


def make_api_key(state: StateFolder, manage: Manage) -> None:
    """The first project and a key to it; the file takes its name when the key is good."""
    unfinished = state.path / "api-key.new"
    unfinished.unlink(missing_ok=True)
    manage(
        "Making the first project and its API key",
        *("api_key", "create", "--project", "first-project", "--user", "first-user"),
        *("--role", "member", "--role", "creator", "--name", "first", "--output", str(unfinished)),
    )
    unfinished.rename(state.api_key)


def serve(state: StateFolder, address: Address, manage: Manage, stop: StopRequest) -> int:
    """Run the processes until someone asks us to stop or one of them dies; the exit code."""
    processes: list[Process] = []
    say("Starting the API, the order relay and one worker")
    try:
        for plan in PLANS:
            log = state.logs / f"{plan.name.lower()}.log"
            processes.append(Process(plan, log=log, env=manage.env, folder=CHECKOUT))
        wait_until_healthy(address, processes, stop)
        # Last, and shown at once: the password is nowhere else.
        operator = manage(
            "Making sure there is an operator",
            *("operator", "create", "--username", "operator", "--if-missing"),
        )
        say(banner(state, address.url, operator=json.loads(operator)))
        while not stop.came_within(POLL_S):
            check_alive(processes)
    finally:
        say("\nStopping ...")
        stop_all(processes)  # the API first: nothing new comes in while the rest finishes
    say("Stopped. Your secrets are kept; `make run` starts again.")
    return 0


def wait_until_healthy(address: Address, processes: list[Process], stop: StopRequest) -> None:
    """Return once the API answers and nothing has died.

    Raises:
        StepFailed: a process ended, or the API stayed silent.
        Stopped: someone asked.
    """
    waited_s = 0.0
    while not address.is_healthy():
        stop.check()
        check_alive(processes)
        if waited_s > HEALTHY_TIMEOUT_S:
            api = processes[0]
            raise StepFailed(
                f"{address.url}/healthcheck is not good after {HEALTHY_TIMEOUT_S:.0f} s. "
                f"The end of {api.log}:\n{api.log_tail()}"
            )
        stop.came_within(POLL_S)
        waited_s += POLL_S


def check_alive(processes: list[Process]) -> None:
    """Raise ``StepFailed``, with the end of its log, for a process that is gone."""
    for process in processes:
        if process.has_ended:
            raise StepFailed(process.describe_end())


def say(sentence: str) -> None:
    """Print, unless the terminal is gone: then there is still something to stop."""
    with contextlib.suppress(OSError):
        print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
