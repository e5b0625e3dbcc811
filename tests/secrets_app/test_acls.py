import pytest

from secrets_app.models import ACL, ACLUser

DEFAULT = {"read": {"project-access": True}}


def make_container(api, **fields):
    response = api.post("/v1/containers", {"type": "generic", **fields})
    assert response.status_code == 201, response.content
    return "/v1/containers/" + response.json()["container_ref"].rpartition("/")[2]


@pytest.fixture(params=["secret", "container"])
def path(request, api):
    """The ACL of either kind of object; the rules are the same below both."""
    return (api.store("hello") if request.param == "secret" else make_container(api)) + "/acl"


def read_of(api, path):
    return api.get(path).json()["read"]


class TestGet:
    def test_object_without_acl_shows_exactly_the_default(self, api, path):
        assert api.get(path).json() == DEFAULT

    def test_acl_shows_access_users_and_times_without_zone(self, api, path):
        api.call("PUT", path, {"read": {"users": ["u9", "u8"], "project-access": False}})

        read = read_of(api, path)

        assert (read["project-access"], read["users"]) == (False, ["u8", "u9"])
        assert not read["created"].endswith("Z")
        assert {*read} == {"project-access", "users", "created", "updated"}


class TestPut:
    def test_first_one_answers_200_and_the_ref(self, api, path):
        response = api.call("PUT", path, {"read": {"users": ["u9"]}})

        assert response.status_code == 200
        assert response.json() == {"acl_ref": f"http://testserver{path}"}

    def test_what_is_left_out_gets_its_default(self, api, path):
        api.call("PUT", path, {"read": {"users": ["u9"], "project-access": False}})

        api.call("PUT", path, {"read": {"project-access": True}})

        assert read_of(api, path)["users"] == []

        api.call("PUT", path, {"read": {"users": ["u9", "u9"]}})
        assert read_of(api, path)["project-access"] is True
        assert read_of(api, path)["users"] == ["u9"]

    @pytest.mark.parametrize("body", [{}, {"read": {}}], ids=["empty", "empty read"])
    def test_nothing_wanted_takes_the_acl_away(self, api, path, body):
        api.call("PUT", path, {"read": {"users": ["u9"]}})

        assert api.call("PUT", path, body).status_code == 200

        assert api.get(path).json() == DEFAULT
        assert ACL.objects.count() == ACLUser.objects.count() == 0

    @pytest.mark.parametrize(
        "body",
        [
            {"write": {}},
            {"read": None},
            {"read": []},
            {"read": {"users": "u9"}},
            {"read": {"users": None}},
            {"read": {"users": ["a", 1]}},
            {"read": {"users": [""]}},
            {"read": {"users": ["x" * 256]}},
            {"read": {"project-access": "true"}},
            {"read": {"project-access": None}},
            {"read": {"project_access": True}},
            {"read": {"creator-only": True}},
        ],
        ids=str,
    )
    def test_what_an_acl_does_not_know_is_refused_and_nothing_is_written(self, api, path, body):
        response = api.call("PUT", path, body)

        assert response.status_code == 400
        assert "ACL" in response.json()["description"]
        assert not ACL.objects.exists()


class TestPatch:
    def test_what_is_left_out_stays(self, api, path):
        api.call("PUT", path, {"read": {"users": ["u9"], "project-access": False}})

        api.call("PATCH", path, {"read": {"project-access": True}})
        assert read_of(api, path)["users"] == ["u9"]

        api.call("PATCH", path, {"read": {"users": []}})
        assert (read_of(api, path)["users"], read_of(api, path)["project-access"]) == ([], True)

    def test_nothing_wanted_changes_nothing(self, api, path):
        assert api.call("PATCH", path, {}).status_code == 200

        assert api.get(path).json() == DEFAULT


class TestDelete:
    def test_answers_200_and_null_also_the_second_time(self, api, path):
        api.call("PUT", path, {"read": {"users": ["u9"]}})

        for _ in range(2):
            response = api.delete(path)
            assert (response.status_code, response.content) == (200, b"null")
            assert response["Content-Type"] == "application/json"

        assert api.get(path).json() == DEFAULT


class TestMeaning:
    def test_named_user_of_another_project_without_role_reads_and_nothing_more(self, api):
        secret = api.store("hello")
        api.call("PUT", f"{secret}/acl", {"read": {"users": ["guest"]}})
        guest = api.other(project="p2", user="guest", roles=["nothing"])

        assert guest.get(secret).status_code == 200
        assert guest.get(f"{secret}/payload", Accept="text/plain").content == b"hello"
        assert guest.get(f"{secret}/metadata").status_code == 200
        use = {"service": "s", "resource_type": "t", "resource_id": "r"}
        assert guest.post(f"{secret}/consumers", use).status_code == 200
        assert guest.delete(f"{secret}/consumers", use).status_code == 200
        assert guest.get(f"{secret}/acl").status_code == 403
        assert guest.call("PUT", f"{secret}/acl", {}).status_code == 403
        assert guest.delete(secret).status_code == 403

    def test_user_taken_off_the_acl_is_shut_out_at_once(self, api):
        secret = api.store("hello")
        guest = api.other(project="p2", user="guest")
        api.call("PUT", f"{secret}/acl", {"read": {"users": ["guest"]}})
        assert guest.get(secret).status_code == 200

        api.call("PATCH", f"{secret}/acl", {"read": {"users": []}})

        assert guest.get(secret).status_code == 403

    def test_private_secret_is_for_creator_and_admin(self, api):
        secret = api.store("hello")
        api.call("PUT", f"{secret}/acl", {"read": {"project-access": False}})

        assert api.get(f"{secret}/payload").status_code == 200
        assert api.other(user="colleague").get(secret).status_code == 403
        assert api.other(user="boss", roles=["admin"]).get(f"{secret}/payload").status_code == 200
        assert api.other(user="colleague").get("/v1/secrets").json()["total"] == 1

    def test_acl_only_lists_what_names_the_caller_from_any_project(self, api):
        named = api.store("hello", name="named")
        api.store("hello", name="not named")
        api.call("PUT", f"{named}/acl", {"read": {"users": ["guest"]}})
        guest = api.other(project="p2", user="guest")

        found = guest.get("/v1/secrets?acl_only=TRUE").json()

        assert [secret["name"] for secret in found["secrets"]] == ["named"]
        assert guest.get("/v1/secrets").json()["total"] == 0
        assert api.get("/v1/secrets?acl_only=true").json()["total"] == 0

    def test_container_acl_does_not_open_the_secrets_in_it(self, api):
        secret = api.store("hello")
        container = make_container(
            api, secret_refs=[{"name": "x", "secret_ref": f"http://testserver{secret}"}]
        )
        api.call("PUT", f"{container}/acl", {"read": {"users": ["guest"]}})
        guest = api.other(project="p2", user="guest")

        assert guest.get(container).status_code == 200
        assert guest.get(secret).status_code == 403
