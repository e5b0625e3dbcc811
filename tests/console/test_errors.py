import contextlib

import pytest
from django.db import connections
from django.template.loader import render_to_string
from django.test import Client

from keepsite.env import database
from keepsite.errors import Unavailable
from keepsite.mysql.base import DatabaseWrapper
from tests.support.servers.ports import free_ports


@pytest.fixture
def database_is_gone(monkeypatch):
    """Makes this process's database a MariaDB at a port where no server listens any more."""

    @contextlib.contextmanager
    def gone():
        (port,) = free_ports(1)
        url = f"mysql://keepsite:of-the-database@127.0.0.1:{port}/keepsite"
        usual = connections["default"]
        with monkeypatch.context() as patched:
            patched.setenv("KEEPSITE_DATABASE_URL", url)
            connections["default"] = DatabaseWrapper(
                {**usual.settings_dict, **database("KEEPSITE_DATABASE_URL")}, "default"
            )
        try:
            yield str(port)
        finally:
            connections["default"] = usual

    return gone


class TestErrorPages:
    @pytest.mark.parametrize("page", ["403.html", "403_csrf.html", "404.html", "500.html", "503.html"])
    def test_need_no_context(self, page):
        html = render_to_string(page)

        assert "Go to the overview" in html
        assert "style=" not in html

    def test_unknown_address_is_a_page(self, console):
        answer = console.get("/admin/nothing/here/")

        assert answer.status_code == 404
        assert "There is no such page" in answer.content.decode()

    def test_unknown_row_is_a_page(self, console):
        answer = console.get("/admin/secrets_app/secret/0000/")

        assert answer.status_code == 404
        assert "There is no such page" in answer.content.decode()

    def test_failure_is_a_page(self, console, monkeypatch):
        def fail(*_, **__):
            raise RuntimeError("a detail that nobody outside may read")

        monkeypatch.setattr("keepsite.console.site.dashboard", fail)
        console.raise_request_exception = False

        answer = console.get("/admin/")

        assert answer.status_code == 500
        assert "Something failed on the server" in answer.content.decode()
        assert "a detail" not in answer.content.decode()

    def test_a_database_that_is_away_is_a_page_that_says_so(self, console, database_is_gone):
        console.raise_request_exception = False

        with database_is_gone() as port:
            answers = [console.get("/admin/"), console.get("/admin/secrets_app/secret/?q=x")]

        for answer in answers:
            assert answer.status_code == 503
            assert int(answer["Retry-After"]) >= 1
            assert "default-src 'self'" in answer["Content-Security-Policy"]
            page = answer.content.decode()
            assert "The database does not answer" in page
            assert not [word for word in (port, "of-the-database", "Traceback", "SELECT") if word in page]
        assert console.get("/admin/").status_code == 200

    def test_a_part_that_is_away_is_a_page_with_its_words(self, console, monkeypatch):
        def fail(*_, **__):
            raise Unavailable("No HSM member serves.", retry_after_s=7)

        monkeypatch.setattr("keepsite.console.site.dashboard", fail)
        console.raise_request_exception = False

        answer = console.get("/admin/")

        assert (answer.status_code, answer["Retry-After"]) == (503, "7")
        assert "No HSM member serves." in answer.content.decode()

    def test_missing_csrf_cookie_is_a_page(self, operator):
        answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "olga", "password": "x"})

        assert answer.status_code == 403
        assert "send the form again" in answer.content.decode()

    def test_parts_of_the_address_lead_to_the_overview(self, console):
        assert console.get("/admin/secrets_app/").url == "/admin/"
