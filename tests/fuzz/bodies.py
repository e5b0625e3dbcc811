"""JSON bodies: what the contract takes, the same with one thing wrong, and what no client would send.

``@secret@`` and the like in any text stand for ids of objects that exist when the request is sent.
"""

import json
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.chosen import chosen


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that goes into the body as it is, JSON or not."""

    text: str


class Pairs(tuple):
    """The members of an object in order, names repeated as they come."""

    __slots__ = ()


def written(value, *, escapes=True):
    """``value`` as JSON text; ``Raw`` as it is, ``Pairs`` as an object."""
    match value:
        case Raw():
            return value.text
        case Pairs() | dict():
            pairs = value if isinstance(value, Pairs) else value.items()
            members = (
                f"{json.dumps(name, ensure_ascii=escapes)}: {written(member, escapes=escapes)}"
                for name, member in pairs
            )
            return f"{{{', '.join(members)}}}"
        case list() | tuple():
            return f"[{', '.join(written(item, escapes=escapes) for item in value)}]"
        case _:
            return json.dumps(value, ensure_ascii=escapes)


NUMBERS_NO_COLUMN_HOLDS = [
    "1e999", "-1e999", "1E400", "0.1e-400", "-0", "-0.0", "12.0", "1e2", "1.5", "9223372036854775808",
    "-9223372036854775809", "4294967296", "32768", "9" * 40, "9" * 5000,
]  # fmt: skip
NOT_JSON = [
    "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000", "tru", "TRUE", "undefined",
    "'a'", '"\\x"', '"\\u12"', '"a\nb"', '"\x00"', '"open', "{", "[", "[1,]", '{"a":1,}', '{"a"}', "{1:2}",
    "", "//",
]  # fmt: skip
LONG = ["x" * 255, "x" * 256, "ä" * 255, "😀" * 64, "😀" * 255, "x" * 1024, "x" * 20_000, "x" * 20_001]
ODD_TEXTS = [
    "", " ", "\t\n", "\x00", "a\x00b", "\ud800", "\udc00\ud800", "a\udfffz", "\ufeff", "\u202e", "\u0130",
    "ß", "\u00a0", "é", "e\u0301", "😀", "\U0010ffff", "\x7f", "\x1b[31m", "%s", "%00", "{0}", "null",
    "true", "0", "../../etc/passwd", "' OR 1=1 --", "<script>", "$(id)", "\\", '"', "a\\u0000", "-1", "1e9",
    "9" * 400,
]  # fmt: skip
WORDS = [
    "text/plain", "text/plain; charset=utf-8", "text/plain;charset=latin-1", "application/octet-stream",
    "application/pkcs8", "application/json", "base64", "BASE64", "gzip", "AAEC", "AA==", "AA=", "A===",
    "!!!!", "opaque", "symmetric", "passphrase", "Symmetric", "key", "asymmetric", "KEY", "certificate",
    "generic", "rsa", "RSA", "dsa", "ec", "ed25519", "aes", "AES", "hmacsha256", "cbc", "xts", "public_key",
    "private_key", "private_key_passphrase", "intermediates", "2099", "2099-01", "2099-01-01", "2099-13-45",
    "9999-12-31", "9999-12-31T23:59:59.999999-14:00", "2099-01-01T00:00:00.1234567Z", "20990101T000000Z",
    "0001-01-01", "2020", "2099-W01-1", "2099-01-01T24:00:00", "\u0662\u0660\u0669\u0669-01-01",
    "2099-01-01 10:00:00+02:00",
    "@secret@", "http://localhost/v1/secrets/@secret@", "http://localhost/v1/secrets/@full@",
    "/v1/secrets/@secret@/", "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", "5D4F0C5E-2F4B-4B1E-9A51-0A8F3C1D2E3F",
    "note", "Note",
]  # fmt: skip

TEXTS = st.one_of(chosen(WORDS), chosen(ODD_TEXTS), chosen(LONG), st.text(max_size=20))
NUMBERS = st.one_of(
    chosen([0, 1, 8, 128, 256, 384, 2048, 32_767, 32_768, -1, 2**31, 2**63, True, 12.0]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    chosen(NUMBERS_NO_COLUMN_HOLDS).map(Raw),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
NAMES = st.one_of(
    chosen(
        [
            *("name", "type", "meta", "payload", "read", "users", "project-access", "key", "value", "URL"),
            *(
                "unknown",
                "self",
                "request",
                "external_project_id",
                "project_id",
                "inst",
                "__class__",
                "status",
            ),
        ]
    ),
    st.text(max_size=8),
)
WILD = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=3),
        st.lists(st.tuples(NAMES, inner), max_size=3).map(Pairs),
    ),
    max_leaves=6,
)
DEEP = chosen(
    [
        Raw("[" * depth + "]" * closed)
        for depth, closed in [(19, 19), (20, 20), (21, 21), (500, 500), (12_000, 12_000), (24_000, 0)]
    ]
    + [Raw('{"a":' * depth + "1" + "}" * depth) for depth in (19, 20, 2000)]
)


@st.composite
def altered(draw, valid):
    """A valid body with nothing, or with one to three things, wrong."""
    body = draw(valid)
    for _ in range(draw(st.integers(0, 3))):
        body = draw(_once_altered(body))
    return body


def _once_altered(body):
    if isinstance(body, list) and body:
        return st.one_of(_in_list(body), st.just([*body, body[0]]), WILD)
    if not isinstance(body, dict) or not body:
        return st.one_of(WILD, DEEP)
    name = chosen(sorted(body))
    return st.one_of(
        st.tuples(name, SCALARS).map(lambda found: body | {found[0]: found[1]}),
        name.flatmap(lambda found: _once_altered(body[found]).map(lambda value: body | {found: value})),
        st.tuples(name, st.one_of(WILD, DEEP)).map(lambda found: body | {found[0]: found[1]}),
        name.map(lambda found: {key: value for key, value in body.items() if key != found}),
        st.tuples(NAMES, WILD).map(lambda found: body | {found[0]: found[1]}),
        st.tuples(name, WILD).map(lambda found: Pairs([(found[0], found[1]), *body.items()])),
        st.tuples(name, WILD).map(lambda found: Pairs([*body.items(), (found[0], found[1])])),
        st.one_of(WILD, DEEP),
        st.just([body]),
    )


def _in_list(body):
    place = st.integers(0, len(body) - 1)
    return place.flatmap(
        lambda index: _once_altered(body[index]).map(lambda value: [*body[:index], value, *body[index + 1 :]])
    )


def _encodings(text):
    """The bytes of JSON ``text``: mostly UTF-8, sometimes what no JSON parser must take."""
    plain = text.encode("utf-8", "surrogatepass")
    return st.one_of(
        st.just(plain),
        st.just(plain),
        st.just(plain),
        chosen(
            [
                b"\xef\xbb\xbf" + plain,
                text.encode("utf-16", "surrogatepass"),
                text.encode("utf-32", "surrogatepass"),
                text.encode("latin-1", "replace") + b"\xe9",
                plain + b" \n\t",
                plain + b"\x00",
                plain + b"}",
                plain + plain,
                plain[:-1],
                plain + b" " * 30_000,
                b" " * 26_000 + plain,
            ]
        ),
    )


def json_bodies(valid):
    """Bodies for a route that takes JSON such as ``valid``."""
    values = st.one_of(altered(valid), altered(valid), altered(valid), WILD, DEEP)
    texts = st.one_of(
        st.tuples(values, st.booleans()).map(lambda found: written(found[0], escapes=found[1])),
        chosen(NOT_JSON),
        st.tuples(valid, chosen(NOT_JSON)).map(
            lambda found: written({**found[0], "name": Raw(found[1])}),
        ),
    )
    return st.one_of(
        *[texts.map(lambda text: text.encode("utf-8", "surrogatepass"))] * 3,
        texts.flatmap(_encodings),
        st.binary(max_size=60),
    )


def raw_bodies():
    """Payloads sent as they are: text, bytes, base64 and nearly base64, from empty to too long."""
    return st.one_of(
        st.binary(max_size=200),
        chosen(
            [b"", b" ", b"\n", b"AAEC", b"AAEC\n", b"AA=", b"!!!!", b"=", b"\x00", b"\xff\xfe", "ä".encode()]
        ),
        chosen([b"x" * 19_999, b"x" * 20_000, b"x" * 20_001, b"A" * 26_668, b"x" * 70_000]),
    )
