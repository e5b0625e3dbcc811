import pytest

from keepsite.api.limits import LimitsFileInvalid, read_rules
from keepsite.api.limits.rules import Per, Unit
from keepsite.identity.principal import Principal

GOOD = """
limits:
  - id: reads
    uri: any secret
    uri-regex: /v1/secrets/([^/]+)(/.*)?
    http-methods: [get, HEAD]
    unit: minute
    value: 10
    per: user
  - {id: all, uri-regex: "/v1/.*", unit: DAY, value: 0}
"""


def written(tmp_path, text):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    return path


def caller(project="p1", user="u1"):
    return Principal(project_id=project, user_id=user, roles=frozenset(), method="local")


@pytest.fixture
def rules(tmp_path):
    return read_rules(written(tmp_path, GOOD))


class TestReadRules:
    def test_every_word_of_the_vocabulary_is_understood(self, rules):
        reads, everything = rules

        assert (reads.id, reads.uri, reads.unit, reads.value, reads.per) == (
            "reads", "any secret", Unit.MINUTE, 10, Per.USER,
        )  # fmt: skip
        assert reads.methods == {"GET", "HEAD"}
        assert (everything.uri, everything.methods, everything.per) == ("/v1/.*", frozenset(), Per.PROJECT)

    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            ("id: a, uri-regex: x, unit: HOURS, value: 1", "one of SECOND, MINUTE, HOUR, DAY, not 'HOURS'"),
            ("id: a, uri-regex: x, unit: 1, value: 1", "one of SECOND"),
            ("id: a, uri-regex: x, unit: HOUR, value: -1", "whole number from 0"),
            ("id: a, uri-regex: x, unit: HOUR, value: true", "whole number from 0"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1.5", "whole number from 0"),
            ("id: a, uri-regex: '(', unit: HOUR, value: 1", "not a regular expression"),
            ("id: a, uri-regex: [x], unit: HOUR, value: 1", "uri-regex must be a text"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, per: node", "project or user, not 'node'"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, http-methods: [FETCH]", "must be a list of"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, http-methods: []", "http-methods must be a list of"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, group: g", "group is not known; known are id, uri"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, value: 2", "value stands there twice"),
            ("id: a, uri-regex: x, unit: HOUR", "value is missing"),
            ("id: 7, uri-regex: x, unit: HOUR, value: 1", "id must be a text"),
            ("id: a, uri: [], uri-regex: x, unit: HOUR, value: 1", "uri must be a text"),
            ("id: a, uri-regex: x, unit: HOUR, value: 1, use-capture-groups: maybe", "true or false"),
            ("id: a, uri-regex: x, unit: HOUR, value: !!python/name:os.system x", "not plain YAML"),
        ],
    )  # fmt: skip
    def test_unusable_entry_is_named_with_its_line_and_what_is_accepted(self, tmp_path, entry, said):
        path = written(
            tmp_path, f"limits:\n  - {{id: fine, uri-regex: x, unit: DAY, value: 1}}\n  - {{{entry}}}\n"
        )

        with pytest.raises(LimitsFileInvalid) as refused:
            read_rules(path)

        assert "limit 2 (line 3)" in str(refused.value)
        assert said in str(refused.value)

    @pytest.mark.parametrize(
        "text", ["", "limits: 3", "[]", "limit: []", "limits: []\nother: 1", "{", "limits: [x]", "\x00"]
    )
    def test_other_files_are_refused(self, tmp_path, text):
        with pytest.raises(LimitsFileInvalid):
            read_rules(written(tmp_path, text))

    def test_missing_file_is_said_to_be_missing(self, tmp_path):
        with pytest.raises(LimitsFileInvalid, match="there is no such file"):
            read_rules(tmp_path / "none.yaml")

    def test_same_id_twice_names_both_lines(self, tmp_path):
        entry = "  - {id: same, uri-regex: x, unit: DAY, value: 1}\n"

        with pytest.raises(LimitsFileInvalid, match="lines 2 and 3 have the same id"):
            read_rules(written(tmp_path, f"limits:\n{entry}{entry}"))

    def test_no_limits_are_fine(self, tmp_path):
        assert read_rules(written(tmp_path, "limits: []")) == ()


class TestRule:
    def test_expression_must_match_the_whole_path(self, rules):
        assert rules[0].captured("GET", "/v1/secrets") is None
        assert rules[0].captured("GET", "/v1/secrets/a/payload") == ("a", "/payload")

    def test_method_that_is_not_listed_is_not_counted(self, rules):
        assert rules[0].captured("POST", "/v1/secrets/a") is None
        assert rules[1].captured("POST", "/v1/secrets/a") == ()

    def test_users_are_counted_apart_and_projects_together(self, rules):
        per_user, per_project = rules

        assert per_user.counter_name(caller(user="a"), ()) != per_user.counter_name(caller(user="b"), ())
        assert per_project.counter_name(caller(user="a"), ()) == per_project.counter_name(
            caller(user="b"), ()
        )

    def test_caller_without_user_is_counted_by_project(self, rules):
        assert rules[0].counter_name(caller(user=None), ()) != rules[0].counter_name(caller(user="p1"), ())

    def test_captured_parts_cannot_be_shifted_into_one_another(self, rules):
        assert rules[0].counter_name(caller(), ("ab", "c")) != rules[0].counter_name(caller(), ("a", "bc"))
