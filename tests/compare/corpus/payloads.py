"""Payloads: in one step, in two steps, what comes back."""

from tests.compare.corpus.secrets import OCTETS, TEXT
from tests.compare.steps import Scenario, get, post, put

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
IN_ONE_STEP = [
    (TEXT, "text"),
    (TEXT | {"payload_content_type": "text/plain;charset=utf-8"}, "text with a charset"),
    (TEXT | {"payload_content_type": "text/plain; charset=UTF-8"}, "text with a charset in capitals"),
    (TEXT | {"payload_content_type": "Text/Plain"}, "text with capitals"),
    (TEXT | {"payload_content_type": "text/plain; charset=latin-1"}, "text in another charset"),
    (TEXT | {"payload_content_type": "text/plain; nonsense"}, "a malformed parameter"),
    (TEXT | {"payload_content_type": "text/html"}, "another type"),
    (TEXT | {"payload_content_type": ""}, "an empty type"),
    (TEXT | {"payload_content_type": None}, "type null"),
    (TEXT | {"payload_content_type": 5}, "type a number"),
    ({"payload": "hi"}, "no type"),
    (TEXT | {"payload_content_encoding": "base64"}, "text with base64"),
    (TEXT | {"payload_content_encoding": None}, "encoding null"),
    (TEXT | {"payload_content_encoding": "gzip"}, "encoding gzip"),
    (TEXT | {"payload": "\u043a\u043b\u044e\u0447 \U0001f511 \u0000"}, "text of many alphabets and a NUL"),
    (TEXT | {"payload": "  blanks around \n"}, "blanks around the text"),
    (TEXT | {"payload": PEM}, "a PEM file"),
    (TEXT | {"payload": ""}, "empty text"),
    (TEXT | {"payload": "  \n"}, "blanks only"),
    (TEXT | {"payload": None}, "payload null"),
    (TEXT | {"payload": 5}, "payload a number"),
    (TEXT | {"payload": ["a"]}, "payload a list"),
    (TEXT | {"payload": "x" * 20_000}, "20000 characters"),
    (TEXT | {"payload": "x" * 20_001}, "20001 characters"),
    (TEXT | {"payload": "\u00e9" * 10_001}, "20002 bytes in 10001 characters"),
    (OCTETS, "octets"),
    (OCTETS | {"payload_content_encoding": "BASE64"}, "base64 in capitals"),
    ({k: v for k, v in OCTETS.items() if k != "payload_content_encoding"}, "octets without an encoding"),
    (OCTETS | {"payload": "A" * 20_000}, "20000 characters of base64"),
    (OCTETS | {"payload": "A" * 20_004}, "20004 characters of base64"),
    (OCTETS | {"payload": "QUJD\nREVG\n"}, "base64 with line breaks"),
    (OCTETS | {"payload": "QUJ"}, "base64 without padding"),
    (OCTETS | {"payload": "QU!JD"}, "base64 with a foreign character"),
    (OCTETS | {"payload": "!!!!"}, "nothing but foreign characters"),
    (OCTETS | {"payload": "-_-_"}, "base64 of the URL alphabet"),
    (OCTETS | {"payload_content_type": "application/pkcs8"}, "pkcs8"),
    ({"payload": "x", "payload_content_type": "application/pkcs8"}, "pkcs8 without an encoding"),
    (OCTETS | {"transport_key_id": "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"}, "an unknown transport key"),
    (TEXT | {"secret_type": "certificate", "payload": PEM}, "a certificate as text"),
    (OCTETS | {"secret_type": "private", "algorithm": "rsa"}, "a private key that is none"),
]
TAKEN = {
    "text", "text with a charset", "text with a charset in capitals", "text with capitals",
    "text of many alphabets and a NUL", "blanks around the text", "a PEM file", "20000 characters", "octets",
    "20000 characters of base64", "base64 with line breaks", "pkcs8", "a certificate as text",
    "a private key that is none",
}  # fmt: skip
IN_TWO_STEPS = [
    (b"hi", {"Content-Type": "text/plain"}, "text"),
    (b"  hi\n", {"Content-Type": "text/plain"}, "text with blanks around"),
    (b"   ", {"Content-Type": "text/plain"}, "blanks"),
    (b"\xff\xfe", {"Content-Type": "text/plain"}, "text that is not UTF-8"),
    (b"h\xe9", {"Content-Type": "text/plain; charset=latin-1"}, "text in another charset"),
    (b"hi", {"Content-Type": "text/plain; charset=utf-8"}, "text with a charset"),
    (b"aGk=", {"Content-Type": "text/plain", "Content-Encoding": "base64"}, "text with base64"),
    (b"\x00\xff", {"Content-Type": "application/octet-stream"}, "octets"),
    (b"AP8=", {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"}, "base64"),
    (
        b"AP8=",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "BASE64"},
        "base64 in capitals",
    ),
    (
        b"AP8=\n",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"},
        "base64, new line",
    ),
    (
        b"AP8",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"},
        "base64, no padding",
    ),
    (
        b"A!P8=",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "base64"},
        "base64 with a foreign character",
    ),
    (b"\x00", {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}, "gzip"),
    (b"\x00", {"Content-Type": "application/octet-stream", "Content-Encoding": "binary"}, "binary"),
    (
        b"\x00",
        {"Content-Type": "application/octet-stream", "Content-Encoding": "base64, gzip"},
        "two encodings",
    ),
    (b"", {"Content-Type": "text/plain"}, "nothing"),
    (b"x" * 20_000, {"Content-Type": "text/plain"}, "20000 bytes"),
    (b"x" * 20_001, {"Content-Type": "text/plain"}, "20001 bytes"),
    (b"{}", {"Content-Type": "application/json"}, "JSON"),
    (b"x", {"Content-Type": "application/pkcs8"}, "pkcs8"),
    (b"x", {"Content-Type": "TEXT/PLAIN"}, "a type in capitals"),
    (b"x", {"Content-Type": "text/html"}, "another type"),
    (b"x", {}, "no type"),
    (b"x", {"Content-Type": "text/plain", "Accept": "text/html"}, "Accept: text/html"),
    (b"x", {"Content-Type": "text/plain", "Accept": "made/up"}, "Accept: made/up"),
]
LATIN = next(number for number, (body, _, _) in enumerate(IN_TWO_STEPS) if body == b"h\xe9")

