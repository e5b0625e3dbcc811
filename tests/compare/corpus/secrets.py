"""Secrets: creating, reading, listing, deleting; expiration."""

from collections.abc import Iterable

from tests.compare.steps import Scenario, Step, delete, get, patch, post, put, version

TEXT = {"payload": "hi", "payload_content_type": "text/plain"}
OCTETS = {
    "payload": "AP8=",
    "payload_content_type": "application/octet-stream",
    "payload_content_encoding": "base64",
}
WITHOUT_PAYLOAD = [
    {},
    {"name": None},
    {"name": ""},
    {"name": "  stripped  "},
    {"name": "n" * 255},
    {"name": "n" * 256},
    {"name": "\U0001f511 ключ"},
    {"name": 5},
    {"name": ["x"]},
    {"algorithm": "aes", "bit_length": 256, "mode": "cbc", "secret_type": "symmetric"},
    {"algorithm": "AES"},
    {"algorithm": ""},
    {"algorithm": None},
    {"algorithm": "a" * 256},
    {"algorithm": 7},
    {"mode": ""},
    {"mode": None},
    {"mode": "m" * 256},
    {"bit_length": 1},
    {"bit_length": 32767},
    {"bit_length": 32768},
    {"bit_length": 0},
    {"bit_length": -1},
    {"bit_length": "256"},
    {"bit_length": None},
    {"bit_length": True},
    {"bit_length": 12.0},
    {"bit_length": 12.5},
    {"secret_type": "symmetric"},
    {"secret_type": "public"},
    {"secret_type": "private"},
    {"secret_type": "passphrase"},
    {"secret_type": "certificate"},
    {"secret_type": "opaque"},
    {"secret_type": "Symmetric"},
    {"secret_type": "other"},
    {"secret_type": ""},
    {"secret_type": None},
    {"foo": "bar"},
    {"status": "ERROR", "creator_id": "me", "created": "x", "secret_ref": "y", "project_id": "z"},
    {"payload_content_encoding": "base64"},
    {"payload_content_encoding": "gzip"},
    {"payload_content_type": "text/plain"},
    {"payload_content_type": None},
    {"payload": None},
    {"transport_key_needed": "false"},
    {"transport_key_needed": "true"},
    {"transport_key_needed": True},
    {"transport_key_id": "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"},
]
EXPIRATIONS = [
    "2030", "2030-01-01", "20300101T000000Z", "2030-01-01 10:00:00", "2030-01-01T10:00:00",
    "2030-01-01T10:00:00.5", "2030-01-01T10:00:00.123456", "2030-01-01T10:00:00+02:00",
    "2030-01-01T10:00:00Z",
    "2030-01-01T10:00", "9999-12-31T23:59:59", "2020-01-01T00:00:00", "soon", "2030-02-30", "2030-13-01", "",
    "  ", None, 5, "2030-001",
]  # fmt: skip
BAD_BODIES = [
    (b"[]", "a list"),
    (b"null", "null"),
    (b'"text"', "a string"),
    (b"5", "a number"),
    (b"not JSON", "not JSON"),
    (b"", "nothing"),
    (b'{"name": "a"} trailing', "garbage after it"),
    (b'\xef\xbb\xbf{"name": "a"}', "a byte order mark"),
    (b'{"name": "\xff"}', "not UTF-8"),
    (b'{"name": "a", "name": "b"}', "a name twice"),
    (b'{"bit_length": NaN}', "NaN"),
    (b'{"name": "a",}', "a trailing comma"),
    (b'{"name": "' + b"n" * 25_000 + b'"}', "longer than a request may be"),
    (b'{"name": "a"}' + b" " * 25_000, "blanks beyond the limit"),
]
CONTENT_TYPES = [
    "application/json", "application/json; charset=utf-8", "application/JSON", "text/plain", "text/json",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "",
]  # fmt: skip
OBJECT_ACCEPTS = [
    "*/*", "application/json", "application/json;q=0.9", "application/json, text/plain", "text/plain",
    "application/octet-stream", "application/pkcs8", "text/plain;charset=utf-8", "text/plain; charset=utf-8",
    "text/plain;charset=UTF-8", "application/xml", "text/html", "text/*", "made/up", "",
]  # fmt: skip
LISTS = [
    "", "limit=2", "limit=2&offset=1", "limit=0", "limit=-1", "limit=1000", "limit=x", "limit=", "offset=-1",
    "offset=x", "offset=99", "offset=99999999999999999999", "limit=2&offset=2&name=&foo=bar",
    "name=one", "name=ONE", "name=nobody", "name=o%25", "name=with%20blank", "name=",
    "alg=aes", "alg=AES", "algorithm=aes",
    "mode=cbc", "bits=256", "bits=x", "bits=0", "bits=-1", "bits=", "secret_type=symmetric",
    "secret_type=other", "secret_type=", "created=gt:2020-01-01,lt:2090-01-01", "created=lt:2020-01-01",
    "created=gte:2020-01-01T00:00:00", "created=xx", "created=", "created=gt:", "created=gt:xx",
    "created=gt:2020-01-01,gt:2021-01-01", "created=gt:2020-01-01,gte:2020-01-01",
    "created=2020-01-01", "created=2020-01-01,gte:2020-01-01", "created=2020-01-01,gt:2019-01-01",
    "created=GT:2020-01-01", "created=eq:2020-01-01", "updated=gt:2020-01-01", "updated=xx",
    "expiration=gt:2020-01-01", "expiration=lt:2020-01-01", "expiration=xx", "sort=name", "sort=name:desc",
    "sort=created:desc,name", "sort=bit_length:asc,name:asc", "sort=foo", "sort=name:up", "sort=name,name",
    "sort=name:asc:x",
    "sort=", "sort=name,", "sort=%20name", "sort=status,name", "sort=secret_type,name", "sort=mode,name",
    "sort=algorithm,name",
    "sort=expiration,name", "sort=updated", "acl_only=true", "acl_only=TRUE", "acl_only=false", "acl_only=x",
    "foo=bar", "limit=2&sort=name&created=gt:2020-01-01&foo=a+b%25", "limit=2&limit=3", "name=one&name=two",
    "marker={one}", "limit=1&name=t%25",
]  # fmt: skip


