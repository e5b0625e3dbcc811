"""Lists as files: complete, as filtered, harmless in a spreadsheet."""

import csv
import io
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keepsite.projects.models import Project
from keepsite.readonly import list_url
from secrets_app.models import Secret
from tests.console.plausible import fill
from tests.console.test_roles import MAY_EXPORT
from tests.support.callers import Caller

URL = "/admin/secrets_app/secret/export"


def text(answer):
    return b"".join(answer.streaming_content).decode()


def rows(answer):
    return list(csv.DictReader(io.StringIO(text(answer))))


def id_of(path):
    return path.rsplit("/", 1)[1]


@pytest.fixture
def caller(mkek):
    return Caller.make(project="p1")


@pytest.fixture
def named(mkek):
    project = Project.objects.create(external_id="p1")
    return lambda name, **fields: Secret.objects.create(project=project, name=name, **fields)


class TestExport:
    def test_holds_the_whole_list_and_no_payload(self, store, console):
        found = rows(console.get(f"{URL}/csv/"))

        assert {row["id"] for row in found} == set(Secret.objects.values_list("pk", flat=True))
        assert not [name for name in found[0] if "cipher" in name or name == "iv"]

    def test_is_narrowed_as_the_list(self, store, console):
        query = "?secret_type=symmetric&state=live&q=key"

        found = rows(console.get(f"{URL}/csv/{query}"))

        page = console.get(f"/admin/secrets_app/secret/{query}").context["page"]
        assert f"{len(found)} secrets" in page.summary.replace(",", "")
        assert {row["type"] for row in found} == {"symmetric"}

    def test_json_keeps_types(self, named, console):
        named("n", bit_length=256)

        (row,) = json.loads(text(console.get(f"{URL}/json/")))

        assert (row["name"], row["bit_length"], row["algorithm"]) == ("n", 256, None)

    @pytest.mark.parametrize("kind", ["csv", "json"])
    def test_an_empty_list_is_an_empty_file(self, mkek, console, kind):
        answer = text(console.get(f"{URL}/{kind}/"))

        assert (rows_of := answer.splitlines())
        assert len(rows_of) == 1
        assert kind == "csv" or json.loads(answer) == []

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"], ids=repr)
    def test_no_cell_is_a_formula(self, named, console, start):
        named(f'{start}HYPERLINK("https://elsewhere.example")')

        (row,) = rows(console.get(f"{URL}/csv/"))

        assert row["name"].startswith("'")

    def test_takes_one_statement_per_thousand_rows(self, mkek, console):
        fill(projects=3, secrets=2_500, orders=0)

        with CaptureQueriesContext(connection) as queries:
            found = rows(console.get(f"{URL}/csv/"))

        assert len(found) == 2_500
        assert sum("LIMIT 1000" in query["sql"] for query in queries) == 3

    def test_is_audited_with_its_filters(self, store, console, audited):
        console.get(f"{URL}/csv/?state=live")

        (record,) = audited("secret.exported")
        assert (record["user_id"], record["reason"]) == ("olga", "state=live")

    def test_comes_as_a_file(self, store, console):
        answer = console.get(f"{URL}/csv/")

        assert answer["Content-Disposition"].startswith('attachment; filename="keepsite-secret-')
        assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize("model", MAY_EXPORT)
    def test_other_lists_come_too(self, store, console, model):
        found = rows(console.get(f"{list_url(model)}export/csv/"))

        assert len(found) == model.objects.count() > 0
        assert not [name for name in found[0] if "sha256" in name]

    def test_consumers_say_who_uses_what(self, caller, console):
        secret_id = id_of(caller.store("x", name="volume key"))
        caller.post(
            f"/v1/secrets/{secret_id}/consumers",
            {"service": "compute", "resource_type": "instance", "resource_id": "4711"},
        )

        (row,) = rows(console.get("/admin/secrets_app/secretconsumer/export/csv/"))

        told = ("secret_id", "secret_name", "secret_project", "service", "resource_id", "registered_by")
        assert [row[name] for name in told] == [secret_id, "volume key", "p1", "compute", "4711", "p1"]
        assert row["removed"] == ""

    def test_acls_name_everybody_they_let_read(self, caller, console):
        secret_id, other_id = (id_of(caller.store("x", name=name)) for name in "ab")
        for one, users in ((secret_id, ["u3", "u2"]), (other_id, [])):
            read = {"project-access": False, "users": users}
            caller.put(f"/v1/secrets/{one}/acl", {"read": read}, content_type="application/json")

        found = json.loads(text(console.get("/admin/secrets_app/acl/export/json/")))
        in_csv = rows(console.get("/admin/secrets_app/acl/export/csv/?q=u2"))

        users = {row["secret_id"]: (row["project"], row["project_access"], row["users"]) for row in found}
        assert users == {secret_id: ("p1", False, ["u2", "u3"]), other_id: ("p1", False, [])}
        assert [row["users"] for row in in_csv] == ["u2 u3"]

    def test_what_a_row_has_several_of_takes_one_statement_more_per_page(self, store, console):
        with CaptureQueriesContext(connection) as queries:
            found = rows(console.get("/admin/secrets_app/acl/export/csv/"))

        assert sum(bool(row["users"]) for row in found) > 1
        users = connection.ops.quote_name("secrets_app_acluser")
        assert sum(f"INNER JOIN {users}" in query["sql"] for query in queries) == 1

    def test_other_formats_do_not_exist(self, store, console):
        assert console.get(f"{URL}/xlsx/").status_code == 404
