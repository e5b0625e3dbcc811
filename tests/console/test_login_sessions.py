"""How long a log-in lasts."""

import time
from urllib.parse import unquote

import pytest

from keepsite.keyring.models import KEKRun
from keepsite.nodes.models import Node, Promotion
from keepsite.readonly import detail_url, list_url


def shift(client, **s):
    """As if the session had begun, or been used, so many seconds earlier."""
    session = client.session
    for name, seconds in s.items():
        session[name] -= seconds
    session.save()


def _page_of_first(model):
    return detail_url(model, model.objects.order_by("pk").first().pk)


def words_after(answer, client):
    return client.get(answer.url).content.decode()


class TestIdle:
    def test_ends_the_session_and_says_so(self, console, settings):
        shift(console, seen_at=settings.CONSOLE_IDLE_S + 1)

        answer = console.get("/admin/secrets_app/secret/?state=live")

        assert unquote(answer.url) == "/admin/login/?next=/admin/secrets_app/secret/?state=live"
        assert "logged out after 30 minutes without a click" in words_after(answer, console)
        assert "_auth_user_id" not in console.session

    def test_clicks_keep_it_alive(self, console, settings):
        for _ in range(3):
            shift(console, seen_at=settings.CONSOLE_IDLE_S - 60)
            assert console.get("/admin/").status_code == 200

    def test_what_pages_fetch_by_themselves_does_not(self, console, settings):
        for _ in range(2):
            shift(console, seen_at=settings.CONSOLE_IDLE_S - 60)
            last = console.get("/admin/", headers={"Sec-Fetch-Dest": "empty"})

        assert last.status_code == 302

    @pytest.mark.parametrize("model", [None, Node, Promotion, KEKRun])
    def test_nor_do_live_parts_where_browsers_do_not_say_that(self, store, console, settings, model):
        """As over plain http: no Sec-Fetch-Dest comes along."""
        at = "/admin/" if model is None else list_url(model) if model is Node else _page_of_first(model)
        live_url = console.get(at).context["live_url"]

        for _ in range(2):
            shift(console, seen_at=settings.CONSOLE_IDLE_S - 60)
            last = console.get(live_url)

        assert last.status_code == 302

    def test_a_form_sent_too_late_does_nothing_and_leads_back(self, console, settings):
        shift(console, seen_at=settings.CONSOLE_IDLE_S + 1)

        assert unquote(console.post("/admin/second-factor/", {}).url) == "/admin/login/?next=/admin/"


class TestAbsolute:
    def test_ends_it_however_busy(self, console, settings):
        shift(console, started_at=settings.CONSOLE_SESSION_S + 1)

        answer = console.get("/admin/")

        assert "a session lasts 12 hours" in words_after(answer, console)

    def test_cookie_outlives_no_session(self, settings):
        assert settings.SESSION_COOKIE_AGE == settings.CONSOLE_SESSION_S == 12 * 3_600


@pytest.mark.parametrize("name", ["started_at", "seen_at"])
def test_sessions_of_a_release_without_limits_go_on_from_now(console, name):
    session = console.session
    del session[name]
    session.save()

    assert console.get("/admin/").status_code == 200
    assert abs(console.session[name] - time.time()) < 60


def test_a_clock_set_back_ends_it(console):
    shift(console, seen_at=-7_200)

    assert console.get("/admin/").status_code == 302
