"""The operator's policy file: what it changes, when it is read, what is wrong with it."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepsite.identity import policy
from keepsite.identity.policy import Target, enforcement
from keepsite.identity.principal import Principal

READER = Principal(project_id="p", user_id="u", roles=frozenset({"reader"}), method="local")
MEMBER = Principal(project_id="p", user_id="u", roles=frozenset({"member"}), method="local")
OUR_SECRET = Target(kind="secret", project_id="p", creator_id="somebody")
FOREIGN_SECRET = Target(kind="secret", project_id="q", creator_id="somebody")


@pytest.fixture
def policy_file(settings, tmp_path, monkeypatch) -> Iterator[Path]:
    """The path of a policy file that is looked at on every question; empty to begin with."""
    path = tmp_path / "policy.yaml"
    path.write_text("")
    settings.ROLE_SET, settings.POLICY_FILE = "secure", path
    monkeypatch.setattr(enforcement, "LOOK_AT_FILE_EVERY_S", 0)
    policy.reset()
    yield path
    policy.reset()


class TestOverrides:
    def test_an_empty_file_changes_nothing(self, policy_file):
        assert policy.allows("secrets:post", MEMBER)
        assert not policy.allows("secrets:post", READER)

    def test_a_yaml_file_changes_one_rule(self, policy_file):
        policy_file.write_text('"secrets:post": "role:reader"\n')

        assert policy.allows("secrets:post", READER)
        assert not policy.allows("secrets:get", READER)

    def test_a_json_file_does_too(self, policy_file):
        policy_file.write_text(
            json.dumps({"secrets:post": "role:reader", "secrets:get": [["role:member"], ["!"]]})
        )

        assert policy.allows("secrets:post", READER)
        assert policy.allows("secrets:get", MEMBER)
        assert not policy.allows("secrets:get", READER)

    def test_a_path_given_as_text_will_do(self, policy_file, settings):
        policy_file.write_text('"secrets:post": "role:reader"\n')
        settings.POLICY_FILE = str(policy_file)

        assert policy.allows("secrets:post", READER)

    def test_a_named_condition_reaches_every_rule_that_uses_it(self, policy_file):
        policy_file.write_text('"secret_project_member": "role:reader and rule:secret_project_match"\n')

        assert policy.allows("secret:decrypt", READER, OUR_SECRET)
        assert not policy.allows("secret:decrypt", READER, FOREIGN_SECRET)

    def test_a_rule_of_the_operators_own_may_be_referred_to(self, policy_file):
        policy_file.write_text('"keepers": "role:reader"\n"secrets:post": "rule:keepers"\n')

        assert policy.allows("secrets:post", READER)
        assert policy.check_policy_file() == []

    @pytest.mark.parametrize(
        "check",
        [
            "project:%(target.secret.project_id)s and user:%(target.secret.creator_id)s",  # before 2021
            "project_id:%(target.secret.project_id)s and user_id:%(target.secret.creator_id)s",
        ],
    )
    def test_files_may_name_the_caller_in_old_words_and_new(self, policy_file, check):
        policy_file.write_text(json.dumps({"secret:decrypt": check}))
        own = Target(kind="secret", project_id="p", creator_id="u")

        assert policy.allows("secret:decrypt", READER, own)
        assert not policy.allows("secret:decrypt", MEMBER, OUR_SECRET)

    def test_no_file_lets_a_system_scoped_caller_in(self, policy_file):
        policy_file.write_text('"secrets:post": "@"\n')
        system = Principal(
            project_id="p", user_id="u", roles=frozenset(), system_scope="all", method="keystone"
        )

        assert policy.allows("secrets:post", READER)
        assert not policy.allows("secrets:post", system)


class TestChangedFile:
    def test_is_picked_up_while_running(self, policy_file):
        assert not policy.allows("secrets:post", READER)

        policy_file.write_text('"secrets:post": "role:reader"\n')

        assert policy.allows("secrets:post", READER)

    def test_is_picked_up_when_replaced_by_an_older_one(self, policy_file):
        assert not policy.allows("secrets:post", READER)

        older = policy_file.with_suffix(".new")
        older.write_text('"secrets:post": "role:reader"\n')
        os.utime(older, (1_000_000_000, 1_000_000_000))
        older.rename(policy_file)

        assert policy.allows("secrets:post", READER)

    def test_takes_its_rules_back_when_emptied(self, policy_file):
        policy_file.write_text('"secrets:post": "role:reader"\n')
        assert policy.allows("secrets:post", READER)

        policy_file.write_text("")

        assert not policy.allows("secrets:post", READER)

    @pytest.mark.parametrize(
        "contents",
        ["{", "- secrets:post\n", '"secrets:post":\n', None],
        ids=["cut off", "a list", "empty", "gone"],
    )
    def test_that_became_unusable_leaves_the_rules_as_they_were(self, policy_file, caplog, contents):
        policy_file.write_text('"secrets:post": "role:boss"\n')
        assert not policy.allows("secrets:post", MEMBER)

        if contents is None:
            policy_file.unlink()
        else:
            policy_file.write_text(contents)
        with caplog.at_level(logging.ERROR):
            answers = [policy.allows("secrets:post", MEMBER) for _ in range(3)]

        assert answers == [False, False, False]
        assert caplog.text.count("stay in force") == 1
        assert str(policy_file) in caplog.text

    def test_is_looked_at_once_per_interval(self, policy_file, monkeypatch):
        monkeypatch.setattr(enforcement, "LOOK_AT_FILE_EVERY_S", 3600)
        assert not policy.allows("secrets:post", READER)

        policy_file.write_text('"secrets:post": "role:reader"\n')

        assert not policy.allows("secrets:post", READER)


BROKEN = {
    "not YAML": ("{", "neither YAML nor JSON"),
    "a list": ("- secrets:post\n", "must map rule names to check strings"),
    "a number for a name": ('1: "@"\n', "the rule name 1 must be a text"),
    "no check": ('"secrets:post":\n', "secrets:post must be a check string"),
    "a boolean check": ('"secrets:post": true\n', "secrets:post must be a check string"),
    "a word that is no check": (
        '"secrets:post": "admin"\n',
        "secrets:post is not a valid check string: 'admin'",
    ),
    "such a word beside a refusal": (
        '"secrets:post": "! or admin"\n',
        "secrets:post is not a valid check string",
    ),
    "an unfinished sentence": (
        '"secrets:post": "role:admin and"\n',
        "secrets:post is not a valid check string",
    ),
    "an unknown rule": (
        '"secrets:post": "rule:boss"\n',
        "secrets:post refers to rule boss, which does not exist",
    ),
    "a circle": (
        '"a": "rule:b"\n"b": "rule:a"\n"secrets:post": "rule:a"\n',
        r"rule secrets:post.*|rule a refers to itself \(a -> b -> a\)",
    ),
    "a malformed attribute": (
        '"secret:get": "user_id:%(target.secret.creator_id"\n',
        "is not a text with attributes",
    ),
    "a malformed left side": ('"secret:get": "2x:1"\n', "neither a credential nor a literal"),
}


class TestBrokenFile:
    @pytest.mark.parametrize(("contents", "said"), BROKEN.values(), ids=BROKEN)
    def test_is_refused_at_first_use_by_name_and_reason(self, policy_file, contents, said):
        policy_file.write_text(contents)

        with pytest.raises(policy.PolicyFileInvalid, match=said) as refused:
            policy.require("secrets:get", MEMBER)

        assert str(policy_file) in str(refused.value)

    @pytest.mark.parametrize(("contents", "said"), BROKEN.values(), ids=BROKEN)
    def test_is_reported_to_the_system_check(self, policy_file, contents, said):
        policy_file.write_text(contents)

        problems = policy.check_policy_file()

        assert problems
        assert all(str(policy_file) in problem for problem in problems)

    def test_a_missing_file_is_refused(self, policy_file):
        policy_file.unlink()

        with pytest.raises(policy.PolicyFileInvalid, match="there is no such file"):
            policy.require("secrets:get", MEMBER)

    def test_a_folder_is_refused(self, policy_file, settings, tmp_path):
        settings.POLICY_FILE = tmp_path

        with pytest.raises(policy.PolicyFileInvalid, match="it cannot be read"):
            policy.require("secrets:get", MEMBER)

    def test_bytes_that_are_no_text_are_refused(self, policy_file):
        policy_file.write_bytes(b"\xff\xfe\x00")

        with pytest.raises(policy.PolicyFileInvalid, match="it cannot be read"):
            policy.require("secrets:get", MEMBER)


class TestCheckPolicyFile:
    def test_without_a_file_there_is_nothing_to_say(self, settings):
        settings.POLICY_FILE = ""

        assert policy.check_policy_file() == []

    def test_a_mistyped_rule_name_is_reported(self, policy_file):
        policy_file.write_text('"secret:decypt": "role:reader"\n"secrets:post": "@"\n"secrets:get": "!"\n')

        (problem,) = policy.check_policy_file()

        assert "sets secret:decypt, which guards nothing" in problem
