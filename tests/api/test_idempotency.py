"""POST with an Idempotency-Key: however often it comes, it makes one object and is answered alike.

Source: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from keepsite.api import limits
from keepsite.api.exceptions import error_response
from keepsite.api.idempotency import make_once
from keepsite.errors import QuotaReached
from keepsite.idempotency import jobs
from keepsite.idempotency.errors import TwinInProgress
from keepsite.idempotency.models import AcceptedRequest
from keepsite.idempotency.services import KeyedRequest
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.schedule import jobs as registered_jobs
from orders_app.models import Order
from secrets_app.models import Container, Payload, Secret
from secrets_app.services import Description, create_secret
from tests.support.callers import Caller, path_of
from tests.support.conformance import operation_of
from tests.support.rows import written_rows
from tests.support.waiting import wait_until

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
TEXT = {"payload": "correct horse", "payload_content_type": "text/plain"}
RSA = {"algorithm": "rsa", "bit_length": 2048, "passphrase": "battery staple"}
RESOURCES = {
    "secret": ("/v1/secrets", TEXT, Secret),
    "secret without payload": ("/v1/secrets", {"name": "later"}, Secret),
    "container": ("/v1/containers", {"type": "generic", "name": "a"}, Container),
    "key order": ("/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}, Order),
    "pair order": ("/v1/orders", {"type": "asymmetric", "meta": RSA}, Order),
}
TWINS = 4
MALFORMED = [
    "", " ", '"', '""', "a b", "a,b", '"a", "b"', '"a"b', 'a"b', '"a', r'"a\b"', '"a";p=1', "é", "a\x7f",
    "x" * 256, f'"{"x" * 256}"',
]  # fmt: skip
CKR_GENERAL_ERROR = 0x05
MEMBER = Principal(project_id="p1", user_id="u1", roles=frozenset({"member"}), method="local")


def keyed(api, path, body, key=KEY):
    return api.post(path, body, Idempotency_Key=key)


def told(response):
    return response.status_code, response["Location"], response.json()


def age(**by):
    """Let time pass: what is remembered was accepted longer ago."""
    for row in AcceptedRequest.objects.all():
        row.accepted_at -= timedelta(**by)
        row.save()


@pytest.fixture(params=RESOURCES)
def resource(request):
    return RESOURCES[request.param]


class TestRepeats:
    def test_are_answered_as_the_first_and_make_nothing(self, api, resource):
        path, body, model = resource
        first = told(keyed(api, path, body))
        after_one = written_rows()

        assert [told(keyed(api, path, body)) for _ in range(3)] == [first] * 3
        assert written_rows() == after_one
        assert model.objects.count() == 1
        assert first[0] == (202 if model is Order else 201)

    def test_without_the_header_each_makes_an_object(self, api, resource):
        path, body, model = resource

        assert told(api.post(path, body)) != told(api.post(path, body))
        assert model.objects.count() == 2
        assert not AcceptedRequest.objects.exists()

    def test_a_key_is_the_same_in_quotes_and_bare(self, api):
        bare, quoted = (keyed(api, "/v1/secrets", {}, key) for key in (r"a\b", r'"a\\b"'))

        assert told(bare) == told(quoted)

    def test_the_spelling_of_the_body_does_not_matter(self, api):
        first = keyed(api, "/v1/secrets", json.dumps(TEXT))
        again = keyed(api, "/v1/secrets", json.dumps(dict(reversed(TEXT.items())), indent=2))

        assert told(first) == told(again)

    def test_what_was_deleted_since_is_not_made_again(self, api, resource):
        path, body, _ = resource
        first = keyed(api, path, body)
        made = path_of(first["Location"])
        api.delete(made)

        assert told(keyed(api, path, body)) == told(first)
        assert api.get(made).status_code == 404

    def test_what_would_be_refused_by_now_is_answered_too(self, api):
        secret = api.store("x")
        body = {"type": "generic", "secret_refs": [{"name": "a", "secret_ref": f"http://x{secret}"}]}
        first = keyed(api, "/v1/containers", body)
        api.delete(secret)

        assert keyed(api, "/v1/containers", body, "another").status_code == 404
        assert told(keyed(api, "/v1/containers", body)) == told(first)

    def test_need_no_quota(self, api, settings):
        settings.QUOTAS = settings.QUOTAS | {"secrets": 1}
        first = keyed(api, "/v1/secrets", TEXT)

        assert told(keyed(api, "/v1/secrets", TEXT)) == told(first)
        assert keyed(api, "/v1/secrets", TEXT, "another").status_code == 403

    def test_are_recorded_as_repeats(self, api, audited):
        made = keyed(api, "/v1/secrets", TEXT)
        keyed(api, "/v1/secrets", TEXT)

        subject = f"secret:{path_of(made['Location']).rpartition('/')[2]}"
        assert [record["acts"] for record in audited("POST /v1/secrets")] == [
            [{"action": "secret.created", "subject": subject}],
            [{"action": "request.repeated", "subject": subject}],
        ]

    def test_count_for_rate_limits(self, api, settings, tmp_path):
        rule = "{id: two, uri-regex: '.*', http-methods: ALL, unit: HOUR, value: 2}"
        (tmp_path / "limits.yaml").write_text(f"limits: [{rule}]")
        settings.LIMITS_FILE = str(tmp_path / "limits.yaml")
        settings.LIMITS_PROCESSES = 1
        limits.reset()

        try:
            statuses = [keyed(api, "/v1/secrets", {}).status_code for _ in range(3)]
        finally:
            settings.LIMITS_FILE = ""
            limits.reset()

        assert statuses == [201, 201, 429]

    @hypothesis_settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        asked=st.lists(
            st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["u1", "u2"])),
            max_size=8,
        )
    )
    def test_each_key_of_each_user_makes_one_object_of_its_first_body(self, callers, asked):
        run, accepted = new_id(), {}
        for key, name, user in asked:
            answer = keyed(callers[user], "/v1/secrets", {"name": run + name}, run + key)
            first_name, first_ref = accepted.setdefault((key, user), (name, answer.get("Location")))
            assert answer.status_code == (201 if name == first_name else 422)
            assert answer.get("Location") == (first_ref if name == first_name else None)

        assert Secret.objects.filter(name__startswith=run).count() == len(accepted)


@pytest.fixture
def callers(api):
    return {"u1": api, "u2": api.other(user="u2")}


class TestKeys:
    def test_with_another_body_are_refused(self, api, resource):
        path, body, _ = resource
        first = keyed(api, path, body)
        before = written_rows()

        refused = keyed(api, path, body | {"name": "another", "type": "certificate"})

        assert refused.status_code == 422
        assert refused.json()["title"] == "Unprocessable Content"
        assert "already used" in refused.json()["description"]
        assert written_rows() == before
        assert told(keyed(api, path, body)) == told(first)

    def test_of_another_resource_are_refused(self, api):
        keyed(api, "/v1/secrets", {})

        assert keyed(api, "/v1/containers", {}).status_code == 422

    @pytest.mark.parametrize("other", [{"user": "u2"}, {"project": "p2", "user": "u1"}], ids=str)
    def test_are_their_users_in_one_project(self, api, other):
        mine, theirs = (keyed(caller, "/v1/secrets", TEXT) for caller in (api, api.other(**other)))

        assert (mine.status_code, theirs.status_code) == (201, 201)
        assert mine["Location"] != theirs["Location"]

    def test_hold_whatever_credential_the_user_shows(self, api):
        assert told(keyed(api, "/v1/secrets", TEXT)) == told(keyed(api.other(user="u1"), "/v1/secrets", TEXT))

    def test_help_nobody_who_may_not_make_any(self, api):
        keyed(api, "/v1/secrets", TEXT)

        assert keyed(api.other(user="u1", roles=["reader"]), "/v1/secrets", TEXT).status_code == 403

    @pytest.mark.parametrize("key", MALFORMED, ids=repr)
    def test_malformed_ones_are_400(self, api, key):
        before = written_rows()

        refused = keyed(api, "/v1/secrets", TEXT, key)

        assert refused.status_code == 400
        assert "Idempotency-Key" in refused.json()["description"]
        assert written_rows() == before

    @pytest.mark.parametrize("key", ["x", "~" * 255, '"two words"', f'"{"x" * 255}"'], ids=repr)
    def test_well_formed_ones_are_taken(self, api, key):
        assert keyed(api, "/v1/secrets", {}, key).status_code == 201

    def test_of_refused_requests_are_free(self, api):
        assert keyed(api, "/v1/secrets", {"bit_length": 0}).status_code == 400
        assert keyed(api, "/v1/secrets", TEXT).status_code == 201

    def test_of_failed_requests_are_free(self, api, shim):
        api.store("makes the project's key")
        shim.answer(CKR_GENERAL_ERROR, "C_Encrypt")
        failed = keyed(api, "/v1/secrets", TEXT)
        shim.clear()

        assert failed.status_code >= 500
        assert keyed(api, "/v1/secrets", TEXT).status_code == 201
        assert Payload.objects.count() == 2

    def test_are_ignored_elsewhere(self, api):
        secret = api.store("x")

        assert api.get(secret, Idempotency_Key="").status_code == 200
        assert (
            api.post(f"{secret}/metadata", {"key": "a", "value": "b"}, Idempotency_Key="").status_code == 201
        )

    def test_are_ignored_where_none_counts(self, api, settings):
        settings.IDEMPOTENCY_H = 0.0

        assert keyed(api, "/v1/secrets", {}, "").status_code == 201
        assert not AcceptedRequest.objects.exists()

    def test_are_in_the_document(self):
        for path in ("/v1/secrets", "/v1/orders", "/v1/containers"):
            said = operation_of("POST", path)
            assert "Idempotency-Key" in [parameter.get("name") for parameter in said["parameters"]]
            assert {"400", "409", "422"} <= {*said["responses"]}


class TestRows:
    def test_hold_nothing_that_was_sent(self, api):
        keyed(api, "/v1/secrets", TEXT)

        kept = str(AcceptedRequest.objects.values_list().get())
        body = json.dumps(TEXT)
        digests = [hashlib.sha256(sent.encode()).hexdigest() for sent in (KEY, body, TEXT["payload"])]
        assert [sent for sent in (KEY, TEXT["payload"], "p1", "u1", api.key, *digests) if sent in kept] == []

    def test_of_the_same_body_differ_from_key_to_key(self, api):
        for key in ("a", "b"):
            keyed(api, "/v1/secrets", TEXT, key)

        assert len({*AcceptedRequest.objects.values_list("request_digest", flat=True)}) == 2

    def test_say_nothing_once_the_service_has_a_new_secret_key(self, api, settings):
        first = keyed(api, "/v1/secrets", TEXT)
        settings.SECRET_KEY = "another, of the same length or so: 0123456789abcdefghij"

        again = keyed(api, "/v1/secrets", TEXT)
        other = keyed(api, "/v1/secrets", {"name": "another body"})

        assert again.status_code == 201
        assert again["Location"] != first["Location"]
        assert other.status_code == 422

    def test_count_for_as_long_as_is_set(self, api, settings):
        first = keyed(api, "/v1/secrets", TEXT)
        age(hours=23, minutes=59)
        assert told(keyed(api, "/v1/secrets", TEXT)) == told(first)

        age(minutes=2)
        second = keyed(api, "/v1/secrets", {"name": "whatever"})

        assert second.status_code == 201
        assert told(keyed(api, "/v1/secrets", {"name": "whatever"})) == told(second)

    def test_are_removed_when_they_do_not_count_any_more(self, api, monkeypatch):
        monkeypatch.setattr(jobs, "BATCH_ROWS", 2)
        for key in "abcde":
            keyed(api, "/v1/secrets", {}, key)
        age(hours=25)
        keyed(api, "/v1/secrets", {}, "young")
        forget = registered_jobs()["idempotency-forget"].run

        assert not forget(time.monotonic() - 1)
        assert AcceptedRequest.objects.count() == 4
        assert forget(time.monotonic() + 40)
        assert AcceptedRequest.objects.count() == 1


@pytest.mark.django_db(transaction=True)
class TestTwins:
    """The same request several times at once, each past the look-up before any has committed."""

    @pytest.fixture
    def at_once(self, api, shim):
        api.store("makes the project's key")

        def ask():
            try:
                return keyed(Caller(api.key), "/v1/secrets", TEXT)
            finally:
                connection.close()

        def all_of_them():
            with ThreadPoolExecutor(TWINS) as threads:
                with shim.holding("C_Encrypt"):
                    answers = [threads.submit(ask) for _ in range(TWINS)]
                    wait_until(lambda: shim.held == TWINS)
                return [answer.result() for answer in answers]

        return all_of_them

    def test_make_one_object_and_all_learn_which(self, api, at_once):
        answers = at_once()

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer["Location"] for answer in answers}) == 1
        assert Secret.objects.count() == Payload.objects.count() == 2
        assert api.get(f"{path_of(answers[0]['Location'])}/payload").content == b"correct horse"

    def test_a_refusal_gives_way_to_what_the_twin_has_made(self, api):
        twins = []

        def make(_keyed):
            twins.append(keyed(api, "/v1/secrets", TEXT))  # and takes the last of a quota
            raise QuotaReached(resource="secrets", limit=1)

        request = RequestFactory(headers={"Idempotency-Key": KEY}).post("/v1/secrets")
        found = make_once(request, kind="secret", body=TEXT, make=make, caller=MEMBER)

        assert [path_of(twin["Location"]) for twin in twins] == [f"/v1/secrets/{found}"]

    def test_one_that_comes_second_makes_nothing_and_may_ask_again(self, api):
        now = timezone.now()
        twins = [KeyedRequest.of(KEY, caller=MEMBER, kind="secret", body={}, now=now) for _ in range(2)]
        create_secret(actor=MEMBER, description=Description(), keyed=twins[0])

        with pytest.raises(TwinInProgress) as refused:
            create_secret(actor=MEMBER, description=Description(), keyed=twins[1])

        assert Secret.objects.count() == 1
        answer = error_response(refused.value)
        assert (answer.status_code, answer["Retry-After"]) == (409, "1")

    def test_need_the_quota_of_one(self, at_once, settings):
        settings.QUOTAS = settings.QUOTAS | {"secrets": 2}

        assert {answer.status_code for answer in at_once()} == {201}
        assert Secret.objects.count() == 2
