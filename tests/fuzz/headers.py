"""Request headers: the few that a route wants, and what else a client or an attacker may send."""

from hypothesis import strategies as st

from tests.fuzz.chosen import chosen

ODD = [
    b"", b" ", b"\xff", b"\xc3\xa4", b"\xed\xa0\x80", b"%00", b"a,b", b",", b";", b'"', b"a;b=c;;",
    b"=?utf-8?q?x?=", b"x" * 300, b"x" * 8000, b"'", b"{}", b"\t", b"0", b"-1", b"null",
]  # fmt: skip
ACCEPT = [
    b"*/*", b"application/json", b"application/json;q=0", b"application/json; q=0.5, text/plain",
    b"text/plain", b"text/plain; charset=utf-8", b"text/plain;charset=latin-1", b"application/octet-stream",
    b"application/pkcs8", b"application/xml", b"text/*", b"text/html,*/*;q=0.1", b"application/json-home",
    b"a/b;q=nan", b"*", b"/", b";q=", b"application/octet-stream, text/plain",
    b"text/plain" + b" " * 50 + b";x", b"a/b," * 900, b"image/png",
]  # fmt: skip
CONTENT_TYPE = [
    b"application/json", b"application/json; charset=utf-8", b"APPLICATION/JSON",
    b"application/json;charset=utf-16", b"application/json; charset=hex",
    b"application/json; charset=undefined", b"application/json; charset=idna",
    b"application/json; charset=rot13", b"application/json; charset=base64",
    b"application/json; charset=punycode", b"application/json; charset=\xff", b"application/json; charset=",
    b"application/json; charset", b"application/json; charset*=x''y",
    b"application/json; charset*=utf-8''utf-8", b"application/json; charset*=''",
    b"application/json; charset*0=a; charset*2=b", b"application/json; charset*=utf-8'en'%ff",
    b"application/json;", b'application/json; charset="utf-8', b"application/json; charset=utf-7",
    b"application/json; charset=cp037", b"application/json;;;", b"application/json; a*9999999999=b",
    b"application/json; a*" + b"9" * 5000 + b"=b", b"application/json; charset=" + b"x" * 5000,
    b"text/plain", b"text/plain; charset=utf-16", b"application/pkcs8", b"application/octet-stream",
    b"application/x-www-form-urlencoded", b"multipart/form-data", b"multipart/form-data; boundary=x",
    b"application/vnd.api+json", b"text/plain, application/json", b"",
]  # fmt: skip
CONTENT_ENCODING = [
    b"base64",
    b"BASE64",
    b"binary",
    b"gzip",
    b"identity",
    b"base64, gzip",
    b"",
    b"\xff",
    b"x" * 500,
]
MICROVERSION = [
    b"key-manager 1.0", b"key-manager 1.1", b"key-manager 1.2", b"key-manager latest", b"key-manager 1.3",
    b"key-manager 9.9", b"key-manager LATEST", b"key-manager abc", b"key-manager 1", b"key-manager", b"1.1",
    b"compute 2.1, key-manager 1.1", b"KEY-MANAGER 1.2", b"key-manager 1.\xb2",
    b"key-manager " + b"1" * 5000 + b".1", b"key-manager -1.0", b"key-manager 1.1.1", b"key-manager  1.1",
    b"key-manager 01.01", b"key-manager 1.1\t",
]  # fmt: skip
TOKENS = [
    b"@token:member@", b"@token:reader@", b"@token:stranger@", b"@token:admin@", b"", b"ks_", b"x",
    b"\xff\xfe", b"ks_" + b"0" * 32 + b"_" + b"A" * 43, b"ks_" + b"g" * 32 + b"_" + b"A" * 43,
    b"gAAAAA" + b"x" * 4000, b"@token:member@ ", b"@token:member@x", b"@token:member@,@token:admin@",
    b"Bearer @token:member@",
]  # fmt: skip
HOSTS = [
    b"localhost", b"127.0.0.1:1", b"[::1]", b"[::1]:80", b"evil.example", b"localhost:99999",
    b"localhost:x", b"", b"localhost/..", b"localhost@evil.example", b"a b", b"\xff",
    b"localhost,evil.example", b"x" * 300, b".localhost", b"localhost.", b"LOCALHOST", b"[", b"[::1",
    b"localhost?x", b"localhost#", b"::1", b"%00",
]  # fmt: skip
PROJECTS = [
    b"p1", b"", b" ", b"\xff", b"\xc3\xa4", b"x" * 255, b"x" * 256, b"x" * 4000, b"p1,p2", b"..", b"a/b",
    b"%00", b"P1", b"p1 ", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80",
]  # fmt: skip
ROLES = [
    b"admin",
    b"member",
    b"reader",
    b"",
    b",",
    b"a,,b",
    b"MEMBER",
    b"\xff",
    b"creator",
    b"x," * 2000,
    b"none",
]


