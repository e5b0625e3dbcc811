"""What holds for every answer, whatever was asked."""

import json
import re

from tests.fuzz.rows import changed

# Words by which a description says what is accepted.
SAYS_WHAT_IS_ACCEPTED = re.compile(
    r"\b(must|may|takes?|accepted|expected|required|only|at most|is missing|supported|not valid|twice|cannot"
    r"|known|check|send|needs|has \d+)\b",
    re.IGNORECASE,
)
EXPLAINED = {
    400,
    401,
    403,
    409,
    413,
    414,
    415,
    417,
    422,
    429,
    431,
}  # the contract leaves 404, 405 and 406 bare
PLAIN_PATHS = re.compile(rb"/*(healthcheck|admin|static)")  # not the API's


def assert_holds(call, answer, before, after):
    """Fail unless ``answer`` is one that the contract has, and a refusal or a read wrote nothing."""
    assert answer.status < 500, "a failure of ours"
    if call.method == "OPTIONS" and answer.status < 400:
        assert (answer.status, answer.body) == (200, b"")
    elif answer.status >= 400 and call.method != "HEAD":
        _assert_error(answer, is_api=not PLAIN_PATHS.match(call.target))
    if answer.status >= 400 or call.method in {"GET", "HEAD", "OPTIONS"}:
        assert after == before, f"rows changed: {changed(before, after)}"
    assert "transfer-encoding" not in answer.headers, "does not tell its length"
    if call.method != "HEAD":
        assert len(answer.body) == int(answer.headers.get("content-length", len(answer.body)))


def _assert_error(answer, *, is_api):
    if not is_api:
        return
    assert answer.headers.get("content-type") == "application/json", "no JSON"
    body = json.loads(answer.body)
    assert {"code", "title", "description"} <= body.keys() <= {"code", "title", "description", "error"}
    assert body["code"] == answer.status
    assert isinstance(body["title"], str)
    assert body["title"]
    if answer.status in EXPLAINED:
        assert isinstance(body["description"], str), "no description"
        assert len(body["description"]) > 10, "no description"
    if answer.status == 400:
        assert SAYS_WHAT_IS_ACCEPTED.search(body["description"]), "does not say what is accepted"
