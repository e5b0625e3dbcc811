"""The health check: for anybody, and it touches nothing behind this process."""

import pytest
from django.test import Client

from tests.support.conformance import assert_conforms


@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/"])
class TestHealthcheck:
    def test_get_says_ok_without_identity_or_statement(self, db, django_assert_num_queries, path):
        with django_assert_num_queries(0):
            response = Client().get(path)

        assert response.status_code == 200
        assert response.content == b"OK"
        assert response["Content-Type"] == "text/plain; charset=UTF-8"

    def test_head_is_204(self, path):
        response = Client().head(path)

        assert response.status_code == 204
        assert response.content == b""
        assert "Content-Type" not in response

    def test_post_is_answered_as_get_without_a_csrf_token(self, path):
        response = Client(enforce_csrf_checks=True).post(path)

        assert (response.status_code, response.content) == (200, b"OK")

    def test_json_when_that_is_asked_for(self, path):
        assert Client().get(path, headers={"Accept": "application/json"}).json() == {
            "detailed": False,
            "reasons": ["OK"],
        }

    def test_a_file_takes_the_node_out_and_its_absence_brings_it_back(self, path, tmp_path, settings):
        settings.HEALTHCHECK_DISABLE_FILE = str(tmp_path / "out")
        assert Client().get(path).status_code == 200
        (tmp_path / "out").touch()

        text, head = Client().get(path), Client().head(path)
        as_json = Client().get(path, headers={"Accept": "application/json"})
        (tmp_path / "out").unlink()

        assert (text.status_code, text.content) == (503, b"DISABLED BY FILE")
        assert (head.status_code, head.content) == (503, b"")
        assert as_json.status_code == 503
        assert as_json.json() == {"detailed": False, "reasons": ["DISABLED BY FILE"]}
        assert_conforms("GET", path, as_json)
        assert Client().get(path).content == b"OK"

    def test_it_answers_while_the_token_is_away(self, shim, path):
        shim.answer(0x30)

        with shim.counting() as calls:
            assert Client().get(path).status_code == 200
        assert calls == {}

    def test_it_has_no_version_header(self, path):
        assert "OpenStack-API-Version" not in Client().get(path)
