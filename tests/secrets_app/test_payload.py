"""Payloads: what was put in comes out, byte for byte, in the type asked for.

Source: spec/barbican-api.md §4.5, §4.6, §5.
"""

import secrets
from datetime import UTC, datetime

import pytest

from keepsite.errors import Conflict
from keepsite.identity.api_keys import principal_of
from keepsite.keyring.sealed import Plaintext
from secrets_app import services
from secrets_app.choices import ContentType
from secrets_app.models import Payload, Secret
from secrets_app.services import NewPayload, payloads
from tests.support.rows import written_rows

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TEXTS = {
    "one letter": "x",
    "white space around": "  \t kept \n\n",
    "NUL": "before\x00after",
    "only a NUL": "\x00",
    "astral": "\U0001f511\U00010348",
    "combining": "e\u0301 \u202e rtl",
    "BOM": "\ufeffx",
    "non-characters": "\uffff\ufffe",
    "PEM": PEM,
    "CRLF": "a\r\nb\r\n",
    "JSON": '{"a": [1, null]}',
    "quotes": "'\"\\; DROP TABLE x; --",
    "20,000 bytes": "x" * 20_000,
}
BINARIES = {
    "32 random bytes": secrets.token_bytes(32),
    "every byte": bytes(range(256)),
    "zeros": bytes(32),
    "one zero": b"\x00",
    "blanks": b"   \n",
    "not UTF-8": b"\xff\xfe\xfd",
    "base64 look-alike": b"AAECAw==",
    "20,000 bytes": secrets.token_bytes(20_000),
}


def payload(api, path, **headers):
    response = api.get(f"{path}/payload", **headers)
    assert response.status_code == 200, response.content
    return response.content


class TestOneStep:
    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    def test_text_comes_back_exactly(self, api, text):
        path = api.store(text)

        assert payload(api, path, Accept="text/plain") == text.encode()
        assert payload(api, path) == text.encode()


class TestTwoSteps:
    @pytest.mark.parametrize("octets", BINARIES.values(), ids=BINARIES.keys())
    def test_octets_come_back_byte_for_byte(self, api, octets):
        path = api.store()

        assert api.put(path, octets).status_code == 204
        assert payload(api, path) == octets

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    def test_text_comes_back_exactly(self, api, text):
        path = api.store()

        assert api.put(path, text.encode(), content_type="text/plain").status_code == 204
        assert payload(api, path, Accept="text/plain") == text.encode()

    def test_20_000_bytes_of_two_each_fit(self, api):
        path = api.store()

        assert api.put(path, "é".encode() * 10_000, content_type="text/plain").status_code == 204

    def test_before_the_second_step_there_is_no_payload(self, api):
        path = api.store()

        assert api.get(f"{path}/payload").status_code == 404
        assert "content_types" not in api.get(path).json()

    def test_the_second_step_shows_type_and_new_update_time(self, api):
        path = api.store()
        created = api.get(path).json()["created"]
        api.put(path, b"x", content_type="text/plain; charset=latin-1")

        shown = api.get(path).json()
        assert shown["content_types"] == {"default": "text/plain"}
        assert shown["updated"] > shown["created"] == created


