import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from keepsite.trail.collecting import Collector, Copies
from keepsite.trail.models import AuditChain
from keepsite.trail.sealing import seal_chain
from keepsite.trail.services import set_backs, verify_now

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Node:
    """A node's audit folder, and what its collector makes of it."""

    def __init__(self, folder: Path, name="api1", copies=Copies.ACTS):
        self.folder = folder
        self.name = name
        self.copies = copies
        self.written = 0
        folder.mkdir(exist_ok=True)

    def write(self, count=1, day="20260131", **fields):
        """Append reads of payloads."""
        with (self.folder / f"audit-{day}.jsonl").open("a") as file:
            for _ in range(count):
                self.written += 1
                record = {
                    "id": f"record-{self.written}",
                    "at": (START + timedelta(seconds=self.written)).isoformat(timespec="microseconds"),
                    "node": self.name,
                    "kind": "api",
                    "request_id": f"req-{self.written}",
                    "client": "192.0.2.10",
                    "action": f"GET /v1/secrets/{self.written}/payload",
                    "acts": [{"action": "payload.read", "subject": f"secret:{self.written}"}],
                    "outcome": 200,
                    "project_id": "p1",
                    "user_id": "u1",
                    "method": "local",
                    "credential_id": "key1",
                } | fields
                file.write(json.dumps(record, separators=(",", ":")) + "\n")

    def collect(self):
        """Everything there is; how many segments it made."""
        collector = Collector(self.folder, node=self.name, copies=self.copies)
        segments = 0
        while collector.collect():
            segments += 1
        return segments

    @property
    def chain(self):
        return AuditChain.objects.get(id=(self.folder / "chain").read_text().strip())

    def seal(self, now=None):
        return seal_chain(self.chain, now=now or timezone.now())

    def verify(self, now=None):
        return verify_now(self.chain, by="tests", now=now or timezone.now(), known=set_backs())

    def findings(self, now=None):
        return [finding.words for finding in self.verify(now).findings]


@pytest.fixture
def node(mkek, tmp_path):
    return Node(tmp_path / "api1")


@pytest.fixture
def sealed(node):
    """Three sealed segments of three records each."""
    for _ in range(3):
        node.write(3)
        node.collect()
        node.seal()
    return node
