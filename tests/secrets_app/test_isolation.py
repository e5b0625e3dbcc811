"""Who sees whose secrets: 403 for what exists elsewhere, 404 for what exists nowhere.

Source: spec/barbican-api.md §19.2, §23 row 22; the whole rule table is in tests/identity/test_policy.py.
"""

import pytest

from keepsite.keyring.models import ProjectKEK
from tests.support.rows import written_rows

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
UNKNOWN = "/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"


def attempts(path):
    """Every request on one secret: method, path, body, content type."""
    return {
        "object": ("GET", path, None, ""),
        "payload": ("GET", f"{path}/payload", None, ""),
        "put": ("PUT", path, b"x", "application/octet-stream"),
        "delete": ("DELETE", path, None, ""),
        "consumers": ("GET", f"{path}/consumers", None, ""),
        "register": ("POST", f"{path}/consumers", NOVA, "application/json"),
        "remove": ("DELETE", f"{path}/consumers", NOVA, "application/json"),
    }


NAMES = list(attempts(""))


@pytest.mark.parametrize("attempt", NAMES)
class TestAnotherProject:
    @pytest.mark.parametrize("roles", [["member"], ["reader"], ["nothing"]], ids=str)
    def test_its_secret_is_403_and_stays_as_it_is(self, api, attempt, roles):
        path = api.store("secret")
        before = written_rows()

        response = api.other(project="p2", roles=roles).call(*attempts(path)[attempt])

        assert response.status_code == 403
        assert response.json()["title"] == "Forbidden"
        assert written_rows() == before

    def test_a_missing_secret_is_404(self, api, attempt):
        assert api.other(project="p2").call(*attempts(UNKNOWN)[attempt]).status_code == 404

    def test_the_same_user_of_another_project_is_a_stranger(self, api, attempt):
        path = api.store("secret")

        assert api.other(project="p2", user="u1").call(*attempts(path)[attempt]).status_code == 403


class TestAdminOfAnotherProject:
    """Cinder deletes keys with its own service user: these two grants, and nothing more."""

    @pytest.mark.parametrize(
        ("attempt", "status"),
        {
            "object": 200,
            "payload": 403,
            "put": 403,
            "delete": 204,
            "consumers": 403,
            "register": 403,
            "remove": 403,
        }.items(),
    )
    def test_sees_and_deletes_and_never_reads(self, api, attempt, status):
        path = api.store("secret")

        assert api.other(project="p2", roles=["admin"]).call(*attempts(path)[attempt]).status_code == status


class TestSameProject:
    def test_members_share_the_projects_secrets(self, api):
        path = api.store("shared")
        colleague = api.other(project="p1", user="u2")

        assert colleague.get(f"{path}/payload").content == b"shared"
        assert colleague.get(path).json()["creator_id"] == "u1"

    @pytest.mark.parametrize("attempt", NAMES)
    def test_a_reader_may_nothing(self, api, attempt):
        path = api.store("x")

        assert api.other(roles=["reader"]).call(*attempts(path)[attempt]).status_code == 403

    @pytest.mark.parametrize(("method", "path"), [("GET", "/v1/secrets"), ("POST", "/v1/secrets")])
    def test_a_reader_may_neither_list_nor_create(self, api, method, path):
        assert api.other(roles=["reader"]).call(method, path, {}).status_code == 403

    def test_an_admin_may_what_a_member_may(self, api):
        admin = api.other(roles=["admin"])
        path = admin.store("x")

        assert admin.get("/v1/secrets").json()["total"] == 1
        assert admin.get(f"{path}/payload").content == b"x"

    def test_roles_are_compared_without_case(self, api):
        assert api.other(roles=["MEMBER"]).store("x")

    @pytest.mark.parametrize(
        "query", ["project_id=p1", "target.secret.project_id=p2", "roles=admin&user_id=u1"]
    )
    def test_nothing_in_the_query_is_believed(self, api, query):
        path = api.store("x")

        assert api.other(project="p2").get(f"{path}/payload?{query}").status_code == 403

    @pytest.mark.parametrize("header", ["X_Project_Id", "X_Roles", "X_User_Id", "X_Is_Admin_Project"])
    def test_no_identity_header_is_believed_in_local_mode(self, api, header):
        path = api.store("x")
        claim = {"X_Project_Id": "p1", "X_Roles": "admin", "X_User_Id": "u1"}.get(header, "True")

        assert api.other(project="p2").get(f"{path}/payload", **{header: claim}).status_code == 403


class TestCiphertexts:
    def test_projects_seal_under_different_keys(self, api):
        api.store("same")
        api.other(project="p2").store("same")

        assert ProjectKEK.objects.values("project").distinct().count() == 2
