import http.client
import json

import pytest


def ask(host, pool, method="GET", body=None):
    client = http.client.HTTPConnection("127.0.0.1", host.server.server_port, timeout=5)
    try:
        client.request(method, "/healthcheck", body=body, headers={"X-Pool": pool} if pool else {})
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


@pytest.mark.parametrize(
    ("name", "pool", "status"),
    [("g1", "green", 200), ("g1", "blue", 425), ("b1", "blue", 200), ("b1", "green", 425), ("g1", None, 200),
     ("g1", "purple", 425), ("g1", "", 425)],
)  # fmt: skip
def test_a_request_is_served_by_its_own_pool_only(hosts, name, pool, status):
    if pool == "":
        client = http.client.HTTPConnection("127.0.0.1", hosts[name].server.server_port, timeout=5)
        client.request("GET", "/healthcheck", headers={"X-Pool": ""})
        assert client.getresponse().status == status
        client.close()
        return

    assert ask(hosts[name], pool)[0] == status


def test_the_refusal_says_that_nothing_was_done(hosts):
    status, body = ask(hosts["b1"], "green", method="POST", body="{}")

    assert status == 425
    assert json.loads(body)["title"] == "Too Early"
    assert "Nothing was done" in json.loads(body)["description"]


def test_a_draining_node_finishes_what_its_own_pool_sent(hosts):
    hosts["g1"].path.write_text("green drain\n")

    assert ask(hosts["g1"], "green")[0] == 200


def test_without_a_state_no_pool_is_served(hosts):
    hosts["g1"].path.unlink()

    assert [ask(hosts["g1"], pool)[0] for pool in ("green", "blue")] == [425, 425]
