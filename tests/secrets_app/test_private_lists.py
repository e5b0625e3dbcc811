"""Private secrets in the project's list: shown to all as in Barbican, or hidden from who may not read."""

import pytest

from keepsite.api import totals
from keepsite.identity import policy

OWN, SHUT, NAMED, OPEN, LISTED = "own private", "private", "private, names u2", "open", "open, names u3"
ALL = [OWN, SHUT, NAMED, OPEN, LISTED]


@pytest.fixture
def hides(settings):
    settings.HIDE_PRIVATE_SECRETS = True


@pytest.fixture
def shelf(api):
    """Five secrets of project p1, four of them by u1 and the first by u2; paths by name."""
    acls = {
        OWN: {"project-access": False},
        SHUT: {"project-access": False},
        NAMED: {"project-access": False, "users": ["u2"]},
        LISTED: {"users": ["u3"]},
    }
    paths = {}
    for name in ALL:
        maker = api.other(user="u2") if name == OWN else api
        paths[name] = maker.store(name=name)
        if name in acls:
            assert maker.call("PUT", f"{paths[name]}/acl", {"read": acls[name]}).status_code == 200
    return paths


def listed(caller, query=""):
    body = caller.get(f"/v1/secrets?{query}").json()
    return [secret["name"] for secret in body["secrets"]], body["total"]


class TestByDefault:
    def test_all_are_shown(self, api, shelf):
        assert listed(api.other(user="u4")) == (ALL, 5)


@pytest.mark.usefixtures("hides")
class TestHidden:
    @pytest.mark.parametrize(
        ("user", "roles", "hidden"),
        [
            ("u1", ["member"], [OWN]),
            ("u2", ["member"], [SHUT]),
            ("u3", ["member"], [OWN, SHUT, NAMED]),
            ("boss", ["admin"], []),
        ],
        ids=["creator", "creator of another and named", "named by an open one", "admin"],
    )
    def test_what_one_may_not_read_and_nothing_else(self, api, shelf, user, roles, hidden):
        caller = api.other(user=user, roles=roles)
        shown = [name for name in ALL if name not in hidden]

        assert listed(caller) == (shown, len(shown))
        for name, path in shelf.items():
            assert caller.get(path).status_code == (403 if name in hidden else 200), name

    def test_filters_pages_and_markers_go_by_what_is_left(self, api, shelf):
        third = api.other(user="u3")

        assert listed(third, "name=private%25") == ([], 0)
        assert listed(third, "limit=1&offset=1") == ([LISTED], 2)
        assert listed(third, f"marker={shelf[OPEN]}") == ([LISTED], 2)
        assert listed(third, f"marker={shelf[SHUT]}") == ([], 2)

    def test_the_policy_file_decides_who_may_read(self, api, shelf, settings, tmp_path):
        file = tmp_path / "policy.yaml"
        file.write_text('"secret:get": "role:member and project_id:%(target.secret.project_id)s"\n')
        settings.POLICY_FILE = str(file)
        policy.reset()
        try:
            assert listed(api.other(user="u3")) == (ALL, 5)
        finally:
            settings.POLICY_FILE = ""
            policy.reset()

    def test_a_changed_acl_counts_at_once_in_long_lists(self, api, shelf, monkeypatch):
        monkeypatch.setattr(totals, "LONG", 1)
        third = api.other(user="u3")
        assert [listed(third)[1] for _ in range(3)] == [2, 2, 2]

        api.call("PUT", f"{shelf[OPEN]}/acl", {"read": {"project-access": False}})

        assert listed(third) == ([LISTED], 1)
        assert listed(api.other(user="boss", roles=["admin"])) == (ALL, 5)

    def test_those_that_name_the_caller_are_listed_as_ever(self, api, shelf):
        assert listed(api.other(project="p2", user="u2"), "acl_only=true") == ([NAMED], 1)
