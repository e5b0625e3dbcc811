import threading

import pytest

from keepsite.nodes import state_file
from keepsite.nodes.states import ALL_STATES, DOWN, Colour, NodeState


@pytest.mark.parametrize("state", ALL_STATES, ids=str)
def test_what_is_written_is_read(tmp_path, state):
    state_file.write(tmp_path / "state", state)

    assert state_file.read(tmp_path / "state") == state


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"green up",
        b"green",
        b"green up\nblue up\n",
        b"GREEN UP\n",
        b"\xff\xfe\n",
        b"green up" + b" " * 99,
    ],
)
def test_damage_puts_no_node_in_service(tmp_path, content):
    (tmp_path / "state").write_bytes(content)

    assert state_file.read(tmp_path / "state") == DOWN


def test_a_missing_file_or_a_folder_in_its_place_is_down(tmp_path):
    assert state_file.read(tmp_path / "none") == DOWN
    assert state_file.read(tmp_path) == DOWN


def test_a_reader_never_sees_anything_between_two_states(tmp_path):
    path, green, blue = tmp_path / "state", NodeState(Colour.GREEN), NodeState(Colour.BLUE, draining=True)
    state_file.write(path, green)
    ended, seen = threading.Event(), set()

    def look():
        while not ended.is_set():
            seen.add(state_file.read(path))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(100):
        state_file.write(path, blue)
        state_file.write(path, green)
    ended.set()
    reader.join()

    assert seen <= {green, blue}


def test_nothing_but_the_file_is_left_behind(tmp_path):
    state_file.write(tmp_path / "state", DOWN)

    assert [path.name for path in tmp_path.iterdir()] == ["state"]


@pytest.mark.parametrize(
    ("state", "takes"),
    [
        ("green up", True),
        ("green drain", False),
        ("blue up", False),
        ("blue drain", False),
        ("none down", False),
    ],
)
def test_workers_take_work_while_their_node_is_green_and_up(tmp_path, state, takes):
    state_file.write(tmp_path / "state", NodeState.parse(state))

    assert state_file.takes_work(tmp_path / "state") == takes


def test_workers_of_a_node_that_was_never_given_a_colour_take_work(tmp_path):
    assert state_file.takes_work(tmp_path / "none")


def test_damage_keeps_a_nodes_workers_idle(tmp_path):
    (tmp_path / "state").write_bytes(b"green")

    assert not state_file.takes_work(tmp_path / "state")
