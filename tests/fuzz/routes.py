"""Every route and method of the API: what a good request of it looks like, and how its success is checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import headers, readback
from tests.fuzz.bodies import json_bodies, raw_bodies
from tests.fuzz.calls import Call
from tests.fuzz.chosen import chosen
from tests.fuzz.queries import targets

SECRET_REF = "http://localhost/v1/secrets/@secret@"
FULL_REF = "http://localhost/v1/secrets/@full@"
NAME = chosen(["n", "ä", "😀", "x" * 255])


def _object(required=None, **optional):
    return st.fixed_dictionaries(required or {}, optional={name: _one_of(v) for name, v in optional.items()})


def _one_of(values):
    return values if isinstance(values, st.SearchStrategy) else chosen(values)


_DESCRIPTION = {
    "name": NAME,
    "algorithm": ["aes", "rsa", ""],
    "mode": ["cbc", "xts", ""],
    "bit_length": [128, 256, 2048],
    "expiration": ["2099-01-01T00:00:00", "9999-12-31", ""],
}


def _content(payload, content_type, encoding=None):
    content = {"payload": payload, "payload_content_type": content_type}
    return content if encoding is None else content | {"payload_content_encoding": encoding}


_CONTENT = chosen(
    [
        _content("text", "text/plain"),
        _content(" a\n", "text/plain; charset=utf-8"),
        _content("AAEC\n/w==", "application/octet-stream", "base64"),
        _content("AAEC", "application/pkcs8", "base64"),
        _content("AAEC", "application/octet-stream"),
        {},
    ]
)
_TYPES = ["symmetric", "public", "private", "passphrase", "certificate", "opaque"]
SECRETS = st.builds(
    dict.__or__,
    _object(
        **_DESCRIPTION, secret_type=_TYPES, transport_key_needed=["true", "false"], transport_key_id=["x"]
    ),
    _CONTENT,
)
ORDERS = st.one_of(
    _object(
        {
            "type": st.just("key"),
            "meta": _object(
                {"algorithm": chosen(["aes", "AES", "hmacsha256"]), "bit_length": st.just(256)},
                name=NAME,
                mode=["cbc", ""],
                expiration=["2099-01-01"],
                payload_content_type=["application/octet-stream", "text/plain"],
                secret_type=_TYPES,
            ),
        }
    ),
    _object(
        {
            "type": st.just("asymmetric"),
            "meta": _object(
                {"algorithm": chosen(["rsa", "RSA"]), "bit_length": st.just(2048)},
                name=NAME,
                passphrase=NAME,
                pass_phrase=NAME,
            ),
        }
    ),
)
METADATA = _object({"metadata": st.dictionaries(chosen(["a", "B-1", "x" * 255]), NAME, max_size=3)})
METADATUM = _object({"key": chosen(["fresh", "note", "Note", "A_1"]), "value": NAME})
ACLS = _object(read=_object(**{"users": st.lists(NAME, max_size=3), "project-access": [True, False]}))
NOVA = _object(dict.fromkeys(("service", "resource_type", "resource_id"), NAME))
KNOWN_NOVA = st.one_of(NOVA, st.just({"service": "nova", "resource_type": "instance", "resource_id": "i-1"}))
USE = _object({"name": NAME, "URL": chosen(["https://lb.example/1", "x" * 255])})
KNOWN_USE = st.one_of(USE, st.just({"name": "lb", "URL": "https://lb.example/1"}))
PLACES = _object({"secret_ref": chosen([SECRET_REF, FULL_REF, "@full@"])}, name=["s", "t", ""])
CONTAINERS = st.one_of(
    _object(
        {"type": st.just("generic")},
        name=NAME,
        secret_refs=st.lists(PLACES, max_size=2),
    ),
    st.just(
        {
            "type": "rsa",
            "secret_refs": [
                {"name": "private_key", "secret_ref": SECRET_REF},
                {"name": "public_key", "secret_ref": FULL_REF},
            ],
        }
    ),
    st.just({"type": "certificate", "secret_refs": [{"name": "certificate", "secret_ref": SECRET_REF}]}),
)
QUOTAS = _object(
    {
        "project_quotas": st.dictionaries(
            chosen(["secrets", "orders", "containers", "consumers", "cas"]),
            chosen([-1, 0, 5, 2**31 - 1]),
        )
    }
)
TRANSPORT_KEYS = _object({"plugin_name": NAME, "transport_key": chosen(["k", "k" * 10_000])})

Check = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path; ``body`` is what it reads, None for what reads none."""

    method: str
    path: str
    body: Any = None
    content_type: bytes = b"application/json"
    token: bytes = b"@token:member@"
    check: Check = readback.body_is_json

    def __str__(self):
        return f"{self.method} {self.path.replace('@', '')}"

    def calls(self, *, malformed):
        """Requests of this route, most of them bad; ``malformed`` adds what is no HTTP."""
        return st.builds(
            _call,
            st.just(self),
            targets(self.path),
            st.just(b"") if self.body is None else self.body,
            st.one_of(st.just([]), st.lists(headers.EXTRA, max_size=3)),
            chosen([False] * 9 + [True]) if malformed else st.just(value=False),
            st.one_of(*[st.just([])] * 7, headers.MALFORMED.map(lambda line: [line]))
            if malformed
            else st.just([]),
        )


