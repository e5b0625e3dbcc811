"""POST /v1/secrets: what is taken, what is refused, and that a refusal leaves nothing behind.

Source: spec/barbican-api.md §4.2, §4.3, §5.1.
"""

import base64

import pytest

from secrets_app.models import Payload, Secret
from tests.support.callers import path_of
from tests.support.rows import written_rows

LONG = "x" * 255
BASE64 = base64.b64encode(b"\x00\x01\xfe\xff").decode()
TEXT = {"payload": "x", "payload_content_type": "text/plain"}
OCTETS = {
    "payload": BASE64,
    "payload_content_type": "application/octet-stream",
    "payload_content_encoding": "base64",
}


def cases(**table):
    """Readable ids: ``field=value``, long values cut."""
    return [
        pytest.param(field, value, id=f"{field}={value!r}"[:60])
        for field, values in table.items()
        for value in values
    ]


class TestFields:
    @pytest.mark.parametrize(
        ("field", "value"),
        cases(
            name=[None, "", "   ", LONG, f" {LONG} ", "\U0001f511 ключ", "a%b_c", "x\ny"],
            algorithm=["", "AES", "nonsense", LONG],
            mode=["", "cbc", LONG],
            bit_length=[1, 8, 7, 12.0, 256, 32767],
            expiration=["", "  ", "2099", "2099-01-01", "20990101T000000Z", "2099-01-01 10:00:00+02:00"],
            secret_type=["symmetric", "public", "private", "passphrase", "certificate", "opaque"],
            payload_content_encoding=["base64"],
            transport_key_needed=["false"],
            transport_key_id=["", "anything"],
            foo=[1, None, "x", {"y": []}],
        ),
    )
    def test_accepted(self, api, field, value):
        response = api.post("/v1/secrets", {field: value})

        assert response.status_code == 201, response.content

    @pytest.mark.parametrize(
        ("field", "value"),
        cases(
            name=["x" * 256, 1, True, [], {}, 1.5, "a\x00b"],
            algorithm=[None, "x" * 256, 1, False, ["AES"], "\x00"],
            mode=[None, "x" * 256, 1, {}],
            bit_length=[None, 0, -1, 32768, "256", "", True, False, 12.5, [], {}, 1e300, 10**100],
            expiration=[
                None,
                1,
                True,
                "xx",
                "2020-01-01",
                "2099-13-01",
                "2099-02-30",
                "12:00",
                "2099-01-01T00:00:00" + "0" * 300,
                "tomorrow",
            ],
            secret_type=[None, "", " ", "Symmetric", "OPAQUE", "key", 1, ["opaque"]],
            payload_content_encoding=[None, "", "BASE64", "gzip", 1, True],
            transport_key_needed=[None, True, False, "true", "yes", "", 1],
            transport_key_id=[None, 1],
        ),
    )
    def test_refused(self, api, field, value):
        response = api.post("/v1/secrets", {field: value})

        assert response.status_code == 400, response.content
        assert field in response.json()["description"]
        assert not Secret.objects.exists()

    def test_text_is_stripped_and_kept_as_it_is(self, api):
        path = api.store(name="  a b  ", algorithm=" AES ", mode=" Cbc ")

        shown = api.get(path).json()
        assert (shown["name"], shown["algorithm"], shown["mode"]) == ("a b", "AES", "Cbc")

    def test_a_number_without_a_fraction_is_an_integer(self, api):
        assert api.get(api.store(bit_length=12.0)).json()["bit_length"] == 12

    def test_expiration_is_converted_to_utc_and_keeps_its_fraction(self, api):
        path = api.store(expiration="2099-01-01T10:00:00.5+02:00")

        assert api.get(path).json()["expiration"] == "2099-01-01T08:00:00.500000"


class TestShownObject:
    def test_an_empty_secret_has_every_key_and_no_other(self, api):
        shown = api.get(api.store()).json()

        assert shown == {
            "created": shown["created"],
            "updated": shown["created"],
            "status": "ACTIVE",
            "name": None,
            "secret_type": "opaque",
            "expiration": None,
            "algorithm": None,
            "bit_length": None,
            "mode": None,
            "creator_id": "u1",
            "secret_ref": shown["secret_ref"],
            "consumers": [],
        }

    def test_a_full_secret_shows_what_was_sent_and_never_the_payload(self, api):
        sent = {"name": "n", "algorithm": "aes", "bit_length": 256, "mode": "cbc", "secret_type": "symmetric"}

        shown = api.get(api.store("hidden", **sent)).json()

        assert shown.items() >= sent.items()
        assert shown["content_types"] == {"default": "text/plain"}
        assert not {"payload", "project_id", "id"} & shown.keys()

    def test_the_answer_holds_the_ref_and_nothing_else(self, api):
        response = api.post("/v1/secrets", {})

        assert response.json() == {"secret_ref": response["Location"]}
        assert api.get(path_of(response["Location"])).json()["secret_ref"] == response["Location"]


