"""An answer without what must differ: host, ids, moments."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{6})?")
A_DAY = timedelta(days=1)
# What the server software, the connection or a proxy decides.
NOT_THE_APPLICATION = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> object:
        """The body, if it is JSON; else None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_json(self) -> bool:
        """Whether it says that the body is JSON."""
        return self.headers.get("content-type", "").partition(";")[0] == "application/json"


def neutral(value: object, names: Mapping[str, str]) -> object:
    """``value`` with hosts and ids replaced by ``names``, other ids by ``<id>``, moments by ``<moment>``."""
    if isinstance(value, str):
        return _neutral_text(value, names)
    if isinstance(value, dict):
        return {_neutral_text(name, names): neutral(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [neutral(item, names) for item in value]
    return value


def neutral_headers(answer: Answer, names: Mapping[str, str]) -> dict[str, object]:
    """The headers the application decides."""
    return {
        name: neutral(value.lower() if name == "vary" else value, names)  # it names headers
        for name, value in answer.headers.items()
        if name not in NOT_THE_APPLICATION
    }


def kind_of(body: bytes) -> str:
    """What is compared of a body that differs each time: its PEM label, that it is DER, or its length."""
    label = re.match(rb"-----BEGIN ([A-Z ]+)-----", body)
    if label:
        return f"PEM {label[1].decode()}"
    if body[:2] == b"\x30\x82" and int.from_bytes(body[2:4]) == len(body) - 4:  # X.690, a SEQUENCE
        return "DER"
    return f"{len(body)} bytes"


def _neutral_text(text: str, names: Mapping[str, str]) -> str:
    moment = MOMENT.fullmatch(text)
    if moment:
        at = datetime.fromisoformat(f"{moment[1]}T{moment[2]}").replace(tzinfo=UTC)
        return "<moment>" if abs(at - datetime.now(UTC)) < A_DAY else text
    for real, name in names.items():
        text = text.replace(real, f"<{name}>")
    return UUID.sub("<id>", text)
