import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.support.servers.ports import free_ports
from tests.support.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60


def clean_environment(**extra):
    """The shell's environment without what the test run has set for its own purposes."""
    foreign = ("KEEPSITE_", "DJANGO_", "SOFTHSM2_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | extra


class Embedded:
    """What `make run` starts, on a folder and port of its own."""

    def __init__(self, state, bind=None):
        self.state = Path(state)
        self.bind = bind or f"127.0.0.1:{free_ports(1)[0]}"
        self.url = f"http://{self.bind}"
        self.output_file = self.state.with_name(f"{self.state.name}.output")
        self.process = None

    @property
    def output(self):
        return self.output_file.read_text()

    def launch(self):
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "deploy/embedded/run.py"],
                cwd=CHECKOUT,
                env=clean_environment(KEEPSITE_STATE_DIR=str(self.state), KEEPSITE_BIND=self.bind),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self

    def start(self):
        self.launch()
        wait_until(lambda: "Stop: Ctrl-C" in self.output or self.process.poll() is not None, START_TIMEOUT_S)
        assert self.process.poll() is None, self.output
        return self

    def family(self):
        """Every process it started, and itself."""
        runner = psutil.Process(self.process.pid)
        return [runner, *runner.children(recursive=True)]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_TIMEOUT_S)

    def stop(self):
        if self.process.poll() is None:
            self.interrupt()


def alive(processes):
    """Those that still run; one that ended and waits for its parent to notice does not."""
    return [process for process in processes if _runs(process)]


def _runs(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