ALONE = {
    "payload without type": {"payload": "x"},
    "payload with null type": {"payload": "x", "payload_content_type": None},
    "type without payload": {"payload_content_type": "text/plain"},
    "null type without payload": {"payload_content_type": None},
    "empty": TEXT | {"payload": ""},
    "blank": TEXT | {"payload": " \n\t "},
    "null": TEXT | {"payload": None},
    "number": TEXT | {"payload": 12},
    "array": TEXT | {"payload": ["x"]},
    "object": TEXT | {"payload": {"a": "b"}},
    "half a surrogate pair": TEXT | {"payload": "\ud800"},
    "text in base64": TEXT | {"payload_content_encoding": "base64"},
    "octets without encoding": OCTETS | {"payload_content_encoding": None},
    "octets in gzip": OCTETS | {"payload_content_encoding": "gzip"},
    "another charset": TEXT | {"payload_content_type": "text/plain; charset=latin-1"},
    "a malformed parameter": TEXT | {"payload_content_type": "text/plain; charset"},
    "an empty type": TEXT | {"payload_content_type": ""},
    "an unknown type": TEXT | {"payload_content_type": "application/xml"},
    "text/html": TEXT | {"payload_content_type": "text/html"},
    "unknown transport key": TEXT | {"transport_key_id": "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"},
    "base64: junk": OCTETS | {"payload": "!!!!"},
    "base64: junk inside": OCTETS | {"payload": "AAE*C/w=="},
    "base64: no padding": OCTETS | {"payload": "AAEC/w"},
    "base64: too much padding": OCTETS | {"payload": "AAEC===="},
    "base64: text after padding": OCTETS | {"payload": "AA==AAEC"},
    "base64: URL alphabet": OCTETS | {"payload": "__--"},
    "base64: only padding": OCTETS | {"payload": "===="},
    "base64: not ASCII": OCTETS | {"payload": "ÄÖÜß"},
    "base64: half a surrogate pair": OCTETS | {"payload": "AAEC\ud800"},
    "pkcs8 without encoding": {"payload": BASE64, "payload_content_type": "application/pkcs8"},
}


class TestPayloadRules:
    @pytest.mark.parametrize("body", ALONE.values(), ids=ALONE.keys())
    def test_refused_and_nothing_is_written(self, api, body):
        before = written_rows()

        response = api.post("/v1/secrets", body)

        assert response.status_code == 400, response.content
        assert response.json()["title"] == "Bad Request"
        assert written_rows() == before

    @pytest.mark.parametrize(
        "spelling",
        [
            "text/plain",
            "TEXT/Plain",
            "text/plain;charset=utf-8",
            "text/plain; charset=utf-8",
            "text/plain ; charset = UTF-8",
            'text/plain; charset="utf-8"',
        ],
    )
    def test_every_spelling_of_text_becomes_text_plain(self, api, spelling):
        path = path_of(
            api.post("/v1/secrets", TEXT | {"payload_content_type": spelling}).json()["secret_ref"]
        )

        assert api.get(path).json()["content_types"] == {"default": "text/plain"}

    @pytest.mark.parametrize("content_type", ["application/octet-stream", "application/pkcs8"])
    def test_base64_is_decoded_and_the_type_kept(self, api, content_type):
        body = OCTETS | {"payload_content_type": content_type}
        path = path_of(api.post("/v1/secrets", body).json()["secret_ref"])

        assert api.get(path).json()["content_types"] == {"default": content_type}
        assert api.get(f"{path}/payload").content == b"\x00\x01\xfe\xff"

    @pytest.mark.parametrize("encoded", ["AAEC\n/w==\n", "AAEC\r\n/w==", " AAEC/w== ", "AA EC/w=="])
    def test_base64_with_line_breaks_is_accepted(self, api, encoded):
        path = path_of(api.post("/v1/secrets", OCTETS | {"payload": encoded}).json()["secret_ref"])

        assert api.get(f"{path}/payload").content == b"\x00\x01\x02\xff"

    def test_the_encoding_alone_is_ignored(self, api):
        path = api.store(payload_content_encoding="base64")

        assert "content_types" not in api.get(path).json()


class TestSize:
    def test_20_000_bytes_of_text_fit_and_one_more_is_413(self, api):
        assert api.post("/v1/secrets", TEXT | {"payload": "x" * 20_000}).status_code == 201
        before = written_rows()

        response = api.post("/v1/secrets", TEXT | {"payload": "x" * 20_001})

        assert response.status_code == 413
        assert "20000 bytes" in response.json()["description"]
        assert written_rows() == before

    def test_bytes_are_counted_and_not_characters(self, api):
        assert api.post("/v1/secrets", TEXT | {"payload": "é" * 10_001}).status_code == 413

    def test_of_base64_the_text_is_counted(self, api):
        fits, too_much = (base64.b64encode(bytes(count)).decode() for count in (15_000, 15_001))

        assert api.post("/v1/secrets", OCTETS | {"payload": fits}).status_code == 201
        assert api.post("/v1/secrets", OCTETS | {"payload": too_much}).status_code == 413

    def test_the_limit_is_a_setting(self, api, settings):
        settings.MAX_PAYLOAD_BYTES = 3

        assert api.post("/v1/secrets", TEXT | {"payload": "abc"}).status_code == 201
        assert api.post("/v1/secrets", TEXT | {"payload": "abcd"}).status_code == 413


class TestNothingIsWritten:
    @pytest.mark.parametrize("function", ["C_EncryptInit", "C_Encrypt"])
    def test_when_the_token_fails(self, api, shim, function):
        api.store("warms the key")
        before = written_rows()
        shim.answer(0x05, function)

        assert api.post("/v1/secrets", TEXT).status_code >= 500
        assert written_rows() == before

    def test_when_the_token_fails_at_a_projects_first_store(self, api, shim):
        api.store("warms the HSM")
        other = api.other(project="of the first store")
        before = written_rows()
        shim.answer(0x05, "C_WrapKey")

        assert other.post("/v1/secrets", TEXT).status_code >= 500
        assert written_rows() == before

        shim.clear()
        assert other.post("/v1/secrets", TEXT).status_code in {201, 503}

    def test_when_the_payload_row_cannot_be_inserted(self, api, monkeypatch):
        api.store("warms the key")
        before = written_rows()
        monkeypatch.setattr(Payload.objects, "bulk_create", lambda *_, **__: 1 / 0)

        assert api.post("/v1/secrets", TEXT).status_code == 500
        assert written_rows() == before
