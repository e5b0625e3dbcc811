"""What guessing costs: locks that grow, end by themselves, and do not tell which names exist."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from keepsite.operators import lockout
from keepsite.operators.lockout import LockedOut
from keepsite.operators.models import Lockout
from secrets_app.models import Secret
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url
from tests.console.test_second_factor import enrolled, make_old, send_code  # noqa: F401  # a fixture

LOCKED = "Too many wrong passwords or codes"


def log_in(client, username="olga", password=PASSWORD, address="192.0.2.1"):
    fields = {"username": username, "password": password, "next": "/admin/"}
    return client.post("/admin/login/", fields, REMOTE_ADDR=address)


def guess(times, client=None, **who):
    """Wrong passwords, from a browser that nobody knows."""
    return [log_in(client or Client(), password="wrong", **who) for _ in range(times)]


def is_locked(answer):
    return LOCKED in answer.content.decode()


def begin(now, **who):
    return lockout.begin(**{"username": "olga", "is_known": True, "address": "192.0.2.1", "now": now} | who)


class TestAccount:
    def test_is_locked_after_five_wrong_passwords_even_for_the_right_one(self, operator, client, audited):
        assert not is_locked(guess(5)[-1])

        assert is_locked(log_in(client))
        (record,) = audited("operator.locked_out")
        assert record["subject"] == "account:olga"

    def test_a_right_password_forgets_the_wrong_ones(self, operator, client):
        guess(4)
        assert log_in(Client()).status_code == 302

        guess(4)
        assert log_in(Client()).status_code == 302

    def test_names_that_nobody_has_are_locked_alike_and_not_kept(self, operator, client):
        known, unknown = guess(6)[-1], guess(6, username="hunter2 or so")[-1]

        words = [answer.context["form"].non_field_errors() for answer in (known, unknown)]
        assert words[0] == words[1]
        assert "hunter2" not in repr(list(Lockout.objects.values()))

    def test_wrong_codes_count_and_right_passwords_do_not_make_up_for_them(self, enrolled, client):  # noqa: F811
        for number in range(5):
            assert log_in(client).url == "/admin/login/code/"
            send_code(client, f"00000{number}")

        assert is_locked(log_in(client))
        assert client.get("/admin/").status_code == 302

    def test_wrong_codes_from_elsewhere_stop_the_code_page_too(self, enrolled, client):  # noqa: F811
        log_in(client)
        guess(5)

        assert is_locked(send_code(client, enrolled.shows()))

    def test_right_ones_leave_nothing_behind(self, operator, console):
        new = "something new and long, 42"
        log_in(Client())
        console.post(
            "/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        )

        assert not Lockout.objects.exists()


class TestLength:
    def test_grows_to_a_limit_and_ends_by_itself(self, db, settings):
        now = timezone.now()
        lasted = []
        for _ in range(6):
            for _ in range(settings.CONSOLE_LOCKOUT_AFTER):
                begin(now).failed()
            with pytest.raises(LockedOut) as refused:
                begin(now, address="192.0.2.9")
            lasted.append(refused.value.retry_after_s)
            now += timedelta(seconds=lasted[-1])
            Lockout.objects.filter(kind="address").delete()

        assert lasted == [60, 120, 240, 480, 900, 900]

    def test_starts_anew_after_a_quiet_day(self, db, settings):
        now = timezone.now()
        for start in (now, now + timedelta(minutes=2), now + timedelta(days=1, minutes=5)):
            for _ in range(settings.CONSOLE_LOCKOUT_AFTER):
                begin(start).failed()

        assert Lockout.objects.get(kind="account").locks == 1

    def test_refused_tries_do_not_prolong_it(self, operator):
        guess(5)
        until = Lockout.objects.get(kind="account").locked_until
        guess(5)

        assert Lockout.objects.get(kind="account").locked_until == until

    def test_rows_of_the_past_go(self, db):
        begin(timezone.now() - timedelta(days=3), username="of old")
        begin(timezone.now())

        assert Lockout.objects.filter(kind="account").count() == 1


class TestKnownBrowser:
    def test_strangers_who_guess_do_not_lock_it_out(self, operator):
        own = Client()
        log_in(own)
        own.post("/admin/logout/")
        guess(40)
        assert is_locked(log_in(Client()))

        assert log_in(own).status_code == 302

    def test_is_locked_by_its_own_guesses(self, operator):
        own = Client()
        log_in(own)
        own.post("/admin/logout/")
        guess(5, client=own)

        assert is_locked(log_in(own))
        assert log_in(Client()).status_code == 302

    def test_counts_for_its_operator_alone(self, operator):
        User.objects.create_superuser("nils", password=PASSWORD)
        own = Client()
        log_in(own)
        own.post("/admin/logout/")
        guess(5, client=own, username="nils")

        assert is_locked(log_in(Client(), username="nils"))

    def test_cookie_is_kept_from_scripts_and_cannot_be_made_up(self, operator, client):
        cookie = log_in(client).cookies["keepsite_browser"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/admin/"

        forger = Client()
        forger.cookies["keepsite_browser"] = cookie.value[:-2] + "xx"
        guess(5, client=forger)
        assert Lockout.objects.get(kind="account").locks == 1


class TestAddress:
    def test_is_locked_after_guesses_at_many_names(self, operator):
        for number in range(20):
            guess(1, username=f"name {number}")

        assert is_locked(log_in(Client()))
        assert log_in(Client(), address="192.0.2.2").status_code == 302

    def test_is_the_one_that_a_trusted_proxy_tells(self, operator, settings):
        from keepsite.proxies import is_trusted_proxy

        settings.TRUSTED_PROXIES = ["192.0.2.1"]
        is_trusted_proxy.cache_clear()
        for peer in ("192.0.2.1", "192.0.2.77"):
            fields = {"username": peer, "password": "x"}
            headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}
            Client().post("/admin/login/", fields, REMOTE_ADDR=peer, headers=headers)
        is_trusted_proxy.cache_clear()

        assert set(Lockout.objects.filter(kind="address").values_list("label", flat=True)) == {
            "203.0.113.5",
            "192.0.2.77",
        }


class TestInside:
    def test_the_proof_before_an_act_is_counted(self, mkek, api, console):
        api.post("/v1/secrets", {"name": "x", "payload": "p", "payload_content_type": "text/plain"})
        make_old(console)
        url = act_url(Secret, "withdraw", Secret.objects.get().pk)
        fields = {"reason": "r", "typed": "x", "password": "wrong"}
        for _ in range(5):
            assert "not your password" in console.post(url, fields).content.decode()

        assert is_locked(console.post(url, {**fields, "password": PASSWORD}))
        assert Secret.objects.get().deleted_at is None

    def test_so_is_the_present_password_when_it_changes(self, console):
        new = "something new and long, 42"
        fields = {"old_password": "wrong", "new_password1": new, "new_password2": new}
        for _ in range(5):
            console.post("/admin/password_change/", fields)

        assert is_locked(console.post("/admin/password_change/", {**fields, "old_password": PASSWORD}))


class TestRelease:
    def test_by_another_operator_with_a_reason(self, operator, console, audited):
        guess(5)
        row = Lockout.objects.get(kind="account")

        console.post(act_url(Lockout, "release", row.pk), {"reason": "it was she"})

        assert log_in(Client()).status_code == 302
        assert audited("operator.lock_released")[0]["reason"] == "it was she"

    @pytest.mark.parametrize("whom", [["--username", "olga"], ["--all"]])
    def test_by_command(self, operator, whom, capsys):
        guess(5)

        call_command("console_unlock", *whom, "--reason", "a test")

        assert log_in(Client()).status_code == 302

    def test_of_an_address(self, operator, capsys):
        guess(20, username="nobody")
        call_command("console_unlock", "--address", "192.0.2.1", "--reason", "a test")

        assert capsys.readouterr().out.startswith("1 released")


class TestAtOnce:
    @pytest.mark.django_db(transaction=True)
    def test_many_guesses_at_one_moment_are_all_counted(self, settings):
        looked_at = []

        def one():
            try:
                begin(timezone.now())
                looked_at.append(1)
            except LockedOut:
                pass
            finally:
                connection.close()

        threads = [threading.Thread(target=one) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(looked_at) <= settings.CONSOLE_LOCKOUT_AFTER
