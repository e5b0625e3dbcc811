"""Paths and query strings as they stand on the request line, in bytes."""

from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from tests.fuzz.bodies import LONG, ODD_TEXTS
from tests.fuzz.chosen import chosen

NAMES = [
    "limit", "offset", "marker", "name", "alg", "mode", "bits", "secret_type", "created", "updated",
    "expiration", "sort", "acl_only", "meta", "type", "plugin_name", "force", "transport_key_id",
    "transport_key_needed", "trans_wrapped_session_key", "build", "project_id", "external_project_id",
    "inst", "format", "unknown", "",
]  # fmt: skip
VALUES = [
    "", "0", "1", "2", "-1", "10", "100", "101", "1e9", "1.0", " 1", "1 ", "+1", "0x1", "٣", "²", "True",
    "true", "yes", "no", "maybe", "2147483647", "2147483648", "9223372036854775807", "9223372036854775808",
    "9" * 19, "9" * 20, "-" + "9" * 30, "9" * 4301, "gt:2020-01-01T00:00:00", "gte:2020,lt:2090",
    "gt:2020,gt:2021", "lt:", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00+02:00",
    "0001-01-01T00:00:00+14:00", "gt:0001-01-01", "lt:9999-12-31T23:59:59.999999",
    "lt:9999-12-31T23:59:59-14:00", "0000-01-01", "10000-01-01", "gt:٢٠٢٠", "eq:2020", "exact:2020", ",",
    "2020,", "created", "created:desc", "name:asc,created:desc", "status", "status:desc", "name,name",
    "name:up", "name:", ":", "id", "-name", "name:desc:asc", "%", "_", "%%", "a%b_c|d", "|", "||%",
    "@secret@", "http://localhost/v1/secrets/@secret@", "@container@", "@order@", "@secret@/", "symmetric",
]  # fmt: skip


def _encoded(text):
    """Percent-encoded as a client would; what a client would not send comes from ``RAW``."""
    if text.startswith(("@", "http")):
        return text.encode()
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe=":,").encode()


RAW = [
    b"%", b"%2", b"%zz", b"%ff", b"%c3%28", b"%ed%a0%80", b"%00", b"a%00b", b"+", b"%2B", b"%252B", b"&",
    b"&&&", b"=", b"a=b=c", b";", b"a;b", b"%0d%0aX: y", b"%u0061", b"[]", b"%F0%9F%98%80", b"\xc3\xa4",
    b"\xff",
]  # fmt: skip
TEXTS = st.one_of(
    chosen(VALUES).map(_encoded),
    chosen(VALUES).map(_encoded),
    chosen(ODD_TEXTS).map(_encoded),
    chosen([text for text in LONG if len(text) < 2000]).map(_encoded),
    st.text(max_size=10).map(_encoded),
    chosen(RAW),
)
PAIRS = st.tuples(chosen(NAMES).map(str.encode), TEXTS).map(b"=".join)
QUERIES = st.one_of(
    st.just(b""),
    st.lists(PAIRS, min_size=1, max_size=4).map(lambda pairs: b"?" + b"&".join(pairs)),
    st.lists(PAIRS, min_size=1, max_size=1).map(lambda pairs: b"?" + b"&".join(pairs * 2)),
    chosen(RAW).map(lambda text: b"?" + text),
    chosen([b"?" + b"&".join([b"a=1"] * 1001)]),
    st.just(b"?"),
)
NO_SUCH_IDS = [
    b"5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", b"5D4F0C5E-2F4B-4B1E-9A51-0A8F3C1D2E3F", b"not-a-uuid", b"0",
    b"-1", b"5d4f0c5e2f4b4b1e9a510a8f3c1d2e3f", b"{5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f}", b"%00", b"a%00b",
    b"%ff%fe", b"%ed%a0%80", b"%F0%9F%98%80", b"%E4%BD%A0" * 30, b"..", b".", b"%2e%2e", b"%2F", b"%5c",
    b"%0a", b"%25", b"x" * 255, b"x" * 256, b"x" * 2000, b"@secret@.json", b"@secret@%20", b"@secret@%0a",
    b"%20", b"null", b"*", b"http://localhost/v1/secrets/@secret@",
    b"http:%2F%2Flocalhost%2Fv1%2Fsecrets%2F@secret@", b"@container@",
    b"urn:uuid:5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", b"@order@", b"@key@", b"preferred", b"global-default",
]  # fmt: skip
ENDINGS = [*[b""] * 5, b"/", b"//", b"/x", b".json", b"/..", b"/%2e", b";a=b", b"%00", b"#"]


def targets(path):
    """The request line's target: ``path``, mostly with the ids it asks for, then a query."""
    segments = [_segment(part) for part in path.strip("/").split("/")]
    joined = st.tuples(*segments).map(lambda parts: b"/" + b"/".join(parts))
    return st.one_of(
        st.just(path.encode()),
        st.just(path.encode()),
        st.tuples(st.just(path.encode()), QUERIES).map(b"".join),
        st.tuples(joined, chosen(ENDINGS), QUERIES).map(b"".join),
        st.tuples(joined.map(lambda text: text.replace(b"/", b"//")), QUERIES).map(b"".join),
    )


def _segment(part):
    if part.startswith("@"):
        return st.one_of(*[st.just(part.encode())] * 3, chosen(NO_SUCH_IDS))
    return st.just(part.encode())
