"""Single requests that once failed here: what the campaigns of tests/fuzz found, one by one."""

import json
import socket

import pytest

from keepsite.wsgi import application
from tests.fuzz.calls import Call, InProcess, OverSocket
from tests.support.rows import written_rows

UNSTORABLE = ["a\x00b", "\ud800", "\udc00\ud800"]


class TestContentTypes:
    """Django reads a query in the charset that the Content-Type claims; we read UTF-8."""

    @pytest.mark.parametrize(
        "parameters",
        [
            b"charset=hex",
            b"charset=undefined",
            b"charset=rot13",
            b"charset*=x''y",
            b"charset*=''",
            b"charset=utf-16",
            b"charset=",
            b";;",
            b"a*" + b"9" * 5000 + b"=b",
        ],
    )
    def test_no_parameter_makes_a_request_fail(self, one_connection, parameters):
        header = (b"Content-Type", b"application/json; " + parameters)

        answer = InProcess(application)(Call(method="GET", target=b"/?name=%C3%A4", headers=(header,)))

        assert answer.status == 300

    def test_a_form_keeps_its_boundary(self):
        from keepsite.api.charset import in_utf8

        seen = []
        gate = in_utf8(lambda environ, _: seen.append(environ["CONTENT_TYPE"]) or [])

        for given in ("multipart/form-data; charset=hex; boundary=x1", 'multipart/form-data; boundary="x 1"'):
            gate({"CONTENT_TYPE": given}, None)

        assert seen == ["multipart/form-data; boundary=x1", 'multipart/form-data; boundary="x 1"']


class TestTextsThatNoDatabaseKeeps:
    @pytest.mark.parametrize("text", UNSTORABLE, ids=ascii)
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PUT", "metadata", lambda text: {"metadata": {"a": text}}),
            ("POST", "metadata", lambda text: {"key": "a", "value": text}),
            ("PUT", "acl", lambda text: {"read": {"users": [text]}}),
            ("PATCH", "acl", lambda text: {"read": {"users": ["u7", text]}}),
        ],
    )
    def test_are_refused(self, api, method, path, body, text):
        secret = api.store("x")
        before = written_rows()

        response = api.call(method, f"{secret}/{path}", json.dumps(body(text)))

        assert response.status_code == 400
        assert "must hold neither NUL nor half of a surrogate pair" in response.json()["description"]
        assert written_rows() == before


class TestNumbers:
    @pytest.mark.parametrize(("bits", "found"), [("9" * 19, 0), ("9" * 5000, 0), ("²", 1)])
    def test_a_filter_finds_nothing_by_a_huge_number_and_passes_over_what_is_none(self, api, bits, found):
        api.store("x")

        assert api.get(f"/v1/secrets?bits={bits}").json()["total"] == found

    @pytest.mark.parametrize("length", ["²", "9" * 5000])
    def test_a_declared_length_that_is_none(self, api, length):
        response = api.post("/v1/secrets", {}, Content_Length=length)

        assert response.status_code < 500


class TestProjectQuotas:
    @pytest.fixture
    def admin(self, api):
        return api.other(project="service", user="root", roles=["admin"])

    def test_of_a_project_whose_id_no_database_can_keep(self, admin):
        response = admin.call("PUT", "/v1/project-quotas/%00", {"project_quotas": {"secrets": 1}})

        assert response.status_code == 400
        assert "NUL" in response.json()["description"]

    def test_a_whole_number_may_be_written_with_a_fraction(self, admin):
        path = "/v1/project-quotas/p9"
        assert admin.call("PUT", path, '{"project_quotas": {"secrets": 12.0}}').status_code == 204

        assert admin.get(path).json()["project_quotas"]["secrets"] == 12

    @pytest.mark.parametrize("limit", ["1.5", "1e999", "-1e999", "2147483648", "true", "null", '"1"'])
    def test_a_limit_that_is_none_is_refused(self, admin, limit):
        response = admin.call("PUT", "/v1/project-quotas/p9", f'{{"project_quotas": {{"secrets": {limit}}}}}')

        assert response.status_code == 400
        assert "integer from" in response.json()["description"]


class TestPathsOfOneMethod:
    @pytest.mark.parametrize("path", ["/", "/v1"])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_answer_other_methods_as_the_whole_api_does(self, api, one_connection, method, path):
        call = Call(method=method, target=path.encode(), headers=((b"X-Auth-Token", api.key.encode()),))

        answer = InProcess(application)(call)

        assert (answer.status, answer.headers["allow"]) == (405, "GET")
        assert json.loads(answer.body) == {"code": 405, "title": "Method Not Allowed", "description": ""}

    def test_the_health_check_takes_a_post_for_a_get(self, one_connection):
        answer = InProcess(application)(Call(method="POST", target=b"/healthcheck"))

        assert (answer.status, answer.body) == (200, b"OK")


class TestQueries:
    def test_too_many_parameters_are_refused_with_the_limit(self, api):
        response = api.get("/v1/secrets?" + "&".join(["a=1"] * 1001))

        assert response.status_code == 400
        assert "at most 1000 parameters" in response.json()["description"]


@pytest.mark.processes
class TestWhatIsNoHTTP:
    """Refused by the server before the application sees it, in the same form."""

    @pytest.mark.parametrize(
        ("wire", "status", "says"),
        [
            (b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", 400, "not valid HTTP/1.1"),
            (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, "not valid HTTP/1.1"),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400, "not valid HTTP/1.1"),
            (b"GET /?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "8190 bytes"),
            (b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431, "64 headers"),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 80 + b"\r\n", 431, "64 headers"),
            (b"POST /v1 HTTP/1.1\r\nTransfer-Encoding: br\r\n\r\n", 400, "chunked"),
        ],
        ids=["header", "version", "length", "long line", "long header", "many headers", "coding"],
    )
    def test_is_refused_in_the_form_of_all_errors(self, product, wire, status, says):
        answer = OverSocket(product.port).send(wire)

        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        body = json.loads(answer.body)
        assert body["code"] == status
        assert body["title"]
        assert says in body["description"]

    @pytest.mark.parametrize("path", [b"/v1", b"/no-such", b"/healthcheck"])
    def test_a_host_that_is_not_ours_gets_an_answer_of_known_length(self, product, path):
        call = Call(method="GET", target=path, headers=((b"Host", b"evil.example"),))

        answer = OverSocket(product.port)(call)

        assert "transfer-encoding" not in answer.headers
        assert len(answer.body) == int(answer.headers["content-length"])

    def test_the_server_goes_on(self, product):
        with socket.create_connection(("127.0.0.1", product.port)) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01")

        assert OverSocket(product.port)(Call(method="GET", target=b"/healthcheck")).status == 200
