"""API keys: shown once, stored hashed, ended at once; and noauth, which believes headers."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from keepsite.errors import Conflict, InvalidInput, NotAuthenticated
from keepsite.identity import api_keys
from keepsite.identity.models import APIKey
from keepsite.identity.operators import command_principal
from keepsite.projects.models import Project
from tests.support.callers import Caller

ACTOR = command_principal()
NEW = {"project_id": "p1", "user_id": "u1", "roles": ["member"], "name": "n", "actor": ACTOR}


@pytest.fixture
def made(db):
    """A fresh key: its row and its text."""
    return api_keys.create_api_key(**NEW)


class TestCreate:
    def test_the_key_says_who_calls(self, made):
        row, text = made

        principal = api_keys.principal_of(text)

        assert (principal.project_id, principal.user_id, principal.method) == ("p1", "u1", "local")
        assert principal.roles == {"member", "reader"}
        assert principal.credential_id == row.id

    def test_the_row_does_not_hold_the_key(self, made):
        row, text = made
        secret = text.split("_", 2)[2]

        columns = str(APIKey.objects.filter(id=row.id).values().get())

        assert secret not in columns
        assert text not in columns

    def test_no_two_keys_are_alike(self, db):
        assert len({api_keys.create_api_key(**NEW)[1] for _ in range(20)}) == 20

    def test_roles_are_kept_in_lower_case_and_once(self, db):
        row, _ = api_keys.create_api_key(**NEW | {"roles": ["Member", " member ", "ADMIN", ""]})

        assert row.roles == ["admin", "member"]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"project_id": ""},
            {"project_id": "x" * 256},
            {"user_id": ""},
            {"user_id": "x" * 256},
            {"name": ""},
            {"name": "x" * 256},
            {"roles": []},
            {"roles": ["", " "]},
            {"expires_at": timezone.now() - timedelta(days=1)},
        ],
        ids=lambda wrong: str(wrong)[:30],
    )
    def test_what_is_wrong_makes_nothing(self, db, wrong):
        with pytest.raises(InvalidInput):
            api_keys.create_api_key(**NEW | wrong)

        assert not APIKey.objects.exists()
        assert not Project.objects.exists()


MALFORMED = {
    "empty": "",
    "a word": "wrong",
    "no secret": "ks_" + "0" * 32,
    "no prefix": "0" * 32 + "_" + "A" * 43,
    "wrong prefix": "KS_" + "0" * 32 + "_" + "A" * 43,
    "unknown id": "ks_" + "0" * 32 + "_" + "A" * 43,
    "id not hexadecimal": "ks_" + "g" * 32 + "_" + "A" * 43,
    "secret too long": "ks_" + "0" * 32 + "_" + "A" * 44,
    "line end": "ks_" + "0" * 32 + "_" + "A" * 43 + "\n",
    "not ASCII": "ks_" + "0" * 32 + "_" + "é" * 43,
    "very long": "x" * 5_000,
    "SQL": "' OR 1=1 --",
}


class TestPrincipalOf:
    @pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
    def test_what_is_no_key_is_nobody(self, db, text):
        with pytest.raises(NotAuthenticated):
            api_keys.principal_of(text)

    def test_one_changed_character_and_it_is_nobodys(self, made):
        _, text = made

        with pytest.raises(NotAuthenticated):
            api_keys.principal_of(text[:-2] + ("AA" if text[-2:] != "AA" else "BB"))

    def test_another_keys_secret_does_not_fit(self, made):
        _, other = api_keys.create_api_key(**NEW)

        with pytest.raises(NotAuthenticated):
            api_keys.principal_of(f"ks_{made[1].split('_', 2)[1]}_{other.split('_', 2)[2]}")

    def test_an_expired_key_opens_nothing(self, made):
        row, text = made
        APIKey.objects.filter(id=row.id).update(expires_at=timezone.now() - timedelta(seconds=1))

        with pytest.raises(NotAuthenticated):
            api_keys.principal_of(text)

    def test_one_that_expires_later_does(self, db):
        _, text = api_keys.create_api_key(**NEW, expires_at=timezone.now() + timedelta(hours=1))

        assert api_keys.principal_of(text).user_id == "u1"


class TestRevoke:
    def test_it_ends_at_once(self, mkek):
        row, text = api_keys.create_api_key(**NEW)
        caller = Caller(text)
        assert caller.get("/v1/secrets").status_code == 200

        api_keys.revoke_api_key(row, actor=ACTOR)

        assert caller.get("/v1/secrets").status_code == 401

    def test_once_is_enough(self, made):
        api_keys.revoke_api_key(made[0], actor=ACTOR)

        with pytest.raises(Conflict):
            api_keys.revoke_api_key(made[0], actor=ACTOR)

    def test_others_stay(self, made):
        _, other = api_keys.create_api_key(**NEW)
        api_keys.revoke_api_key(made[0], actor=ACTOR)

        assert api_keys.principal_of(other)


class TestUnauthorized:
    @pytest.mark.parametrize(
        "key", ["", "wrong", MALFORMED["unknown id"]], ids=["none", "malformed", "unknown"]
    )
    @pytest.mark.parametrize("path", ["/v1", "/v1/secrets", "/v1/nowhere"])
    def test_401_says_how_to_authenticate(self, db, path, key):
        response = Caller(key).get(path)

        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("X-Auth-Token")
        assert response.json()["title"] == "Unauthorized"
        assert "X-Auth-Token" in response.json()["description"]

    def test_all_reasons_read_alike(self, made):
        row, text = made
        api_keys.revoke_api_key(row, actor=ACTOR)

        answers = {Caller(key).get("/v1/secrets").content for key in ("", "wrong", text)}

        assert len(answers) == 1

    def test_the_key_is_not_repeated(self, db):
        assert b"hunter2" not in Caller("ks_hunter2").get("/v1/secrets").content

    def test_a_session_of_the_console_opens_nothing_here(self, mkek, admin_user):
        client = Client()
        client.force_login(admin_user)

        assert client.get("/v1/secrets").status_code == 401


class TestCommands:
    def test_create_prints_the_key_alone(self, db, capsys):
        call_command("api_key", "create", project="p1", user="u1", role=["member"], name="n")

        printed = capsys.readouterr()
        assert api_keys.principal_of(printed.out.strip()).project_id == "p1"
        assert APIKey.objects.get().id in printed.err

    def test_create_into_a_private_file(self, db, tmp_path, capsys):
        file = tmp_path / "key"
        call_command("api_key", "create", project="p1", user="u1", role=["member"], name="n", output=file)

        text = file.read_text().strip()
        assert api_keys.principal_of(text)
        assert file.stat().st_mode & 0o777 == 0o600
        assert text not in capsys.readouterr().out

    def test_an_existing_file_is_kept_and_no_key_is_made(self, db, tmp_path):
        file = tmp_path / "key"
        file.write_text("mine")

        with pytest.raises(CommandError, match="does not exist"):
            call_command("api_key", "create", project="p1", user="u1", role=["member"], name="n", output=file)
        assert file.read_text() == "mine"
        assert not APIKey.objects.exists()

    def test_create_with_an_expiry(self, db):
        call_command(
            "api_key", "create", project="p", user="u", role=["member"], name="n", expires_in_days=1.5
        )

        left = APIKey.objects.get().expires_at - timezone.now()
        assert timedelta(hours=35) < left < timedelta(hours=37)

    def test_create_says_why_not(self, db):
        with pytest.raises(CommandError, match="project"):
            call_command("api_key", "create", project="", user="u", role=["member"], name="n")

    def test_list_shows_states_and_no_keys(self, made, capsys):
        row, text = made
        revoked, _ = api_keys.create_api_key(**NEW)
        api_keys.revoke_api_key(revoked, actor=ACTOR)
        call_command("api_key", "list")

        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith(row.id)
        assert "valid" in first
        assert "revoked" in second
        assert text.split("_", 2)[2] not in first

    def test_revoke_ends_a_key(self, made):
        row, text = made
        call_command("api_key", "revoke", row.id)

        with pytest.raises(NotAuthenticated):
            api_keys.principal_of(text)

    def test_revoke_of_an_unknown_key_says_where_to_look(self, db):
        with pytest.raises(CommandError, match="api_key list"):
            call_command("api_key", "revoke", "unknown")


class TestNoauth:
    @pytest.fixture(autouse=True)
    def _noauth(self, mkek, settings):
        settings.AUTH = "noauth"

    def test_the_headers_say_who_calls(self):
        caller = Caller(None)
        response = caller.post("/v1/secrets", {}, X_Project_Id="p9", X_User_Id="u9", X_Roles="Member, reader")

        path = "/" + response.json()["secret_ref"].split("/", 3)[3]
        assert caller.get(path, X_Project_Id="p9", X_Roles="member").json()["creator_id"] == "u9"
        assert caller.get(path, X_Project_Id="p8", X_Roles="member").status_code == 403

    def test_without_roles_it_is_an_admin(self):
        assert Caller(None).get("/v1/secrets", X_Project_Id="p9").status_code == 200

    def test_without_a_project_it_is_400(self):
        response = Caller(None).get("/v1/secrets")

        assert response.status_code == 400
        assert "X-Project-Id" in response.json()["description"]

    @pytest.mark.parametrize(
        ("bind", "debug", "errors"),
        [
            ("127.0.0.1:9311", False, 0),
            ("[::1]:9311", False, 0),
            ("unix:/run/keepsite", False, 0),
            ("0.0.0.0:9311", False, 1),
            ("10.0.0.1:9311", False, 1),
            ("keys.example:9311", False, 1),
            ("0.0.0.0:9311", True, 0),
        ],
    )
    def test_it_refuses_to_listen_beyond_this_machine(self, settings, bind, debug, errors):
        settings.BIND, settings.DEBUG = bind, debug

        assert len([problem for problem in run_checks() if problem.id == "keepsite.E003"]) == errors
