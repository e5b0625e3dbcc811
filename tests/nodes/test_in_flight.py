import os
import signal
import subprocess
import sys

from keepsite.nodes.in_flight import InFlight, requests_in_flight

WORKS_FOR_EVER = """
import signal, sys
from pathlib import Path
from keepsite.nodes.in_flight import InFlight
counter = InFlight(Path(sys.argv[1]))
with counter, counter:
    print("busy", flush=True)
    signal.pause()
"""


def other_process(folder):
    process = subprocess.Popen([sys.executable, "-c", WORKS_FOR_EVER, folder], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_a_request_counts_while_it_is_under_way(tmp_path):
    counter = InFlight(tmp_path / "in-flight")

    with counter:
        during = requests_in_flight(tmp_path / "in-flight")

    assert (during, requests_in_flight(tmp_path / "in-flight")) == (1, 0)


def test_processes_are_added_up_and_dead_ones_forgotten(tmp_path):
    other = other_process(tmp_path)

    with InFlight(tmp_path):
        during = requests_in_flight(tmp_path)
        os.kill(other.pid, signal.SIGKILL)
        other.communicate()
        after = requests_in_flight(tmp_path)

    assert (during, after) == (3, 1)
    assert not (tmp_path / str(other.pid)).exists()


def test_a_child_counts_for_itself(tmp_path):
    counter = InFlight(tmp_path)
    with counter:
        child = os.fork()
        if child == 0:
            with counter:
                os._exit(requests_in_flight(tmp_path))

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_no_process_is_no_request(tmp_path):
    assert requests_in_flight(tmp_path / "none") == 0