class TestPut:
    def test_success_is_204_without_body_or_type(self, api):
        response = api.put(api.store(), b"x")

        assert response.status_code == 204
        assert response.content == b""
        assert "Content-Type" not in response

    @pytest.mark.parametrize(
        "content_type",
        ["", "application/json", "application/pkcs8", "text/html", "text/plain2", "multipart/form-data"],
    )
    def test_other_types_are_415(self, api, content_type):
        path = api.store()

        assert api.put(path, b"x", content_type=content_type).status_code == 415
        assert "content_types" not in api.get(path).json()

    def test_an_empty_body_is_400(self, api):
        assert api.put(api.store(), b"").status_code == 400

    def test_20_001_bytes_are_413_and_the_secret_stays_open(self, api):
        path = api.store()
        before = written_rows()

        assert api.put(path, bytes(20_001)).status_code == 413
        assert written_rows() == before
        assert api.put(path, bytes(20_000)).status_code == 204

    @pytest.mark.parametrize("text", [b"x", "é".encode() * 10_001])
    def test_the_limit_holds_for_text_too(self, api, text):
        expected = 413 if len(text) > 20_000 else 204

        assert api.put(api.store(), text, content_type="text/plain").status_code == expected

    @pytest.mark.parametrize("encoding", ["base64", "BASE64", " base64 "])
    @pytest.mark.parametrize("body", [b"AAEC/w==", b"AAEC\n/w==\n", b"AA EC\r\n/w=="])
    def test_base64_is_decoded(self, api, encoding, body):
        path = api.store()

        assert api.put(path, body, Content_Encoding=encoding).status_code == 204
        assert payload(api, path) == b"\x00\x01\x02\xff"

    @pytest.mark.parametrize("body", [b"!!!!", b"AAEC/w", b"AA==AA==", b"====", b"\xff\xfe", b" \n "])
    def test_bad_base64_is_400_and_the_secret_stays_open(self, api, body):
        path = api.store()

        assert api.put(path, body, Content_Encoding="base64").status_code == 400
        assert api.put(path, b"now").status_code == 204

    @pytest.mark.parametrize("encoding", ["gzip", "base64, gzip", "identity", "x"])
    def test_other_encodings_are_400(self, api, encoding):
        assert api.put(api.store(), b"AAEC", Content_Encoding=encoding).status_code == 400

    @pytest.mark.parametrize("encoding", ["base64", "gzip", "x"])
    def test_an_encoding_of_text_is_ignored(self, api, encoding):
        path = api.store()

        assert api.put(path, b"QUFB", content_type="text/plain", Content_Encoding=encoding).status_code == 204
        assert payload(api, path) == b"QUFB"

    def test_an_unknown_transport_key_is_400(self, api):
        assert api.put(f"{api.store()}?transport_key_id=x", b"x").status_code == 400

    def test_a_session_key_to_wrap_the_payload_with_is_400(self, api):
        path = f"{api.store('text')}/payload?trans_wrapped_session_key=x"

        assert api.get(path, Accept="text/plain").status_code == 400


class TestConflict:
    @pytest.mark.parametrize("first", ["text", b"octets"], ids=["one step", "two steps"])
    def test_a_second_payload_is_refused_and_the_first_stays(self, api, first):
        path = api.store(first)
        before = written_rows()

        response = api.put(path, b"second")

        assert response.status_code == 409
        assert response.json()["title"] == "Conflict"
        assert written_rows() == before
        assert payload(api, path) == (first if isinstance(first, bytes) else first.encode())

    def test_one_that_read_the_secret_before_it_had_a_payload_changes_nothing(self, api):
        path = api.store()
        early = Secret.objects.select_related("project").get(id=path.rpartition("/")[2])
        late = NewPayload(plaintext=Plaintext(b"second"), content_type=ContentType.OCTETS)
        assert api.put(path, b"first").status_code == 204

        with pytest.raises(Conflict):
            services.store_payload(early, late, actor=principal_of(api.key))
        assert payload(api, path) == b"first"
        assert Payload.objects.count() == 1


class TestGone:
    @pytest.fixture
    def expired(self, api):
        path = api.store("x", expiration="2099-01-01")
        Secret.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        return path

    def test_an_expired_secret_is_404_with_everything_under_it(self, api, expired):
        assert api.get(expired).status_code == 404
        assert api.get(f"{expired}/payload").status_code == 404
        assert api.get(f"{expired}/consumers").status_code == 404
        assert api.put(expired, b"x").status_code == 404
        assert api.delete(expired).status_code == 404

    def test_an_expired_secret_is_in_no_list(self, api, expired):
        assert api.get("/v1/secrets").json() == {"secrets": [], "total": 0}

    def test_one_that_expires_under_work_takes_no_payload(self, api, monkeypatch):
        path = api.store(expiration="2099-01-01")
        sealed_then_expired = payloads.seal_for

        def seal_for(*arguments, **options):
            sealed = sealed_then_expired(*arguments, **options)
            Secret.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
            return sealed

        monkeypatch.setattr(payloads, "seal_for", seal_for)
        assert api.put(path, b"x").status_code in {404, 409}
        assert not Payload.objects.exists()


