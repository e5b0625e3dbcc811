"""JSON bodies: strict about what JSON is, bounded before they are read."""

import http.client
import json
import socket
import time

import pytest

from secrets_app.models import Secret
from tests.support.callers import path_of

DEEP = 21
BROKEN = {
    "empty": b"",
    "blank": b"  \n",
    "open": b'{"name": "x"',
    "two values": b'{"name": "x"} {"name": "y"}',
    "trailing garbage": b'{"name": "x"}garbage',
    "trailing NUL": b"{}\x00",
    "trailing comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "bare word": b"{name: 1}",
    "comment": b"{} // hello",
    "BOM": b"\xef\xbb\xbf{}",
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "NaN": b'{"bit_length": NaN}',
    "Infinity": b'{"bit_length": Infinity}',
    "minus Infinity": b'{"bit_length": -Infinity}',
    "control character": b'{"name": "a\nb"}',
    "bad escape": b'{"name": "\\x41"}',
    "leading zero": b'{"bit_length": 012}',
    "hexadecimal": b'{"bit_length": 0x10}',
    "a number of 10,000 digits": b'{"bit_length": ' + b"9" * 10_000 + b"}",
    "form": b"name=x&bit_length=8",
}
NO_OBJECTS = {
    "array": "[]",
    "array of objects": '[{"name": "x"}]',
    "string": '"x"',
    "number": "12",
    "true": "true",
    "null": "null",
}


class TestMalformed:
    @pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
    @pytest.mark.parametrize("path", ["/v1/secrets", "/v1/orders"])
    def test_what_is_not_json_is_400_and_nothing_is_written(self, api, path, body):
        response = api.post(path, body)

        assert response.status_code == 400
        assert response.json()["title"] == "Bad Request"
        assert not Secret.objects.exists()

    @pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS.keys())
    def test_what_is_no_object_is_400(self, api, body):
        response = api.post("/v1/secrets", body)

        assert response.status_code == 400
        assert "object" in response.json()["description"]

    @pytest.mark.parametrize("opening", ['{"a":', "["], ids=["objects", "arrays"])
    @pytest.mark.parametrize("depth", [DEEP, 4_000])
    def test_nesting_is_bounded(self, api, opening, depth):
        response = api.post("/v1/secrets", '{"x":' + opening * depth)

        assert response.status_code == 400
        assert "nested" in response.json()["description"]

    def test_looking_for_depth_takes_no_longer_than_the_body_is_long(self, api):
        started = time.process_time()

        response = api.post("/v1/secrets", '{"x":' + "[" * 15 + '"]]]]]]' + '\\"' * 12_000)

        assert response.status_code == 400
        assert time.process_time() - started < 1  # it was 5 s: every quote looked for its end anew

    def test_brackets_in_strings_do_not_count(self, api):
        assert api.post("/v1/secrets", {"name": "[{" * 100}).status_code == 201
        assert api.post("/v1/secrets", {"name": '\\"' + "[{" * 100}).status_code == 201

    def test_the_content_of_a_broken_body_is_not_repeated(self, api):
        assert b"hunter2" not in api.post("/v1/secrets", '{"payload": "hunter2"').content


class TestAccepted:
    def test_the_last_of_two_equal_names_wins(self, api):
        response = api.post("/v1/secrets", '{"name": "first", "name": "second"}')

        assert api.get(path_of(response.json()["secret_ref"])).json()["name"] == "second"

    def test_unknown_names_and_read_only_ones_are_ignored(self, api):
        response = api.post(
            "/v1/secrets", {"foo": [1, {"bar": None}], "status": "ERROR", "creator_id": "x", "created": 1}
        )

        shown = api.get(path_of(response.json()["secret_ref"])).json()
        assert (shown["status"], shown["creator_id"]) == ("ACTIVE", "u1")

    @pytest.mark.parametrize(
        "name", ["external_project_id", "project_id", "inst", "self", "actor", "request"]
    )
    def test_no_name_collides_with_our_own(self, api, name):
        assert api.post("/v1/secrets", {name: "x"}).status_code == 201
        assert api.get(f"/v1/secrets?{name}=x").status_code == 200

    @pytest.mark.parametrize(
        "content_type",
        ["application/json", "application/json; charset=utf-8", "application/JSON", "application/json;x=y"],
    )
    def test_parameters_and_case_of_the_type_do_not_matter(self, api, content_type):
        assert api.post("/v1/secrets", {}, content_type=content_type).status_code == 201

    def test_content_encoding_of_json_is_ignored(self, api):
        assert api.post("/v1/secrets", {}, Content_Encoding="gzip").status_code == 201

    def test_white_space_around_is_fine(self, api):
        assert api.post("/v1/secrets", b"\r\n\t {} \n").status_code == 201


