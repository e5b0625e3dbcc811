"""The comparison itself: what it must see, what it must not; wanted differences are documented."""

import json
import re
from pathlib import Path

import pytest

from tests.compare.answers import Answer, kind_of, neutral
from tests.compare.corpus import SCENARIOS
from tests.compare.differing import ABSENT, Difference, Seen, differences, ill_formed
from tests.compare.known import KNOWN, Case, Known, explained
from tests.compare.replay import Outcome
from tests.compare.report import Comparison
from tests.compare.speed import OURS, Speeds, table
from tests.compare.steps import NotMade, Step, filled, get, saved

DIFFERENCES = Path(__file__).resolve().parents[2] / "docs/api/differences.md"
ID = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
OTHER = "6d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
STEP = get("/v1/secrets/{secret}")
BARBICAN = {"http://b:1": "url", ID: "secret"}
KEEPSITE = {"http://k:2": "url", OTHER: "secret"}


def answer(body=b"", status=200, **headers):
    if not isinstance(body, bytes):
        headers = {"content-type": "application/json"} | headers
        body = json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def seen(theirs, ours, step=STEP):
    return differences(step, Seen(theirs, BARBICAN), Seen(ours, KEEPSITE))


def outcome(*found, step=STEP):
    return Outcome("a scenario", step, list(found))


class TestNoDifference:
    def test_each_side_may_have_its_own_host_ids_and_moments(self):
        theirs = {"secret_ref": f"http://b:1/v1/secrets/{ID}", "created": "2999-01-01T00:00:00"}
        ours = {"secret_ref": f"http://k:2/v1/secrets/{OTHER}", "created": "2999-01-01T00:00:00"}

        assert seen(answer(theirs), answer(ours)) == []

    def test_errors_may_be_worded_differently(self):
        theirs, ours = ({"code": 404, "description": text} for text in ("Not here.", "Gone."))

        assert seen(answer(theirs, 404), answer(ours, 404)) == []

    def test_users_of_an_acl_have_no_order(self):
        assert seen(answer({"read": {"users": ["a", "b"]}}), answer({"read": {"users": ["b", "a"]}})) == []

    def test_a_server_may_say_who_it_is(self):
        assert seen(answer(server="gunicorn", date="x"), answer(connection="close")) == []

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            (b"\x01" * 32, b"\x02" * 32),
            (b"-----BEGIN PRIVATE KEY-----\na", b"-----BEGIN PRIVATE KEY-----\nb"),
        ],
    )
    def test_random_payloads_of_one_kind_are_alike(self, theirs, ours):
        step = get("/v1/secrets/{secret}/payload", is_random=True)

        assert seen(answer(theirs), answer(ours), step) == []


class TestDifference:
    @pytest.mark.parametrize(
        ("theirs", "ours", "where"),
        [
            (answer(status=200), answer(status=204), "status"),
            (answer(), answer(location="/"), "header location"),
            (answer(content_type="text/plain"), answer(content_type="text/html"), "header content-type"),
            (answer({"a": 1}), answer({}), "body.a"),
            (answer({}), answer({"a": 1}), "body.a"),
            (answer({"a": 1}), answer({"a": "1"}), "body.a"),
            (answer({"a": 1}), answer({"a": 1.0}), "body.a"),
            (answer({"a": None}), answer({}), "body.a"),
            (answer({"a": [{"b": 1}]}), answer({"a": [{"b": 2}]}), "body.a.0.b"),
            (answer({"a": [1, 2]}), answer({"a": [1]}), "body.a"),
            (answer({"a": ["x", "y"]}), answer({"a": ["y", "x"]}), "body.a.0"),
            (answer({"description": "x"}), answer({"description": None}), "body.description"),
            (answer({"description": "x"}), answer({"description": ""}), "body.description"),
            (answer({"a": f"http://b:1/v1/secrets/{ID}"}), answer({"a": "http://k:2/v1/secrets/"}), "body.a"),
            (answer({"a": "2030-01-01T00:00:00"}), answer({"a": "2031-01-01T00:00:00"}), "body.a"),
            (answer(b"x"), answer(b"x\n"), "body"),
        ],
    )
    def test_is_found_where_it_is(self, theirs, ours, where):
        assert [difference.where for difference in seen(theirs, ours)][:1] == [where]

    def test_words_that_clients_search_for_must_be_there(self):
        theirs = {"description": "No: Secret cannot be deleted as it has consumers."}

        assert seen(answer(theirs, 400), answer({"description": "It has consumers."}, 400)) != []

    @pytest.mark.parametrize("pair", [(b"x" * 16, b"x" * 32), (b"-----BEGIN PRIVATE KEY-----", b"x")])
    def test_random_payloads_of_two_kinds_differ(self, pair):
        step = get("/v1/secrets/{secret}/payload", is_random=True)

        assert seen(answer(pair[0]), answer(pair[1]), step) == [
            Difference("body", kind_of(pair[0]), kind_of(pair[1]))
        ]

    @pytest.mark.parametrize(
        "body", [{}, {"code": 404, "title": "t"}, {"code": 1, "title": "t", "description": ""}]
    )
    def test_our_errors_must_have_their_shape_whatever_barbican_says(self, body):
        assert ill_formed(answer(body, 404)) != []


