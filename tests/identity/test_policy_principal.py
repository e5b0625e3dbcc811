import pytest

from keepsite.errors import InvalidInput
from keepsite.identity.principal import Principal


def principal(**overrides) -> Principal:
    fields = {"project_id": "p", "user_id": "u", "roles": frozenset(), "method": "local"}
    return Principal(**fields | overrides)


class TestPrincipal:
    def test_roles_are_kept_in_lower_case(self):
        assert principal(roles=frozenset({"Member", "READER"})).roles == {"member", "reader"}

    def test_passes_for_an_authenticated_user(self):
        assert principal().is_authenticated
        assert not principal().is_anonymous

    def test_limits_count_by_user_or_else_by_project(self):
        assert principal().pk == "u"
        assert principal(user_id=None).pk == "p"

    @pytest.mark.parametrize("project_id", ["", "p" * 256], ids=["empty", "256 characters"])
    def test_a_project_id_out_of_bounds_is_refused(self, project_id):
        with pytest.raises(InvalidInput, match="1 to 255 characters"):
            principal(project_id=project_id)

    def test_the_longest_project_id_is_taken(self):
        assert len(principal(project_id="p" * 255).project_id) == 255


class TestWithImpliedRoles:
    @pytest.mark.parametrize(
        ("given", "held"),
        [
            ({"admin"}, {"admin", "member", "reader"}),
            ({"member"}, {"member", "reader"}),
            ({"reader"}, {"reader"}),
            ({"creator"}, {"creator"}),
            ({"observer", "audit"}, {"observer", "audit"}),
            ({"key-manager:service-admin"}, {"key-manager:service-admin"}),
            (set(), set()),
        ],
        ids=str,
    )
    def test_admin_implies_member_implies_reader(self, given, held):
        assert principal(roles=frozenset(given)).with_implied_roles().roles == held

    def test_nothing_else_changes(self):
        caller = principal(roles=frozenset({"reader"}), credential_id="key-1", system_scope="all")

        assert caller.with_implied_roles() == caller
