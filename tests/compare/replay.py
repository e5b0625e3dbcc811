"""Sending a scenario to both sides, step by step."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from tests.compare.answers import Answer
from tests.compare.cast import Cast
from tests.compare.differing import Difference, Seen, differences, ill_formed
from tests.compare.steps import NotMade, Scenario, Step, filled, saved

TIMEOUT_S = 60
PATIENCE_S = 60
PAUSE_S = 0.05
SOON_S = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request and in what its two answers differ."""

    scenario: str
    step: Step
    differences: list[Difference]

    @property
    def request(self) -> str:
        """Method and path, as the corpus writes them."""
        return f"{self.step.method} {self.step.path}"


class Side:
    """One of the two servers, and what a scenario has made there."""

    def __init__(self, url: str, facts: Mapping[str, str]) -> None:
        self.facts = {**facts, "url": url}
        self._host = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_S)

    @property
    def names(self) -> dict[str, str]:
        """What this side calls its address and the ids that a scenario knows; longest first."""
        ids = {value: name for name, value in self.facts.items() if not name.endswith(".ref") and value}
        ids |= {self._host: "host"}
        return dict(sorted(ids.items(), key=lambda item: -len(item[0])))

    def send(self, step: Step, token: str | None) -> Answer:
        """Send one request; as often as it says."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._sent(step, token)
            if _is_settled(step, answer) or time.monotonic() > deadline:
                self.facts |= saved(step, answer.json)
                return answer
            time.sleep(PAUSE_S)

    def _sent(self, step: Step, token: str | None) -> Answer:
        headers = filled(step.headers, self.facts)
        body = step.body
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(filled(body, self.facts), ensure_ascii=False).encode()
            headers = {"Content-Type": "application/json"} | headers
        if token is not None:
            headers = {"X-Auth-Token": token} | headers
        path = filled(step.path, self.facts)
        # Nothing is added: no Accept that the corpus does not name.
        self._connection.putrequest(step.method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            self._connection.putheader(name, value)
        if body is not None or step.method in {"POST", "PUT", "PATCH"}:
            self._connection.putheader("Content-Length", str(len(body or b"")))
        self._connection.endheaders(body or None)
        with self._connection.getresponse() as response:
            return Answer(response.status, _joined(response.getheaders()), response.read())


def replayed(scenario: Scenario, *, barbican: str, keepsite: str, cast: Cast) -> list[Outcome]:
    """What each step of a scenario came to, sent to the two addresses in turn."""
    users = {f"user:{name}": user for name, user in cast.users.items()}
    soon = (datetime.now(UTC) + timedelta(seconds=SOON_S)).strftime("%Y-%m-%dT%H:%M:%S")
    common = users | cast.projects(scenario.name) | {"soon": soon}
    sides = [Side(url, common) for url in (barbican, keepsite)]
    return [Outcome(scenario.name, step, _compared(step, sides, scenario, cast)) for step in scenario.steps]


def _compared(step: Step, sides: list[Side], scenario: Scenario, cast: Cast) -> list[Difference]:
    token = cast.token(step.who, scenario.name) if step.who else None
    try:
        seen = [Seen(side.send(step, token), side.names) for side in sides]
    except NotMade as missing:
        return [Difference("needs", str(missing), "an earlier step did not make it on both sides")]
    return differences(step, *seen) or ill_formed(seen[1].answer)


def _is_settled(step: Step, answer: Answer) -> bool:
    if step.until == "gone":
        return answer.status == http.client.NOT_FOUND
    body = answer.json
    return not (step.until == "done" and isinstance(body, Mapping) and body.get("status") == "PENDING")


def _joined(headers: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
