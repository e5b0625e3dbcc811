"""Orders of keys and key pairs, and what they make."""

from tests.compare.steps import Scenario, Step, delete, get, post, put

AES = {"algorithm": "aes", "bit_length": 256}
RSA = {"algorithm": "rsa", "bit_length": 2048}
DONE = [
    ("key", AES | {"name": "k", "mode": "cbc", "payload_content_type": "application/octet-stream"}),
    ("key", AES),
    ("key", AES | {"mode": ""}),
    ("key", {"algorithm": "AES", "bit_length": 128}),
    ("key", {"algorithm": "aes", "bit_length": 64}),
    ("key", {"algorithm": "aes", "bit_length": 192}),
    ("key", {"algorithm": "aes", "bit_length": 512, "mode": "xts"}),
    ("key", {"algorithm": "aes", "bit_length": 384, "mode": "XTS"}),
    ("key", {"algorithm": "des", "bit_length": 64}),
    ("key", {"algorithm": "hmacsha1", "bit_length": 128}),
    ("key", {"algorithm": "hmacsha256", "bit_length": 256}),
    ("key", {"algorithm": "hmacsha384", "bit_length": 256}),
    ("key", {"algorithm": "hmacsha512", "bit_length": 256}),
    ("key", AES | {"expiration": "2099-01-01T00:00:00"}),
    ("key", AES | {"name": "  stripped  "}),
    ("key", AES | {"payload_content_type": "text/plain"}),
    ("key", AES | {"payload_content_encoding": "base64"}),
    ("key", AES | {"secret_type": "opaque"}),
    ("key", AES | {"foo": "bar"}),
    ("key", AES | {"bit_length": 256.0}),
    ("asymmetric", RSA | {"name": "pair"}),
    ("asymmetric", {"algorithm": "RSA", "bit_length": 1024}),
    ("asymmetric", RSA | {"passphrase": "pp"}),
    ("asymmetric", RSA | {"pass_phrase": "pp"}),
    ("asymmetric", RSA | {"passphrase": ""}),
    ("asymmetric", {"algorithm": "dsa", "bit_length": 1024}),
    ("asymmetric", RSA | {"foo": "bar"}),
]
ONLY_OURS = [
    ("key", {"algorithm": "aes", "bit_length": 512}),
    ("key", {"algorithm": "hmacsha384", "bit_length": 384}),
    ("key", {"algorithm": "hmacsha512", "bit_length": 512}),
    ("key", AES | {"payload_content_type": None}),
    ("asymmetric", {"algorithm": "rsa", "bit_length": 3072}),
    ("asymmetric", {"algorithm": "ec", "bit_length": 256}),
]
NEVER_DONE = [
    ("key", {"algorithm": "bogus", "bit_length": 256}),
    ("key", {"algorithm": "3des", "bit_length": 192}),
    ("key", {"algorithm": "rsa", "bit_length": 2048}),
    ("key", {"algorithm": "aes", "bit_length": 136}),
    ("asymmetric", {"algorithm": "bogus", "bit_length": 2048}),
    ("asymmetric", {"algorithm": "aes", "bit_length": 256}),
    ("asymmetric", {"algorithm": "diffie_hellman", "bit_length": 2048}),
    ("asymmetric", RSA | {"passphrase": 5}),
]
REFUSED = [
    ({}, "nothing"),
    ({"type": "key"}, "no meta"),
    ({"meta": AES}, "no type"),
    ({"type": "KEY", "meta": AES}, "type in capitals"),
    ({"type": "certificate", "meta": {}}, "certificate"),
    ({"type": "certificate", "meta": {"request_type": "custom"}}, "certificate with meta"),
    ({"type": None, "meta": AES}, "type null"),
    ({"type": 1, "meta": AES}, "type a number"),
    ({"type": "key", "meta": None}, "meta null"),
    ({"type": "key", "meta": []}, "meta a list"),
    ({"type": "key", "meta": {}}, "meta empty"),
    ({"type": "key", "meta": {"algorithm": "aes"}}, "no bit_length"),
    ({"type": "key", "meta": {"bit_length": 256}}, "no algorithm"),
    ({"type": "key", "meta": AES | {"algorithm": ""}}, "empty algorithm"),
    ({"type": "key", "meta": AES | {"algorithm": None}}, "algorithm null"),
    ({"type": "key", "meta": AES | {"algorithm": 1}}, "algorithm a number"),
    ({"type": "key", "meta": AES | {"bit_length": 12}}, "12 bits"),
    ({"type": "key", "meta": AES | {"bit_length": 0}}, "0 bits"),
    ({"type": "key", "meta": AES | {"bit_length": -8}}, "-8 bits"),
    ({"type": "key", "meta": AES | {"bit_length": "256"}}, "bits in a string"),
    ({"type": "key", "meta": AES | {"bit_length": None}}, "bits null"),
    ({"type": "key", "meta": AES | {"bit_length": True}}, "bits a boolean"),
    ({"type": "key", "meta": AES | {"bit_length": 32768}}, "32768 bits"),
    ({"type": "key", "meta": AES | {"mode": None}}, "mode null"),
    ({"type": "key", "meta": AES | {"name": "n" * 256}}, "a long name"),
    ({"type": "key", "meta": AES | {"name": 1}}, "name a number"),
    ({"type": "key", "meta": AES | {"expiration": "2020-01-01"}}, "expiration past"),
    ({"type": "key", "meta": AES | {"expiration": "soon"}}, "expiration malformed"),
    ({"type": "key", "meta": AES | {"payload": "x"}}, "a payload"),
    ({"type": "key", "meta": AES | {"payload_content_type": "text/html"}}, "a type unknown"),
    ({"type": "key", "meta": AES | {"payload_content_encoding": "gzip"}}, "an encoding unknown"),
    ({"type": "key", "meta": AES | {"secret_type": "other"}}, "a secret type unknown"),
    ({"type": "asymmetric", "meta": {"algorithm": "ec", "bit_length": 255}}, "ec of 255"),
    ({"type": "asymmetric", "meta": {"algorithm": "rsa"}}, "rsa without bits"),
    ({"type": "asymmetric", "meta": {"algorithm": "rsa", "bit_length": 2047}}, "rsa of 2047"),
]
LISTS = [
    "", "limit=2", "limit=2&offset=2", "limit=0", "limit=x", "offset=1000", "meta=first", "meta=nobody",
    "foo=bar", "limit=1&meta=first",
]  # fmt: skip


