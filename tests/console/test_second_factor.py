"""The second factor: setting it up, logging in with it, recovery codes, and what happens when it is lost."""

import base64
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from keepsite import audit
from keepsite.console.checks import second_factor_roles_exist
from keepsite.console.roles import VIEWER
from keepsite.operators import second_factor
from keepsite.operators.models import Authenticator, RecoveryCode
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url

STEP_S = second_factor.STEP_S
PAGE = "/admin/second-factor/"


class Phone:
    """An authenticator app that knows one secret."""

    def __init__(self, secret):
        self._totp = TOTP(secret, 6, SHA1(), STEP_S)

    def shows(self, steps=0):
        """Its code now, or so many steps from now."""
        return self._totp.generate(int(time.time()) + steps * STEP_S).decode()


@pytest.fixture
def enrolled(operator):
    """Olga's phone; her codes of the present step are unused, which enrolling would have used up."""
    secret = second_factor.new_secret()
    phone = Phone(secret)
    actor = audit.ConsoleOperator(user_id="olga")
    phone.codes = second_factor.enrol(operator, secret=secret, code=phone.shows(), actor=actor)
    Authenticator.objects.update(last_step=0)
    return phone


def log_in(client, password=PASSWORD, to="/admin/"):
    return client.post("/admin/login/", {"username": "olga", "password": password, "next": to})


def send_code(client, code):
    return client.post("/admin/login/code/", {"code": code})


def enter(client, phone):
    """Log in with both; the code of this moment may be shown once more."""
    log_in(client)
    assert send_code(client, phone.shows()).status_code == 302
    Authenticator.objects.update(last_step=0)


def secret_on(page):
    """What a person would type from the page into the app."""
    letters = page.context["page"].secret.replace(" ", "")
    return base64.b32decode(letters)


def make_old(client):
    """A log-in of an hour ago, so that acts ask for a proof."""
    session = client.session
    session["proven_at"] = int(time.time()) - 3_600
    session.save()


class TestEnrolment:
    def test_by_qr_code_and_the_first_code(self, console, audited):
        page = console.get(PAGE)
        assert "<svg" in page.content.decode()

        done = console.post(PAGE, {"first_code": Phone(secret_on(page)).shows()})

        assert len(done.context["page"].codes) == second_factor.RECOVERY_CODES
        assert console.get("/admin/").status_code == 200
        (record,) = audited("operator.second_factor_enrolled")
        assert record["after"].keys() == {"enrolled_at", "recovery_codes_left"}

    def test_the_qr_code_holds_what_apps_read(self):
        uri = second_factor.provisioning_uri(b"12345678901234567890", username="olga")

        assert uri.startswith("otpauth://totp/Keepsite:olga?")
        assert "secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in uri

    def test_a_wrong_code_leaves_the_secret_as_it_is(self, console):
        first = secret_on(console.get(PAGE))

        page = console.post(PAGE, {"first_code": "000000"})

        assert "not the code that the app shows" in page.content.decode()
        assert secret_on(page) == first
        assert not Authenticator.objects.exists()

    def test_asks_for_the_password_when_the_log_in_is_old(self, console):
        make_old(console)
        code = Phone(secret_on(console.get(PAGE))).shows()

        assert "Your password" in console.post(PAGE, {"first_code": code}).content.decode()
        assert not Authenticator.objects.exists()
        console.post(PAGE, {"first_code": code, "password": PASSWORD})
        assert Authenticator.objects.exists()

    def test_ends_log_ins_that_did_not_show_it(self, operator, console):
        other = Client()
        other.force_login(operator)
        console.post(PAGE, {"first_code": Phone(secret_on(console.get(PAGE))).shows()})

        assert "/admin/login/" in other.get("/admin/").url
        assert console.get("/admin/").status_code == 200

    def test_neither_secret_nor_codes_are_kept_in_clear(self, console, settings):
        secret = secret_on(console.get(PAGE))
        codes = console.post(PAGE, {"first_code": Phone(secret).shows()}).context["page"].codes

        kept = b"".join(bytes(row.sealed_secret) for row in Authenticator.objects.all())
        kept += repr(list(RecoveryCode.objects.values())).encode() + repr(dict(console.session)).encode()
        kept += b"".join(path.read_bytes() for path in settings.AUDIT_DIR.glob("*.jsonl"))
        for form in (secret, base64.b32encode(secret), *(code.replace("-", "").encode() for code in codes)):
            assert form not in kept
        again = console.get(PAGE).content.decode()
        assert not any(code in again for code in codes)
        assert second_factor.in_letters(secret) not in again


