import json

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, override_settings

from keepsite.console.models import OneTimePassword
from tests.console.conftest import PASSWORD

OWN = "chosen by myself alone, 42"


@pytest.fixture
def given(db, capsys):
    """The one-time password of a new operator, nils."""
    call_command("operator", "create", "--username", "nils")
    return json.loads(capsys.readouterr().out)["password"]


def log_in(client, username, password):
    return client.post(
        "/admin/login/?next=/admin/", {"username": username, "password": password, "next": "/admin/"}
    )


def change(client, old, new):
    fields = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/admin/password_change/", fields)


class TestLogIn:
    def test_opens_the_overview(self, operator, client):
        assert log_in(client, "olga", PASSWORD).url == "/admin/"

    def test_every_refusal_reads_the_same(self, operator, client):
        User.objects.create_user("guest", password=PASSWORD)
        User.objects.create_superuser("gone", password=PASSWORD, is_active=False)

        messages = {
            tuple(log_in(client, username, password).context["form"].non_field_errors())
            for username, password in [
                ("olga", "wrong"),
                ("nobody", "x"),
                ("guest", PASSWORD),
                ("gone", PASSWORD),
            ]
        }

        assert len(messages) == 1
        assert "do not open the console" in messages.pop()[0]

    def test_does_not_lead_to_other_sites(self, operator, client):
        fields = {"username": "olga", "password": PASSWORD, "next": "https://elsewhere.example/"}

        assert client.post("/admin/login/", fields).url.startswith("/")

    def test_cookie_is_out_of_reach_of_scripts_and_other_sites(self, operator, client):
        with override_settings(SESSION_COOKIE_SECURE=True):
            log_in(client, "olga", PASSWORD)

        cookie = client.cookies["keepsite_session"]
        assert cookie["httponly"]
        assert cookie["secure"]
        assert cookie["samesite"] == "Lax"
        assert not cookie["expires"]

    def test_session_is_a_new_one(self, operator, client):
        client.get("/admin/login/")
        log_in(client, "olga", PASSWORD)
        first = client.cookies["keepsite_session"].value
        client.post("/admin/logout/")
        log_in(client, "olga", PASSWORD)

        assert client.cookies["keepsite_session"].value != first

    def test_log_out_ends_the_session(self, console):
        assert "logged out" in console.post("/admin/logout/").content.decode()
        assert console.get("/admin/").status_code == 302


class TestOneTimePassword:
    def test_opens_nothing_but_its_own_replacement(self, given, client):
        log_in(client, "nils", given)

        for url in ("/admin/", "/admin/secrets_app/secret/", "/admin/nothing/"):
            assert client.get(url).url == "/admin/password_change/"

    def test_page_says_why(self, given, client):
        log_in(client, "nils", given)

        assert "one-time password" in client.get("/admin/password_change/").content.decode()

    def test_is_gone_once_replaced(self, audited, given, client):
        log_in(client, "nils", given)

        assert change(client, given, OWN).url == "/admin/"
        assert client.get("/admin/").status_code == 200
        assert not OneTimePassword.objects.exists()
        assert log_in(Client(), "nils", given).status_code == 200
        assert log_in(Client(), "nils", OWN).status_code == 302
        (made,), (changed,) = audited("operator.create"), audited("operator.password_changed")
        assert (made["before"], made["after"]["has_one_time_password"]) == ({}, True)
        assert (changed["before"], changed["after"]) == (
            {"has_one_time_password": True},
            {"has_one_time_password": False},
        )
        assert not any(password in json.dumps([made, changed]) for password in (given, OWN))

    @pytest.mark.parametrize("new", [None, "too short", "password1234"], ids=["same", "short", "common"])
    def test_bad_replacement_is_refused(self, given, client, new):
        log_in(client, "nils", given)

        assert change(client, given, new or given).status_code == 200
        assert OneTimePassword.objects.exists()

    def test_other_sessions_end_with_the_change(self, operator, console):
        other = Client()
        other.force_login(operator)

        change(console, PASSWORD, OWN)

        assert other.get("/admin/").status_code == 302
