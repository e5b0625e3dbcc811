import http.client
import socket
import threading

import pytest

from keepsite.nodes import state_file
from keepsite.nodes.agent import plight
from keepsite.nodes.agent.server import StateServer
from keepsite.nodes.states import NodeState

PLIGHT = """
[priorities]
states = enabled, disabled, offline
[enabled]
code = 200
message = node is available
[disabled]
code = 404
message = node is unavailable
file = node_disabled
[offline]
code = 503
message = node is offline
file = node_offline
"""


@pytest.fixture
def serve(tmp_path):
    """Starts the agent's server; returns how to ask it, after putting the node into a state."""
    running = []

    def start(answers=None):
        server = StateServer(("127.0.0.1", 0), state_path=tmp_path / "state", plight=answers)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))

        def ask(path, state=None, method="GET"):
            if state:
                state_file.write(tmp_path / "state", NodeState.parse(state))
            client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            try:
                client.request(method, path)
                answer = client.getresponse()
                return answer.status, answer.reason, answer.read().decode().strip()
            finally:
                client.close()

        ask.port = server.server_port
        return ask

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("state", "green", "blue", "any_pool"),
    [
        ("green up", 200, 503, 200),
        ("green drain", 404, 503, 404),
        ("blue up", 503, 200, 200),
        ("blue drain", 503, 404, 404),
        ("none down", 503, 503, 503),
    ],
)
def test_each_state_tells_each_pool(serve, state, green, blue, any_pool):
    ask = serve()

    answers = [ask(path, state)[::2] for path in ("/green", "/blue", "/")]

    assert answers == [(green, state), (blue, state), (any_pool, state)]


def test_a_node_without_a_state_is_in_no_pool(serve):
    assert serve()("/green")[::2] == (503, "none down")


def test_head_says_the_same_without_a_body(serve):
    assert serve()("/green", "green drain", method="HEAD")[::2] == (404, "")


def test_an_unknown_pool_is_told_what_there_is(serve):
    status, _, body = serve()("/purple", "green up")

    assert (status, body) == (400, "ask for one of /, /green and /blue")


def test_silent_clients_stop_nobody(serve):
    ask = serve()
    silent = [socket.create_connection(("127.0.0.1", ask.port)) for _ in range(20)]

    status = ask("/green", "green up")[0]

    assert status == 200
    for client in silent:
        client.close()


class TestPlight:
    @pytest.mark.parametrize(
        ("state", "told"),
        [
            ("green up", (200, "node is available", "")),
            ("blue up", (200, "node is available", "")),
            ("green drain", (404, "node is unavailable", "")),
            ("none down", (503, "node is offline", "")),
        ],
    )
    def test_its_words_are_the_reason_phrase(self, serve, tmp_path, state, told):
        (tmp_path / "plight.conf").write_text(PLIGHT)

        assert serve(plight.load(tmp_path / "plight.conf"))("/anything", state) == told

    def test_our_pools_answer_beside_it(self, serve, tmp_path):
        (tmp_path / "plight.conf").write_text(PLIGHT)

        assert serve(plight.load(tmp_path / "plight.conf"))("/blue", "green up")[::2] == (503, "green up")

    def test_a_state_named_after_the_colour_goes_first(self, serve, tmp_path):
        own = PLIGHT.replace("states = enabled", "states = green, enabled")
        green = "[green]\ncode = 299\nmessage = node is green\nfile = node_green\n"
        (tmp_path / "plight.conf").write_text(own + green)

        ask = serve(plight.load(tmp_path / "plight.conf"))

        assert ask("/", "green up")[:2] == (299, "node is green")
        assert ask("/", "blue up")[:2] == (200, "node is available")

    def test_states_of_its_own_choosing_are_enough(self, serve, tmp_path):
        """As of a site whose plight knew the colours, and neither enabled nor disabled."""
        (tmp_path / "plight.conf").write_text(
            "[priorities]\nstates = blue, green, broken\n"
            "[blue]\ncode = 200\nmessage = blue node\n"
            "[green]\ncode = 200\nmessage = green node\nfile = node_green\n"
            "[broken]\ncode = 500\nmessage = node is broken\nfile = node_broken\n"
        )

        ask = serve(plight.load(tmp_path / "plight.conf"))

        assert [ask("/", state)[:2] for state in ("green up", "blue up", "blue drain", "none down")] == [
            (200, "green node"),
            (200, "blue node"),
            (404, "node is unavailable"),
            (503, "node is offline"),
        ]

    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            (("states = enabled,", "states ="), "default; here: none"),
            (("file = node_disabled", ""), "default; here: enabled, disabled"),
            (("states = enabled, disabled", "states = standby, disabled"), "standby"),
            (("enabled", "standby"), "lacks enabled, or blue and green"),
            (("code = 404", "code = soon"), "soon"),
            (("[priorities]", "[other]"), "priorities"),
            (("[disabled]", "disabled]"), "plight.conf"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(self, tmp_path, damage, named):
        count = -1 if damage[1] == "standby" else 1
        (tmp_path / "plight.conf").write_text(PLIGHT.replace(*damage, count))

        with pytest.raises(plight.PlightConfigInvalid, match=named):
            plight.load(tmp_path / "plight.conf")
