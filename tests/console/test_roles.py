"""What each role may do, page by page: what is not permitted is 403, and not offered."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command

from keepsite.console.roles import AUDITOR, CRYPTO_OFFICER, OPERATOR, ROLES, VIEWER
from keepsite.identity.models import APIKey
from keepsite.operators.models import Lockout
from keepsite.readonly import list_url
from keepsite.trail.models import AuditRecord
from orders_app.models import Order
from secrets_app.models import ACL, Container, ContainerConsumer, Secret, SecretConsumer
from tests.console.pages import act_url, declared_acts, models, rows
from tests.console.plausible import fill

# Who may do what: written out, so that a changed table shows in review.
MAY_ACT = {
    ("APIKey", "create"): {OPERATOR},
    ("APIKey", "revoke"): {OPERATOR},
    ("Project", "quota"): {OPERATOR},
    ("Project", "suspend"): {OPERATOR},
    ("Project", "resume"): {OPERATOR},
    ("Secret", "withdraw"): {OPERATOR},
    ("Secret", "expire"): {OPERATOR},
    ("Secret", "restore"): {OPERATOR},
    ("Secret", "purge"): {CRYPTO_OFFICER},
    ("Secret", "purge-overdue"): {CRYPTO_OFFICER},
    ("Container", "restore"): {OPERATOR},
    ("Container", "withdraw"): {OPERATOR},
    ("Container", "purge"): {CRYPTO_OFFICER},
    ("Container", "purge-overdue"): {CRYPTO_OFFICER},
    ("Order", "retry"): {OPERATOR},
    ("Order", "cancel"): {OPERATOR},
    ("Order", "restore"): {OPERATOR},
    ("Order", "withdraw"): {OPERATOR},
    ("Order", "purge"): {CRYPTO_OFFICER},
    ("Order", "purge-overdue"): {CRYPTO_OFFICER},
    ("AuditChain", "verify"): {AUDITOR},
    ("ActRequest", "approve"): {CRYPTO_OFFICER},  # whoever may do what is asked for: here to purge a secret
    ("ActRequest", "refuse"): {CRYPTO_OFFICER},
    ("Lockout", "release"): {OPERATOR},
    ("User", "remove-second-factor"): set(),  # it takes all rights
    ("MKEK", "generate"): {CRYPTO_OFFICER},
    ("MKEK", "activate"): {CRYPTO_OFFICER},
    ("MKEK", "rewrap"): {CRYPTO_OFFICER},
    ("MKEK", "retire"): {CRYPTO_OFFICER},
    ("ProjectKEK", "rotate-now"): {OPERATOR, CRYPTO_OFFICER},
    ("ProjectKEK", "reencrypt-now"): {OPERATOR, CRYPTO_OFFICER},
    ("KEKRun", "rotate"): {OPERATOR, CRYPTO_OFFICER},
    ("KEKRun", "reencrypt"): {OPERATOR, CRYPTO_OFFICER},
    ("KEKRun", "rewrap"): {CRYPTO_OFFICER},
    **{
        ("KEKRun", verb): {OPERATOR, CRYPTO_OFFICER}
        for verb in ("pause", "resume", "retry", "pace", "cancel")
    },
    **{
        ("KEKRun", f"{verb}-rewrap"): {CRYPTO_OFFICER}
        for verb in ("pause", "resume", "retry", "pace", "cancel")
    },
    ("Node", "drain"): {OPERATOR},
    ("Node", "undrain"): {OPERATOR},
    ("Node", "colour"): {OPERATOR},
    ("Node", "offline"): {OPERATOR},
    ("Node", "forget"): {OPERATOR},
    ("Promotion", "start"): {OPERATOR},
    ("Promotion", "resume"): {OPERATOR},
    ("Promotion", "rollback"): {OPERATOR},
    ("Notice", "acknowledge"): {OPERATOR, CRYPTO_OFFICER},
    ("HSMMember", "release"): {OPERATOR, CRYPTO_OFFICER},
    ("DeadLetter", "replay"): {OPERATOR},
    ("DeadLetter", "discard"): {OPERATOR},
}
MAY_EXPORT = {
    ACL: {OPERATOR, AUDITOR},
    APIKey: {OPERATOR, AUDITOR},
    Container: {OPERATOR, AUDITOR},
    ContainerConsumer: {OPERATOR, AUDITOR},
    Order: {OPERATOR, AUDITOR},
    Secret: {OPERATOR, AUDITOR},
    SecretConsumer: {OPERATOR, AUDITOR},
    AuditRecord: {AUDITOR},
}
SEEN_BY = {User: {AUDITOR}, Lockout: {OPERATOR, AUDITOR}}  # the rest by every role
NOBODY = None
EVERYBODY = [*ROLES, NOBODY]


@pytest.fixture
def store(mkek):
    """Rows of every kind and state, few of each: every role looks at all of them."""
    fill(projects=6, secrets=16, orders=12)


def page_of(model, act):
    pk = None if act.scope == "list" else model.objects.order_by("pk").first().pk
    return act_url(model, act.name, pk)


@pytest.mark.parametrize("role", EVERYBODY)
class TestPages:
    def test_lists_and_pages(self, store, console_of, role):
        console = console_of(role)

        for model in models():
            may = role is not NOBODY and role in SEEN_BY.get(model, EVERYBODY)
            pk = model.objects.order_by("pk").first().pk
            for url in (list_url(model), f"{list_url(model)}{pk}/"):
                assert console.get(url).status_code == (200 if may else 403), url

    def test_acts(self, store, console_of, role):
        console = console_of(role)

        for model, act in declared_acts():
            may = role in MAY_ACT[model.__name__, act.name]
            assert console.get(page_of(model, act)).status_code == (200 if may else 403), (model, act.name)

    def test_what_is_forbidden_does_nothing_when_sent(self, store, console_of, role):
        console = console_of(role)
        before = rows()

        for model, act in declared_acts():
            if role not in MAY_ACT[model.__name__, act.name]:
                fields = {
                    "reason": "r",
                    "typed": "x",
                    "id": list(model.objects.values_list("pk", flat=True)[:3]),
                }
                assert console.post(page_of(model, act), fields).status_code == 403, act.name

        assert rows() == before

    def test_only_what_is_permitted_is_offered(self, store, console_of, role):
        console = console_of(role)

        seen = [model for model in models() if role in SEEN_BY.get(model, EVERYBODY)]
        for model in seen:
            offered = set()
            for url in [list_url(model), *(f"{list_url(model)}{pk}/" for pk in _some(model))]:
                context = console.get(url).context or {}
                for name in ("acts", "list_acts", "row_acts"):
                    offered |= {button.name for button in context.get(name) or ()}
            allowed = {
                name for (noun, name), who in MAY_ACT.items() if noun == model.__name__ and role in who
            }
            assert offered == allowed, model

    def test_exports(self, store, console_of, role):
        console = console_of(role)

        for model, who in MAY_EXPORT.items():
            assert (console.get(f"{list_url(model)}export/csv/").status_code == 200) == (role in who)
            if role is not NOBODY:
                assert bool(console.get(list_url(model)).context["exports"]) == (role in who)

    def test_overview_and_navigation_show_what_may_be_seen(self, store, console_of, role):
        context = console_of(role).get("/admin/").context

        places = {place.label for group in context["navigation"] for place in group.places}
        assert ("Secrets" in places) == (role is not NOBODY)
        assert ("Operators" in places) == (role == AUDITOR)
        assert bool(context["page"].parts) == (role is not NOBODY)


def _some(model):
    """Rows in many states."""
    return model.objects.order_by("pk").values_list("pk", flat=True)[:200]


class TestGroups:
    def test_every_act_is_in_the_table_above(self):
        assert {(model.__name__, act.name) for model, act in declared_acts()} == MAY_ACT.keys()

    def test_every_list_with_an_export_is_in_the_table_above(self):
        exporting = {model for model in models() if getattr(admin.site._registry[model], "export_fields", {})}
        assert exporting == MAY_EXPORT.keys()

    @pytest.mark.parametrize("role", ROLES)
    def test_each_has_exactly_what_its_role_says(self, db, role):
        found = Permission.objects.filter(group__name=role).select_related("content_type")

        names = {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}
        assert names == ROLES[role]

    def test_migrate_puts_right_what_was_changed_and_leaves_other_groups(self, db):
        group = Group.objects.get(name=VIEWER)
        purge = Permission.objects.get(codename="purge_secret")
        group.permissions.set([purge])
        own = Group.objects.create(name="our own")
        own.permissions.add(purge)

        call_command("migrate", verbosity=0)

        assert purge not in group.permissions.all()
        assert group.permissions.filter(codename="view_secret").exists()
        assert list(own.permissions.all()) == [purge]

    def test_acts_name_permissions_that_exist(self, db):
        known = {
            f"{p.content_type.app_label}.{p.codename}"
            for p in Permission.objects.select_related("content_type")
        }

        assert {act.permission for _, act in declared_acts()} <= known

    def test_superusers_may_do_everything(self, store, console):
        assert {console.get(page_of(model, act)).status_code for model, act in declared_acts()} == {200}


class TestCommand:
    def test_makes_an_operator_of_a_role(self, db, capsys):
        call_command("operator", "create", "--username", "nils", "--role", "viewer", "--role", "auditor")

        nils = User.objects.get()
        assert not nils.is_superuser
        assert {group.name for group in nils.groups.all()} == {VIEWER, AUDITOR}

    def test_changes_roles(self, db, capsys, audited):
        call_command("operator", "create", "--username", "nils")
        call_command("operator", "roles", "--username", "nils", "--role", "crypto officer")

        nils = User.objects.get()
        assert not nils.is_superuser
        assert nils.has_perm("secrets_app.purge_secret")
        (record,) = audited("operator.roles_set")
        assert record["before"] == {"has_all_rights": True, "roles": []}
        assert record["after"] == {"has_all_rights": False, "roles": [CRYPTO_OFFICER]}

    def test_without_a_role_all_rights_come_back(self, db, capsys):
        call_command("operator", "create", "--username", "nils", "--role", "viewer")
        call_command("operator", "roles", "--username", "nils")

        assert User.objects.get().is_superuser


class TestRegistry:
    def test_export_fields_name_nothing_unseen(self):
        for model_admin in admin.site._registry.values():
            fields = {
                *getattr(model_admin, "export_fields", {}).values(),
                *getattr(model_admin, "export_lists", {}).values(),
            }
            assert not fields & set(model_admin.unseen)
            assert not [field for field in fields if "cipher" in field or "sha256" in field]