class TestNeutral:
    def test_what_has_a_name_gets_it_and_other_ids_are_ids(self):
        assert neutral([f"http://b:1/{ID}", f"x/{OTHER}"], BARBICAN) == ["<url>/<secret>", "x/<id>"]


class TestKnown:
    WANTED = Known("wanted", "why", Case(at="secrets", barbican=500, keepsite=400))

    def test_explains_what_it_describes(self):
        assert explained(outcome(Difference("status", 500, 400)), [self.WANTED]) == ({"wanted"}, [])

    @pytest.mark.parametrize(
        "difference",
        [
            Difference("status", 500, 404),
            Difference("status", 400, 400),
            Difference("header status", 500, 400),
            Difference("status", "500", 400),
        ],
    )
    def test_explains_nothing_else(self, difference):
        assert explained(outcome(difference), [self.WANTED]) == (set(), [difference])

    def test_explains_nothing_at_another_request(self):
        difference = Difference("status", 500, 400)

        assert explained(outcome(difference, step=get("/v1/orders")), [self.WANTED]) == (set(), [difference])

    def test_absent_is_not_null(self):
        wanted = Known("wanted", "why", Case(where=".*", barbican=ABSENT))

        assert explained(outcome(Difference("body.a", None, 1)), [wanted])[1] != []

    def test_one_unknown_difference_makes_a_request_unexpected(self):
        comparison = Comparison()

        comparison.add(
            "secure", [outcome(Difference("header allow", ABSENT, "GET"), Difference("body.a", 1, 2))]
        )

        assert [len(rest) for _, _, rest in comparison.unexpected] == [1]
        assert comparison.requests == 1

    def test_ids_and_the_documented_ones_are_the_same(self):
        documented = set(re.findall(r"^\| `([\w-]+)` \|", DIFFERENCES.read_text(), re.MULTILINE))

        assert documented == {wanted.id for wanted in KNOWN}


class TestReport:
    def test_it_counts_and_names_what_differs(self):
        comparison = Comparison(release="23.0.0")
        allow = Difference("header allow", ABSENT, "GET")
        comparison.add("legacy", [outcome(), outcome(allow), outcome(Difference("body.a", 1, 2))])

        text, parsed = comparison.as_text(verbose=False), json.loads(comparison.as_json([]))

        assert "body.a: 1 | 2" in text
        assert "header allow" not in text
        assert "header allow" in comparison.as_text(verbose=True)
        assert [parsed[name] for name in ("requests", "equal", "known_requests")] == [3, 1, 1]
        assert parsed["known"] == {"allow": 1}
        assert parsed["unexpected"][0]["request"] == STEP.label

    def test_speeds_are_shown_as_ratios(self):
        theirs = Speeds("Barbican, simple_crypto", {"GET payload": 20.0}, failures=0)
        ours = Speeds(OURS, {"GET payload": 130.0}, failures=2)

        text = table([theirs, ours])

        assert "20.0 (Keepsite: x 6.5)" in text
        assert f"2 requests failed at {OURS}" in text


class TestSteps:
    def test_names_are_filled_at_any_depth(self):
        assert filled({"a": ["{x.ref}", 1]}, {"x.ref": "r"}) == {"a": ["r", 1]}

    def test_an_unknown_name_is_an_error(self):
        with pytest.raises(NotMade):
            filled("/v1/secrets/{secret}", {})

    def test_the_ref_of_an_answer_is_saved(self):
        step = Step(method="POST", path="/v1/secrets", saves="s")

        assert saved(step, {"secret_ref": "http://b:1/v1/secrets/1"}) == {
            "s": "1",
            "s.ref": "http://b:1/v1/secrets/1",
        }

    def test_a_ref_inside_an_answer_is_saved(self):
        step = get("/v1/containers/1", saves="s=secret_refs.0.secret_ref")

        assert saved(step, {"secret_refs": [{"secret_ref": "h/1"}]})["s"] == "1"


class TestCorpus:
    def test_it_is_large_and_its_scenarios_have_names_of_their_own(self):
        assert sum(len(scenario.steps) for scenario in SCENARIOS) >= 500
        assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)

    def test_every_resource_is_in_it(self):
        paths = {
            step.path.split("?")[0].split("/")[2]
            for scenario in SCENARIOS
            for step in scenario.steps
            if step.path.startswith("/v1/") and step.path.count("/") > 1
        }

        wanted = {
            "secrets",
            "containers",
            "orders",
            "quotas",
            "project-quotas",
            "secret-stores",
            "transport_keys",
        }
        assert wanted <= paths