ACCEPTS = {
    "": "application/octet-stream",
    "application/octet-stream": "application/octet-stream",
    "application/pkcs8": "application/pkcs8",
    "text/plain": "text/plain; charset=UTF-8",
    "text/plain;charset=utf-8": "text/plain; charset=UTF-8",
    "text/plain; charset=utf-8": "text/plain; charset=UTF-8",
    "text/plain;charset=UTF-8": "text/plain; charset=UTF-8",
    "*/*": "text/plain; charset=UTF-8",
}
NOT_ACCEPTED = [
    "application/json",
    "text/*",
    "text/html",
    "application/*",
    "text/plain, application/octet-stream",
    "text/plain;q=0.9",
    "application/octet-stream;q=1",
    "text/plain; charset=latin-1",
    "image/png",
    "nonsense",
]


class TestNegotiation:
    @pytest.mark.parametrize(("accept", "content_type"), ACCEPTS.items())
    def test_accepted(self, api, accept, content_type):
        response = api.get(f"{api.store('text')}/payload", Accept=accept)

        assert response.status_code == 200
        assert response["Content-Type"].lower() == content_type.lower()
        assert response.content == b"text"

    @pytest.mark.parametrize("accept", NOT_ACCEPTED)
    def test_not_accepted(self, api, accept):
        response = api.get(f"{api.store('text')}/payload", Accept=accept)

        assert response.status_code == 406
        assert response["Content-Type"] == "application/json"

    def test_octets_that_are_text_may_be_asked_for_as_text(self, api):
        path = api.store("ключ".encode())

        assert payload(api, path, Accept="text/plain") == "ключ".encode()

    def test_octets_that_are_no_text_are_406_as_text(self, api):
        path = api.store(b"\xff\xfe")

        assert api.get(f"{path}/payload", Accept="text/plain").status_code == 406
        assert api.get(f"{path}/payload", Accept="*/*")["Content-Type"] == "application/octet-stream"

    def test_text_in_another_charset_is_406_as_text_and_served_to_who_takes_anything(self, api):
        path = api.store()
        api.put(path, b"h\xe9", content_type="text/plain; charset=latin-1")

        assert api.get(f"{path}/payload", Accept="text/plain").status_code == 406
        served = api.get(f"{path}/payload", Accept="*/*")
        assert (served.status_code, served.content) == (200, b"h\xe9")
        assert served["Content-Type"] == "text/plain"  # and no charset, which nobody knows
        assert payload(api, path) == b"h\xe9"

    def test_an_answer_is_not_to_be_cached(self, api):
        assert api.get(f"{api.store('x')}/payload")["Cache-Control"] == "no-store"

    def test_accept_encoding_is_ignored(self, api):
        response = api.get(f"{api.store('x')}/payload", Accept_Encoding="base64, gzip")

        assert response.content == b"x"
        assert "Content-Encoding" not in response


class TestOldWay:
    """GET of the secret itself in a payload's type."""

    @pytest.mark.parametrize(
        "accept",
        [
            "",
            "application/json",
            "*/*",
            "application/*",
            "application/json;q=0.9",
            "text/plain, application/json",
        ],
    )
    def test_where_json_will_do_the_answer_is_the_object(self, api, accept):
        response = api.get(api.store("x"), Accept=accept)

        assert response.status_code == 200
        assert response.json()["status"] == "ACTIVE"

    @pytest.mark.parametrize("accept", ["text/plain", "application/octet-stream", "application/pkcs8"])
    def test_a_payload_type_alone_asks_for_the_payload(self, api, accept):
        response = api.get(api.store("x"), Accept=accept)

        assert response.content == b"x"
        assert response["Content-Type"].startswith(accept)

    @pytest.mark.parametrize("accept", ["application/xml", "text/html", "text/plain, text/html", "image/png"])
    def test_other_types_are_406(self, api, accept):
        assert api.get(api.store("x"), Accept=accept).status_code == 406

    def test_without_a_payload_it_is_404(self, api):
        assert api.get(api.store(), Accept="text/plain").status_code == 404

    def test_the_payloads_rule_decides(self, api):
        path = api.store("x")
        foreign_admin = api.other(project="p2", roles=["admin"])

        assert foreign_admin.get(path).status_code == 200
        assert foreign_admin.get(path, Accept="text/plain").status_code == 403
