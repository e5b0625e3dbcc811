import pytest
from django.template.loader import render_to_string
from django.test import Client


class TestErrorPages:
    @pytest.mark.parametrize("page", ["403.html", "403_csrf.html", "404.html", "500.html"])
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

    def test_missing_csrf_cookie_is_a_page(self, operator):
        answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "olga", "password": "x"})

        assert answer.status_code == 403
        assert "send the form again" in answer.content.decode()

    def test_parts_of_the_address_lead_to_the_overview(self, console):
        assert console.get("/admin/secrets_app/").url == "/admin/"