class TestLogIn:
    def test_takes_password_then_code(self, enrolled, client):
        assert log_in(client, to="/admin/secrets_app/secret/").url == "/admin/login/code/"
        assert "/admin/login/" in client.get("/admin/").url

        assert send_code(client, enrolled.shows()).url == "/admin/secrets_app/secret/"
        assert client.get("/admin/").status_code == 200

    def test_without_the_password_there_is_no_code_page(self, enrolled, client):
        assert client.get("/admin/login/code/").url == "/admin/login/"
        log_in(client, password="wrong")

        assert send_code(client, enrolled.shows()).url == "/admin/login/"

    def test_a_code_is_good_once_on_all_nodes(self, enrolled, client):
        code = enrolled.shows()
        log_in(client)
        send_code(client, code)
        other = Client()
        log_in(other)

        assert "wrong, or has been used" in send_code(other, code).content.decode()

    def test_clocks_may_differ_by_one_step(self, enrolled, operator):
        now = timezone.now()
        secret = second_factor.open_sealed(
            bytes(Authenticator.objects.get().sealed_secret), user_id=operator.pk
        )
        code = TOTP(secret, 6, SHA1(), STEP_S).generate(int(now.timestamp())).decode()

        for steps, is_taken in ((-2, False), (2, False), (1, True)):
            at = now + steps * timezone.timedelta(seconds=STEP_S)
            assert second_factor.accepts(operator, code, now=at) == is_taken, steps

    def test_an_older_code_than_the_last_is_refused(self, enrolled, operator):
        assert second_factor.accepts(operator, enrolled.shows(1))
        assert not second_factor.accepts(operator, enrolled.shows())

    def test_a_password_changed_meanwhile_ends_it(self, enrolled, operator, client):
        log_in(client)
        operator.set_password("another one, 42 and more")
        operator.save()

        assert send_code(client, enrolled.shows()).url == "/admin/login/"

    def test_codes_are_typed_as_people_type_them(self, enrolled, client):
        code = enrolled.shows()
        log_in(client)

        assert send_code(client, f" {code[:3]} {code[3:]} ").status_code == 302

    def test_a_changed_secret_key_is_told(self, enrolled, client, settings):
        log_in(client)
        Authenticator.objects.update(sealed_secret=b"\x01" + bytes(60))

        assert "does not open" in send_code(client, enrolled.shows()).content.decode()


class TestRecoveryCodes:
    def test_each_opens_the_console_once(self, enrolled, client):
        log_in(client)
        assert send_code(client, enrolled.codes[0].upper().replace("-", " ")).status_code == 302
        other = Client()
        log_in(other)

        assert send_code(other, enrolled.codes[0]).status_code == 200
        assert send_code(other, enrolled.codes[1]).status_code == 302

    def test_of_another_operator_do_not(self, enrolled):
        nils = User.objects.create_superuser("nils")
        secret = second_factor.new_secret()
        actor = audit.ConsoleOperator(user_id="nils")
        second_factor.enrol(nils, secret=secret, code=Phone(secret).shows(), actor=actor)

        assert not second_factor.accepts(nils, enrolled.codes[0])

    def test_few_left_are_told(self, enrolled, client):
        RecoveryCode.objects.filter(
            pk__in=list(RecoveryCode.objects.values_list("pk", flat=True)[:8])
        ).delete()
        log_in(client)
        page = client.post("/admin/login/code/", {"code": enrolled.shows()}, follow=True)

        assert "Only 2 of your recovery codes are left" in page.content.decode()

    def test_new_ones_end_the_former(self, enrolled, client, operator):
        enter(client, enrolled)
        page = client.post(PAGE, {"wish": "renew", "password": PASSWORD, "code": enrolled.codes[0]})

        new = page.context["page"].codes
        assert not second_factor.accepts(operator, enrolled.codes[1])
        assert second_factor.accepts(operator, new[1])