def _placed(number: int, kind: str, meta: dict[str, object]) -> list[Step]:
    order, what = f"o{number}", f"{kind} {meta}"
    ref = "secret_ref" if kind == "key" else "container_ref"
    return [
        post("/v1/orders", {"type": kind, "meta": meta}, f"order {what}", saves=order),
        get(f"/v1/orders/{{{order}}}", f"done: {what}", until="done", saves=f"made{number}={ref}"),
    ]


def _made(number: int, kind: str, meta: dict[str, object]) -> list[Step]:
    """What an order that is done has made, looked at."""
    what = f"{kind} {meta}"
    if kind == "key":
        return [
            get(f"/v1/secrets/{{made{number}}}", f"its secret: {what}"),
            get(f"/v1/secrets/{{made{number}}}/payload", f"its key: {what}", is_random=True),
        ]
    return [
        get(
            f"/v1/containers/{{made{number}}}",
            f"its container: {what}",
            saves=f"first{number}=secret_refs.0.secret_ref",
        ),
        get(
            f"/v1/containers/{{made{number}}}",
            f"its container again: {what}",
            saves=f"second{number}=secret_refs.1.secret_ref",
        ),
        get(f"/v1/secrets/{{first{number}}}", f"its first secret: {what}"),
        get(f"/v1/secrets/{{first{number}}}/payload", f"its first payload: {what}", is_random=True),
        get(f"/v1/secrets/{{second{number}}}", f"its second secret: {what}"),
        get(f"/v1/secrets/{{second{number}}}/payload", f"its second payload: {what}", is_random=True),
    ]


SCENARIOS = [
    Scenario(
        "orders that are done",
        [
            step
            for number, (kind, meta) in enumerate(DONE)
            for step in (*_placed(number, kind, meta), *_made(number, kind, meta))
        ],
    ),
    Scenario(
        "orders that only Keepsite does",
        [step for number, (kind, meta) in enumerate(ONLY_OURS) for step in _placed(number, kind, meta)],
    ),
    Scenario(
        "orders that Barbican never does",
        [
            post("/v1/orders", {"type": kind, "meta": meta}, f"order {kind} {meta}")
            for kind, meta in NEVER_DONE
        ],
    ),
    Scenario(
        "orders that are refused",
        [
            *(post("/v1/orders", body, f"order: {note}") for body, note in REFUSED),
            *(
                post(
                    "/v1/orders", body, f"order, body {body!r}", headers={"Content-Type": "application/json"}
                )
                for body in (b"", b"[]", b"x")
            ),
            post("/v1/orders", b"{}", "order as text", headers={"Content-Type": "text/plain"}),
            put("/v1/orders", {}),
        ],
    ),
    Scenario(
        "listing orders",
        [
            *_placed(0, "key", AES | {"name": "first", "mode": "cbc"}),
            *_placed(1, "key", AES | {"name": "second"}),
            *_placed(2, "asymmetric", RSA | {"name": "third"}),
            *(get(f"/v1/orders?{query}", f"orders ?{query}") for query in LISTS),
            get("/v1/orders/{o0}", "an order from another project", who="owner@away"),
            get("/v1/orders", "the orders of another project", who="owner@away"),
            *(Step(method=method, path="/v1/orders/{o0}") for method in ("PUT", "PATCH", "POST", "HEAD")),
            get("/v1/orders/{o0}", "an order, Accept: text/html", headers={"Accept": "text/html"}),
            delete("/v1/orders/{o0}", who="chief", headers={"Accept": "text/html"}, note="DELETE order"),
            delete("/v1/orders/{o0}", who="chief", note="DELETE order again"),
            get("/v1/orders/{o0}", "a deleted order"),
            get("/v1/secrets/{made0}", "its secret stays"),
            delete("/v1/secrets/{made1}", note="DELETE the secret of an order"),
            get("/v1/orders/{o1}", "the order of a deleted secret"),
        ],
    ),
]