def _created_and_read(bodies: Iterable[tuple[object, str]]) -> Iterable[Step]:
    for number, (body, note) in enumerate(bodies):
        yield post("/v1/secrets", body, f"POST {note}", saves=f"s{number}")


def _short(body: object) -> str:
    text = repr(body)
    return text if len(text) < 80 else f"{text[:40]}... ({len(text)} characters)"


SCENARIOS = [
    Scenario(
        "creating secrets",
        [
            *(post("/v1/secrets", body, f"POST secret {_short(body)}") for body in WITHOUT_PAYLOAD),
            get("/v1/secrets?limit=100", "every field of what was created"),
            get("/v1/secrets?limit=100", "and with consumers", headers=version("1.1")),
        ],
    ),
    Scenario(
        "expiration",
        [
            *(
                post("/v1/secrets", {"name": str(text), "expiration": text}, f"expiration {text!r}")
                for text in EXPIRATIONS
            ),
            get("/v1/secrets?limit=100&sort=expiration,name", "what was stored"),
            get("/v1/secrets?limit=100&expiration=gt:2030-01-01T09:00:00&sort=expiration,name", "filtered"),
            get(
                "/v1/secrets?limit=100&expiration=2030-01-01T10:00:00&sort=expiration,name",
                "filtered by moment",
            ),
        ],
    ),
    Scenario("week dates", [post("/v1/secrets", {"expiration": "2030-W01-1"}, "expiration '2030-W01-1'")]),
    Scenario(
        "expired",
        [
            post("/v1/secrets", TEXT | {"expiration": "{soon}"}, saves="secret"),
            post("/v1/secrets", {"name": "stays"}, saves="stays"),
            post(
                "/v1/containers",
                {"type": "generic", "secret_refs": [{"name": "a", "secret_ref": "{secret.ref}"}]},
                saves="container",
            ),
            get("/v1/secrets/{secret}", "once it has expired", until="gone"),
            get("/v1/secrets/{secret}/payload"),
            get("/v1/secrets/{secret}/metadata"),
            get("/v1/secrets/{secret}/acl"),
            get("/v1/secrets/{secret}/consumers"),
            put("/v1/secrets/{secret}", b"x", headers={"Content-Type": "text/plain"}),
            delete("/v1/secrets/{secret}"),
            get("/v1/secrets", "the list after expiry"),
            get("/v1/containers/{container}", "a container with an expired secret"),
            post(
                "/v1/containers",
                {"type": "generic", "secret_refs": [{"name": "a", "secret_ref": "{secret.ref}"}]},
                "an expired secret in a container",
            ),
        ],
    ),
    Scenario(
        "bodies",
        [
            *(
                post("/v1/secrets", body, f"body: {note}", headers={"Content-Type": "application/json"})
                for body, note in BAD_BODIES
            ),
            *(
                post(
                    "/v1/secrets",
                    b'{"name": "typed"}',
                    f"Content-Type {kind!r}",
                    headers={"Content-Type": kind},
                )
                for kind in CONTENT_TYPES
            ),
            post("/v1/secrets", b'{"name": "typed"}', "no Content-Type"),
            post("/v1/secrets", {"name": "gzip"}, "said to be gzip", headers={"Content-Encoding": "gzip"}),
            get("/v1/secrets?name=typed", "those that were taken"),
        ],
    ),
    Scenario(
        "reading a secret",
        [
            post("/v1/secrets", {"name": "empty"}, saves="empty"),
            post("/v1/secrets", TEXT | {"name": "text"}, saves="text"),
            post("/v1/secrets", OCTETS | {"name": "octets"}, saves="octets"),
            *(
                get("/v1/secrets/{text}", f"GET secret at {number}", headers=version(number))
                for number in ("1.0", "1.1", "1.2", "latest")
            ),
            *(
                get("/v1/secrets/{empty}", f"GET empty secret at {number}", headers=version(number))
                for number in ("1.0", "1.1")
            ),
            *(
                get(
                    f"/v1/secrets/{{{name}}}",
                    f"GET {name} secret, Accept: {accept!r}",
                    headers={"Accept": accept},
                )
                for name in ("text", "octets", "empty")
                for accept in OBJECT_ACCEPTS
            ),
            *(
                get(
                    f"/v1/secrets/{{{name}}}/payload",
                    f"GET payload of {name}, Accept: {accept!r}",
                    headers={"Accept": accept},
                )
                for name in ("text", "octets", "empty")
                for accept in OBJECT_ACCEPTS
            ),
            get("/v1/secrets/{text}/payload", "payload, no Accept"),
            get("/v1/secrets/{octets}/payload", "octets, no Accept"),
            get("/v1/secrets/{empty}/payload", "no payload, no Accept"),
            get(
                "/v1/secrets/{text}/payload",
                "Accept-Encoding",
                headers={"Accept-Encoding": "gzip", "Accept": "text/plain"},
            ),
            get(
                "/v1/secrets/{text}/payload?trans_wrapped_session_key=x",
                "a session key without a transport key",
            ),
            get("/v1/secrets/{text}?transport_key_needed=false", "no transport key needed"),
            *(
                Step(method=method, path="/v1/secrets/{text}", body=None)
                for method in ("HEAD", "PATCH", "POST", "OPTIONS")
            ),
            *(
                Step(method=method, path="/v1/secrets/{text}/payload")
                for method in ("HEAD", "PATCH", "POST", "PUT", "DELETE")
            ),
        ],
    ),
    Scenario(
        "listing secrets",
        [
            post(
                "/v1/secrets",
                {"name": "one", "algorithm": "aes", "bit_length": 256, "mode": "cbc"},
                saves="one",
            ),
            post(
                "/v1/secrets",
                TEXT | {"name": "two", "secret_type": "symmetric", "expiration": "2099-01-01"},
                saves="two",
            ),
            post("/v1/secrets", {"name": "three", "algorithm": "AES", "bit_length": 128}, saves="three"),
            post("/v1/secrets", {"name": "with blank", "algorithm": "rsa", "mode": "x"}, saves="four"),
            post("/v1/secrets", {"name": "away"}, who="owner@away"),
            *(get(f"/v1/secrets?{query}", f"list ?{query}") for query in LISTS),
            get("/v1/secrets?limit=2", "list at 1.1", headers=version("1.1")),
        ],
    ),
    Scenario(
        "names with signs",
        [
            post("/v1/secrets", {"name": "a+b"}),
            post("/v1/secrets", {"name": "a b"}),
            post("/v1/secrets", {"name": "a_b"}),
            post("/v1/secrets", {"name": "a%b"}),
            get("/v1/secrets?name=a%2Bb", "a name with a plus"),
            get("/v1/secrets?name=a_b", "a name with an underscore"),
            get("/v1/secrets?name=a%25b", "a name with a percent sign"),
            get("/v1/secrets?name=a%20b", "a name with a blank"),
        ],
    ),
    Scenario(
        "deleting secrets",
        [
            post("/v1/secrets", TEXT, saves="a"),
            delete("/v1/secrets/{a}"),
            delete("/v1/secrets/{a}", note="DELETE again"),
            get("/v1/secrets/{a}", "GET a deleted one"),
            get("/v1/secrets/{a}/payload", "GET a deleted payload"),
            get("/v1/secrets", "the list afterwards"),
            post("/v1/secrets", TEXT, saves="b"),
            delete("/v1/secrets/{b}", note="DELETE, Accept: text/html", headers={"Accept": "text/html"}),
            post("/v1/secrets", TEXT, saves="c"),
            delete("/v1/secrets/{c}", note="DELETE, Accept: made/up", headers={"Accept": "made/up"}),
            post("/v1/secrets", TEXT, saves="d"),
            delete(
                "/v1/secrets/{d}", b"ignored", "DELETE with a body", headers={"Content-Type": "text/plain"}
            ),
            *(
                step
                for number in ("1.0", "1.1", "1.2")
                for step in (
                    post("/v1/secrets", TEXT, saves="used"),
                    post(
                        "/v1/secrets/{used}/consumers",
                        {"service": "s", "resource_type": "t", "resource_id": "i"},
                    ),
                    delete(
                        "/v1/secrets/{used}",
                        note=f"DELETE one with a consumer at {number}",
                        headers=version(number),
                    ),
                    delete(
                        "/v1/secrets/{used}?force=perhaps",
                        note=f"DELETE by force=perhaps at {number}",
                        headers=version(number),
                    ),
                    delete(
                        "/v1/secrets/{used}?force=false",
                        note=f"DELETE by force=false at {number}",
                        headers=version(number),
                    ),
                    delete(
                        "/v1/secrets/{used}?force=True",
                        note=f"DELETE by force=True at {number}",
                        headers=version(number),
                    ),
                )
            ),
            *(
                step
                for force in ("1", "t", "on", "y", "yes", "YES", "0", "f", "off", "n", "no", "", "2", "x")
                for step in (
                    post("/v1/secrets", TEXT, saves="free"),
                    delete(
                        f"/v1/secrets/{{free}}?force={force}",
                        note=f"DELETE a free one by force={force}",
                        headers=version("1.2"),
                    ),
                )
            ),
            patch("/v1/secrets", note="PATCH the collection"),
        ],
    ),
]