class TestAgainBeforeActs:
    @pytest.fixture
    def victim(self, db):
        nils = User.objects.create_superuser("nils")
        secret = second_factor.new_secret()
        actor = audit.ConsoleOperator(user_id="nils")
        second_factor.enrol(nils, secret=secret, code=Phone(secret).shows(), actor=actor)
        return nils

    @pytest.fixture
    def olga(self, enrolled, client):
        enter(client, enrolled)
        make_old(client)
        return client

    def test_password_and_code_are_asked_for(self, olga, enrolled, victim):
        url = act_url(User, "remove-second-factor", victim.pk)
        fields = {"reason": "r", "typed": "nils", "password": PASSWORD}

        assert "This field is required" in olga.post(url, fields).content.decode()
        assert "wrong, or has been used" in olga.post(url, {**fields, "code": "000000"}).content.decode()
        assert Authenticator.objects.filter(user=victim).exists()
        assert olga.post(url, {**fields, "code": enrolled.shows()}).status_code == 302
        assert not Authenticator.objects.filter(user=victim).exists()

    def test_a_slip_elsewhere_uses_up_no_code(self, olga, enrolled, victim):
        url = act_url(User, "remove-second-factor", victim.pk)
        fields = {"reason": "r", "typed": "nil", "password": PASSWORD, "code": enrolled.shows()}

        assert olga.post(url, fields).status_code == 200
        assert olga.post(url, {**fields, "typed": "nils"}).status_code == 302


class TestRemoval:
    def test_by_another_operator_is_audited_with_its_reason(self, enrolled, operator, audited):
        nils = Client()
        nils.force_login(User.objects.create_superuser("nils"))
        url = act_url(User, "remove-second-factor", operator.pk)

        nils.post(url, {"reason": "phone lost, called back", "typed": "olga"})

        assert not Authenticator.objects.exists()
        (record,) = audited("operator.second_factor_removed")
        assert record["user_id"] == "nils"
        assert record["reason"] == "phone lost, called back"
        assert record["subject"] == f"user:{operator.pk}"
        assert record["before"]["enrolled_at"]

    def test_one_s_own_is_not_removed_there(self, enrolled, operator, client):
        enter(client, enrolled)
        url = act_url(User, "remove-second-factor", operator.pk)

        assert "it asks for a code" in client.post(url, {"reason": "r", "typed": "olga"}).content.decode()
        assert Authenticator.objects.exists()

    def test_by_oneself_takes_password_and_code(self, enrolled, client):
        enter(client, enrolled)
        client.post(PAGE, {"wish": "remove", "password": "wrong", "code": enrolled.shows()})
        assert Authenticator.objects.exists()

        client.post(PAGE, {"wish": "remove", "password": PASSWORD, "code": enrolled.shows()})
        assert not Authenticator.objects.exists()
        assert client.get("/admin/").status_code == 200

    def test_by_command(self, enrolled, audited, client):
        call_command("operator", "remove-second-factor", "--username", "olga", "--reason", "3 a.m.")

        assert log_in(client).url == "/admin/"
        assert audited("operator.second_factor_removed")[0]["reason"] == "3 a.m."
        with pytest.raises(CommandError, match="no second factor"):
            call_command("operator", "remove-second-factor", "--username", "olga", "--reason", "again")


class TestDemand:
    @pytest.mark.parametrize(
        ("demanded", "role", "must"),
        [
            ([], None, False),
            (["everyone"], VIEWER, True),
            (["operator"], VIEWER, False),
            (["viewer"], VIEWER, True),
            (["operator"], None, True),  # all rights: those of every role
        ],
    )
    def test_leads_to_enrolment_first(self, settings, operator, console, demanded, role, must):
        settings.CONSOLE_SECOND_FACTOR = demanded
        if role:
            User.objects.filter(pk=operator.pk).update(is_superuser=False)
            operator.groups.add(Group.objects.get(name=role))

        answer = console.get("/admin/")

        assert (answer.status_code == 302 and answer.url == PAGE) == must
        if must:
            page = console.get(PAGE)
            assert "must have a second factor" in page.content.decode()
            assert page.context["navigation"] == ()

    def test_forbids_removing_one_s_own(self, settings, enrolled, client):
        settings.CONSOLE_SECOND_FACTOR = ["everyone"]
        enter(client, enrolled)

        assert "Remove" not in client.get(PAGE).content.decode()
        client.post(PAGE, {"wish": "remove", "password": PASSWORD, "code": enrolled.shows()})
        assert Authenticator.objects.exists()

    def test_unknown_roles_are_refused_at_start(self, settings):
        settings.CONSOLE_SECOND_FACTOR = ["everyone", "opertor"]

        assert [problem.id for problem in second_factor_roles_exist(None)] == ["keepsite.E021"]
