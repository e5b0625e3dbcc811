from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite.keyring.models import ProjectKEK
from keepsite.prepared import Prepared
from secrets_app.lookups import LIVE_SECRET, LIVE_SECRET_WITH_PAYLOAD
from secrets_app.models import Secret


def columns_of(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


class TestFirst:
    @pytest.mark.parametrize(
        "fields", [{}, {"expiration": "2099-01-31T12:00:00.25", "name": "%s"}], ids=["bare", "full"]
    )
    def test_row_is_what_the_queryset_returns(self, api, fields):
        secret_id = api.store("hello", **fields).rpartition("/")[2]

        found = LIVE_SECRET_WITH_PAYLOAD.first(id=secret_id, user_id="u1", now=timezone.now())

        wanted = Secret.objects.with_payload().get(id=secret_id)
        assert columns_of(found) == columns_of(wanted)
        assert columns_of(found.project) == columns_of(wanted.project)
        assert columns_of(found.payload) == columns_of(wanted.payload)
        assert columns_of(found.payload.pkek.mkek) == columns_of(wanted.payload.pkek.mkek)

    def test_related_rows_come_with_the_one_statement(self, api):
        secret_id = api.store("hello").rpartition("/")[2]

        with CaptureQueriesContext(connection) as statements:
            found = LIVE_SECRET_WITH_PAYLOAD.first(id=secret_id, user_id="u1", now=timezone.now())
            assert found.payload.pkek.mkek.state == "current"

        assert len(statements) == 1

    def test_missing_related_row_is_missing(self, api):
        secret_id = api.store().rpartition("/")[2]

        found = LIVE_SECRET_WITH_PAYLOAD.first(id=secret_id, user_id="u1", now=timezone.now())

        with pytest.raises(Secret.payload.RelatedObjectDoesNotExist):
            _ = found.payload

    def test_every_value_counts_each_time(self, api):
        secret_id = api.store(expiration="2099-01-01").rpartition("/")[2]
        long_after = timezone.now() + timedelta(days=365 * 200)

        assert LIVE_SECRET.first(id=secret_id, user_id="u1", now=timezone.now()).id == secret_id
        assert LIVE_SECRET.first(id=secret_id, user_id="u1", now=long_after) is None
        assert LIVE_SECRET.first(id="another", user_id="u1", now=timezone.now()) is None

    def test_value_that_the_statement_does_not_use_is_refused(self, db):
        forgetful = Prepared(lambda id: ProjectKEK.objects.all(), texts=("id",))  # noqa: A006

        with pytest.raises(TypeError, match="id"):
            forgetful.first(id="x")