def _named(name, values):
    return st.tuples(st.just(name), chosen(values))


IDENTITY = st.one_of(
    _named(b"X-Project-Id", PROJECTS),
    _named(b"X-User-Id", PROJECTS),
    _named(b"X-Roles", ROLES),
)
EXTRA = st.one_of(
    _named(b"Accept", ACCEPT),
    _named(b"Accept", ODD),
    _named(b"Content-Type", CONTENT_TYPE),
    _named(b"Content-Type", ODD),
    _named(b"Content-Encoding", CONTENT_ENCODING),
    _named(b"OpenStack-API-Version", MICROVERSION),
    _named(b"OpenStack-API-Version", ODD),
    _named(b"X-Auth-Token", TOKENS),
    IDENTITY,
    _named(b"Host", HOSTS),
    _named(b"X-Forwarded-Proto", [b"https", b"http", b"ftp", b"https,http", b"\xff", b""]),
    _named(b"X-Forwarded-Host", HOSTS),
    _named(b"X-Forwarded-For", [b"1.2.3.4", b"::1", b"unknown", b"\xff", b"1.2.3.4, 5.6.7.8", b"x" * 5000]),
    _named(b"Forwarded", [b"for=1.2.3.4;proto=https;host=evil.example", b"\xff", b";"]),
    _named(b"X-Openstack-Request-Id", ODD),
    _named(b"Accept-Encoding", [b"gzip", b"br;q=x", b"\xff"]),
    _named(b"Accept-Language", [b"de", b"xx-\xff", b"a" * 600, b"de;q=9"]),
    _named(b"Cookie", [b"keepsite_session=x", b"csrftoken=\xff", b"a=b;" * 500, b"=", b'sessionid="\\377"']),
    _named(b"Range", [b"bytes=0-1", b"bytes=x", b"bytes=9-1"]),
    _named(b"If-None-Match", [b"*", b'"x"', b"\xff"]),
    _named(b"If-Modified-Since", [b"Thu, 01 Jan 1970 00:00:00 GMT", b"x", b"\xff"]),
    _named(b"X-HTTP-Method-Override", [b"DELETE", b"\xff"]),
    _named(b"X-Service-Token", TOKENS),
    _named(b"Origin", [b"https://evil.example", b"null", b"\xff"]),
    _named(b"Authorization", [b"Basic eDp5", b"Basic \xff", b"Bearer x", b"Negotiate"]),
    _named(b"Idempotency-Key", [b"k", b'"k"', b'"', b"k,k", b"~" * 255]),
    _named(b"Idempotency-Key", ODD),
    _named(b"X-Something", ODD),
)
# What HTTP itself forbids: only a socket carries it to a server.
MALFORMED = chosen(
    [
        *(b"NoColon", b"X Y: z", b"X-A\x00: z", b"X-A: z\x00", b"X-A: a\rb", b" X-A: folded", b": empty"),
        *(b"X-A : z", b"X-\xff: z", b"\r\nX: y", b"X: " + b"y" * 9000, b"\r\n".join([b"X-A: b"] * 80)),
        *(
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: \x0bchunked",
        ),
        *(b"Content-Length: x", b"Content-Length: -1", b"Content-Length: +1", b"Content-Length: "),
        *(b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: " + b"9" * 5000),
        *(
            b"Content-Length: \xb2",
            b"Content-Length: 1_0",
            b"Content-Length: 20001",
            b"Content-Length: 99999999",
        ),
        *(b"X_Roles: admin", b"X-Project_Id: p2", b"Connection: close, X-Auth-Token", b"Upgrade: h2c"),
        *(b"Expect: 100-continue", b"Expect: x", b"Host: localhost\r\nHost: evil.example"),
    ]
)
