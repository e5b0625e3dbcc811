"""API keys in the console: made and shown once, listed without the key, revoked at once."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from keepsite.identity.models import APIKey
from keepsite.readonly import detail_url, list_url
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url
from tests.support.callers import Caller

CREATE = act_url(APIKey, "create")
KEY = re.compile(r"ks_[0-9a-f]{32}_[A-Za-z0-9_-]{43}")


def filled(console, **fields):
    """The form for a new key, filled in as the page gave it."""
    form = console.get(CREATE).context["page"].form
    return {
        "name": "backup job",
        "project": "p-new",
        "user": "svc-backup",
        "roles": "member, reader",
        "expires_on": "2100-01-31",
        "reason": "ticket 1",
        "key_id": form["key_id"].value(),
        **fields,
    }


@pytest.fixture
def caller(mkek):
    return Caller.make(project="p1")


@pytest.fixture
def key(caller):
    return APIKey.objects.get()


class TestMake:
    def test_the_page_shows_a_key_that_opens_the_api(self, mkek, console):
        answer = console.post(CREATE, filled(console))

        key = KEY.search(answer.content.decode())[0]
        assert Caller(key).get("/v1/secrets").status_code == 200
        row = APIKey.objects.get()
        assert (row.project.external_id, row.user_id, row.roles) == (
            "p-new",
            "svc-backup",
            ["member", "reader"],
        )
        assert row.expires_at.isoformat() == "2100-02-01T00:00:00+00:00"

    def test_no_cache_may_keep_that_page(self, console):
        assert "no-store" in console.post(CREATE, filled(console))["Cache-Control"]

    def test_sent_again_it_neither_shows_nor_makes_one(self, console):
        fields = filled(console)
        console.post(CREATE, fields)

        again = console.post(CREATE, fields).content.decode()

        assert not KEY.search(again)
        assert "has been made already" in again
        assert APIKey.objects.count() == 1

    def test_no_other_page_shows_it(self, console):
        key = KEY.search(console.post(CREATE, filled(console)).content.decode())[0]
        row = APIKey.objects.get()

        for url in (list_url(APIKey), detail_url(APIKey, row.pk), CREATE, f"/admin/search/?q={row.pk}"):
            html = console.get(url).content.decode()
            assert key not in html
            assert key.split("_", 2)[2] not in html
            assert row.sha256 not in html

    def test_is_audited_with_who_and_why_and_without_the_key(self, console, audited):
        key = KEY.search(console.post(CREATE, filled(console)).content.decode())[0]

        (record,) = audited("api_key.created")

        assert (record["user_id"], record["method"], record["reason"]) == ("olga", "console", "ticket 1")
        assert record["before"] == {}
        assert record["after"]["roles"] == ["member", "reader"]
        assert key.split("_", 2)[2] not in str(record)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"reason": ""},
            {"roles": " , "},
            {"project": ""},
            {"expires_on": "2001-01-01"},
            {"expires_on": "9999-12-31"},
            {"key_id": "forged"},
        ],
        ids=str,
    )
    def test_what_is_wrong_makes_nothing_and_says_so(self, console, wrong):
        answer = console.post(CREATE, filled(console, **wrong))

        form = answer.context["page"].form
        assert form.errors
        assert not APIKey.objects.exists()


class TestRevoke:
    def revoke(self, console, key, **fields):
        return console.post(
            act_url(APIKey, "revoke", key.pk), {"reason": "leaked", "typed": str(key), **fields}
        )

    def test_ends_it_at_once(self, console, caller, key):
        assert caller.get("/v1/secrets").status_code == 200

        assert self.revoke(console, key).url == detail_url(APIKey, key.pk)

        assert caller.get("/v1/secrets").status_code == 401

    def test_is_audited_with_before_and_after(self, console, key, audited):
        self.revoke(console, key)

        (record,) = audited("api_key.revoked")
        assert (record["user_id"], record["reason"]) == ("olga", "leaked")
        assert record["before"]["revoked_at"] is None
        assert record["after"]["revoked_at"].startswith("20")

    @pytest.mark.parametrize("wrong", [{"reason": ""}, {"typed": ""}, {"typed": "another"}], ids=str)
    def test_asks_for_reason_and_name(self, console, key, wrong):
        assert self.revoke(console, key, **wrong).status_code == 200
        key.refresh_from_db()
        assert key.revoked_at is None

    def test_several_at_once(self, console, caller, key):
        caller.other(user="u2")
        ids = list(APIKey.objects.values_list("pk", flat=True))

        console.post(act_url(APIKey, "revoke"), {"id": ids, "reason": "moved", "typed": "revoke 2"})

        assert not APIKey.objects.filter(revoked_at=None).exists()

    def test_is_not_offered_twice(self, console, key):
        self.revoke(console, key)

        assert "Revoke" not in {act.label for act in console.get(detail_url(APIKey, key.pk)).context["acts"]}
        assert console.get(act_url(APIKey, "revoke", key.pk)).context["page"].form is None


class TestRecentLogin:
    @pytest.fixture
    def later(self, console):
        """The same client, logged in an hour ago."""
        session = console.session
        session["proven_at"] -= 3600
        session.save()
        return console

    def test_is_asked_for_again(self, later, key, audited):
        url = act_url(APIKey, "revoke", key.pk)
        fields = {"reason": "leaked", "typed": str(key)}

        for password in ("", "wrong"):
            answer = later.post(url, {**fields, "password": password})
            assert answer.context["page"].form.errors["password"]
            assert PASSWORD not in answer.content.decode()
        assert later.post(url, {**fields, "password": PASSWORD}).status_code == 302

        assert audited("operator.login_refused")
        key.refresh_from_db()
        assert key.revoked_at

    def test_holds_for_the_next_act(self, later, caller, key):
        fields = {"reason": "leaked", "typed": str(key), "password": PASSWORD}
        later.post(act_url(APIKey, "revoke", key.pk), fields)
        caller.other(user="u2")
        other = APIKey.objects.get(user_id="u2")

        page = later.get(act_url(APIKey, "revoke", other.pk)).context["page"]

        assert "password" not in page.form.fields

    def test_is_not_asked_for_what_can_be_undone(self, later):
        assert "password" not in later.get(CREATE).context["page"].form.fields


class TestList:
    @pytest.mark.parametrize(
        ("choice", "found"), [("7", {"soon"}), ("30", {"soon", "later"}), ("never", {"tests"})]
    )
    def test_filters_by_what_expires(self, console, caller, key, choice, found):
        for name, days in (("soon", 5), ("later", 25), ("gone", -1)):
            APIKey.objects.create(
                name=name, project=key.project, user_id="u", expires_at=timezone.now() + timedelta(days=days)
            )

        page = console.get(list_url(APIKey), {"expiring": choice}).context["page"]

        assert {str(row.name) for row in page.table.rows} == found

    def test_says_when_a_key_was_last_used(self, console, caller, key):
        APIKey.objects.update(last_used_at="2026-01-31T12:34:00Z")

        assert "2026-01-31 12:34" in console.get(list_url(APIKey)).content.decode()