SCENARIOS = [
    Scenario(
        "payloads in one step",
        [
            step
            for number, (body, note) in enumerate(IN_ONE_STEP)
            for step in [
                post("/v1/secrets", body, f"POST {note}", saves=f"s{number}"),
                *(
                    [
                        get(f"/v1/secrets/{{s{number}}}", f"its object: {note}"),
                        get(f"/v1/secrets/{{s{number}}}/payload", f"its payload: {note}"),
                        get(
                            f"/v1/secrets/{{s{number}}}/payload",
                            f"its payload as text: {note}",
                            headers={"Accept": "text/plain"},
                        ),
                    ]
                    if note in TAKEN
                    else []
                ),
            ]
        ],
    ),
    Scenario(
        "payloads in two steps",
        [
            step
            for number, (body, headers, note) in enumerate(IN_TWO_STEPS)
            for step in (
                post("/v1/secrets", {"name": "empty"}, saves=f"s{number}"),
                put(f"/v1/secrets/{{s{number}}}", body, f"PUT {note}", headers=headers),
                get(f"/v1/secrets/{{s{number}}}", f"its object after PUT {note}"),
                get(f"/v1/secrets/{{s{number}}}/payload", f"its payload after PUT {note}"),
            )
        ]
        + [
            get(
                f"/v1/secrets/{{s{LATIN}}}/payload",
                f"text not in UTF-8 as {accept}",
                headers={"Accept": accept},
            )
            for accept in ("*/*", "text/plain")
        ]
        + [
            put("/v1/secrets/{s0}", b"again", "PUT a second time", headers={"Content-Type": "text/plain"}),
            put("/v1/secrets/{s0}", b"", "PUT nothing a second time", headers={"Content-Type": "text/plain"}),
            put(
                "/v1/secrets/{s0}",
                b"{}",
                "PUT JSON a second time",
                headers={"Content-Type": "application/json"},
            ),
            post("/v1/secrets", {"name": "empty"}, saves="last"),
            put(
                "/v1/secrets/{last}?transport_key_id=5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f",
                b"x",
                "PUT with an unknown transport key",
                headers={"Content-Type": "text/plain"},
            ),
        ],
    ),
]