def _call(route, target, body, extra, chunked, raw_headers):  # st.builds passes them in order
    usual = [(b"X-Auth-Token", route.token), (b"OpenStack-API-Version", b"key-manager 1.2")]
    if route.body is not None:
        usual.append((b"Content-Type", route.content_type))
    replaced = {name for name, _ in extra}
    return Call(
        method=route.method,
        target=target,
        headers=(*(header for header in usual if header[0] not in replaced), *extra),
        body=body,
        chunked=chunked,
        raw_headers=tuple(raw_headers),
    )


ADMIN = b"@token:admin@"
S, C = "/v1/secrets/@secret@", "/v1/containers/@container@"
FULL = "/v1/secrets/@full@"


def _takes(method, path, valid, check, **options):
    return Route(method=method, path=path, body=json_bodies(valid), check=check, **options)


WRITES = [
    _takes("POST", "/v1/secrets", SECRETS, readback.secret),
    Route(
        method="PUT",
        path=S,
        body=raw_bodies(),
        content_type=b"application/octet-stream",
        check=readback.payload,
    ),
    Route(method="PUT", path=S + "/", body=raw_bodies(), content_type=b"text/plain", check=readback.payload),
    _takes("PUT", f"{FULL}/metadata", METADATA, readback.metadata),
    _takes("POST", f"{FULL}/metadata", METADATUM, readback.metadatum),
    _takes("PUT", f"{FULL}/metadata/note", METADATUM, readback.metadatum),
    _takes("POST", f"{FULL}/metadata/fresh", METADATUM, readback.metadatum),
    _takes("PUT", f"{S}/acl", ACLS, readback.acl),
    _takes("PATCH", f"{S}/acl", ACLS, readback.acl),
    _takes("POST", f"{S}/consumers", NOVA, readback.secret_consumer),
    _takes("DELETE", f"{FULL}/consumers", KNOWN_NOVA, readback.no_secret_consumer),
    _takes("POST", "/v1/containers", CONTAINERS, readback.container),
    _takes("POST", f"{C}/secrets", PLACES, readback.place),
    _takes("DELETE", f"{C}/secrets", PLACES, lambda *_: None),
    _takes("PUT", f"{C}/acl", ACLS, readback.acl),
    _takes("PATCH", f"{C}/acl", ACLS, readback.acl),
    _takes("POST", f"{C}/consumers", USE, readback.container_consumer),
    _takes("DELETE", f"{C}/consumers", KNOWN_USE, readback.no_container_consumer),
    _takes("POST", "/v1/orders", ORDERS, readback.order),
    _takes("PUT", "/v1/project-quotas/@project@", QUOTAS, readback.quota, token=ADMIN),
    _takes("POST", "/v1/transport_keys", TRANSPORT_KEYS, readback.transport_key, token=ADMIN),
    _takes("POST", "/v1/secret-stores/@store@/preferred", SECRETS, lambda *_: None, token=ADMIN),
]
DELETES = [
    Route(method="DELETE", path=S, check=readback.gone),
    Route(method="DELETE", path=FULL, check=readback.gone),
    Route(method="DELETE", path=f"{FULL}/metadata/note", check=readback.gone),
    Route(method="DELETE", path=f"{S}/acl"),
    Route(method="DELETE", path=C, check=readback.gone),
    Route(method="DELETE", path=f"{C}/acl"),
    Route(method="DELETE", path="/v1/orders/@order@", check=readback.gone),
    Route(method="DELETE", path="/v1/project-quotas/@project@", token=ADMIN, check=lambda *_: None),
    Route(method="DELETE", path="/v1/secret-stores/@store@/preferred", token=ADMIN, check=lambda *_: None),
    Route(method="DELETE", path="/v1/transport_keys/@key@", token=ADMIN, check=lambda *_: None),
]
READS = [
    *(
        Route(method="GET", path=path, check=lambda *_: None)
        for path in (
            *("/", "/healthcheck", "/v1", "/v1/limits", "/v1/quotas"),
            *("/v1/secrets", S, FULL, f"{S}/payload", f"{FULL}/payload", f"{S}/acl"),
            *(f"{FULL}/metadata", f"{FULL}/metadata/note"),
            *(f"{FULL}/consumers", f"{FULL}/consumers/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"),
            *("/v1/containers", C, f"{C}/acl", f"{C}/consumers", f"{C}/consumers/@container@"),
            *("/v1/orders", "/v1/orders/@order@", "/v1/secret-stores", "/v1/secret-stores/@store@"),
            *("/v1/secret-stores/global-default", "/v1/secret-stores/preferred"),
        )
    ),
    *(
        Route(method="GET", path=path, token=ADMIN)
        for path in (
            *("/v1/project-quotas", "/v1/project-quotas/@project@"),
            *("/v1/transport_keys", "/v1/transport_keys/@key@"),
        )
    ),
]
OTHERS = [
    Route(method=method, path=path, check=lambda *_: None)
    for method, path in (
        ("HEAD", "/v1/secrets"),
        ("HEAD", S),
        ("OPTIONS", "/v1/secrets"),
        ("PATCH", S),
        ("POST", f"{S}/payload"),
        ("PUT", "/v1/orders"),
        ("TRACE", "/v1/secrets"),
        ("BREW", "/v1/secrets"),
        ("GET", "/v1/no/such/@secret@"),
        ("POST", "/v1/cas"),
        ("GET", "/no-such"),
        ("POST", "/"),
    )
]
ROUTES = [*WRITES, *DELETES, *READS, *OTHERS]