class TestContentType:
    @pytest.mark.parametrize(
        "content_type",
        [
            "",
            "text/plain",
            "text/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded",
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/secrets", "/v1/orders"])
    def test_anything_but_json_is_415(self, api, path, content_type):
        assert api.post(path, "{}", content_type=content_type).status_code == 415


class TestSize:
    def test_25_000_bytes_are_taken_and_one_more_is_413(self, api):
        fits = json.dumps({"x": ""}).replace('""', '"' + "y" * (25_000 - 9) + '"')
        assert len(fits) == 25_000

        assert api.post("/v1/secrets", fits).status_code == 201
        response = api.post("/v1/secrets", fits.replace("y", "yy", 1))

        assert response.status_code == 413
        assert "25000" in response.json()["description"]

    def test_the_limit_is_a_setting(self, api, settings):
        settings.MAX_REQUEST_BYTES = 10

        assert api.post("/v1/secrets", {"name": "long enough"}).status_code == 413


@pytest.mark.processes
class TestRealServer:
    """What only a socket can say: chunked bodies, early refusals, broken lengths."""

    def call(self, product, method, path, body, *, chunked=False, content_type="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=20)
        connection.request(
            method,
            path,
            iter([body[:7], body[7:]]) if chunked else body,
            {"X-Auth-Token": product.key, "Content-Type": content_type},
            encode_chunked=chunked,
        )
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    def test_a_chunked_json_body_is_read(self, product):
        status, body = self.call(product, "POST", "/v1/secrets", b'{"name": "in chunks"}', chunked=True)
        assert status == 201

        _, shown = self.call(product, "GET", path_of(json.loads(body)["secret_ref"]), b"")
        assert json.loads(shown)["name"] == "in chunks"

    def test_a_chunked_payload_is_stored_byte_for_byte(self, product):
        _, body = self.call(product, "POST", "/v1/secrets", b"{}")
        path, payload = path_of(json.loads(body)["secret_ref"]), bytes(range(256))

        status, _ = self.call(
            product, "PUT", path, payload, chunked=True, content_type="application/octet-stream"
        )

        assert status == 204
        assert self.call(product, "GET", f"{path}/payload", b"") == (200, payload)

    def test_a_chunked_body_is_bounded_too(self, product):
        assert self.call(product, "POST", "/v1/secrets", b"x" * 30_000, chunked=True)[0] == 413

    def test_an_empty_chunked_body_is_malformed_json(self, product):
        assert self.call(product, "POST", "/v1/secrets", b"", chunked=True)[0] == 400

    def test_a_declared_length_beyond_the_limit_is_refused_before_it_is_sent(self, product):
        with socket.create_connection(("127.0.0.1", product.port), timeout=20) as plain:
            plain.sendall(
                b"POST /v1/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"X-Auth-Token: " + product.key.encode() + b"\r\nContent-Length: 999999999\r\n\r\n"
            )
            assert plain.recv(100).startswith(b"HTTP/1.1 413 ")

    def test_two_requests_on_one_connection_do_not_mix(self, product):
        connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=20)
        headers = {"X-Auth-Token": product.key, "Content-Type": "text/xml"}
        connection.request("POST", "/v1/secrets", b"{" * 500, headers)
        refused = connection.getresponse()
        refused.read()
        connection.request("GET", "/v1/secrets", headers=headers)

        assert refused.status == 415
        assert connection.getresponse().status == 200
        connection.close()

    def test_a_version_header_sent_twice_counts_by_its_last_entry(self, product):
        connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=20)
        connection.putrequest("GET", "/v1/secrets")
        connection.putheader("X-Auth-Token", product.key)
        for version in ("1.2", "1.1"):
            connection.putheader("OpenStack-API-Version", f"key-manager {version}")
        connection.endheaders()

        assert connection.getresponse().headers["OpenStack-API-Version"] == "key-manager 1.1"
        connection.close()

    @pytest.mark.parametrize("path", ["//v1/secrets", "//v1//secrets//", "/v1/secrets//"])
    def test_repeated_slashes_are_one(self, product, path):
        assert self.call(product, "POST", path, b"{}")[0] == 201
