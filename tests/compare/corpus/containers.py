"""Containers, the secrets in them, their consumers."""

from tests.compare.corpus.secrets import TEXT
from tests.compare.steps import Scenario, Step, delete, get, patch, post, put, version

REFS = [{"name": "a", "secret_ref": "{a.ref}"}, {"name": "b", "secret_ref": "{b.ref}"}]
A = REFS[0]
RSA = [{"name": "public_key", "secret_ref": "{a.ref}"}, {"name": "private_key", "secret_ref": "{b.ref}"}]
CERTIFICATE = [{"name": "certificate", "secret_ref": "{a.ref}"}]
MISSING = "{url}/v1/secrets/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
BODIES = [
    ({"type": "generic", "name": "c", "secret_refs": REFS}, "generic"),
    ({"type": "generic"}, "generic, empty"),
    ({"type": "generic", "name": None}, "name null"),
    ({"type": "generic", "name": ""}, "empty name"),
    ({"type": "generic", "name": " stripped "}, "blanks around the name"),
    ({"type": "generic", "name": "n" * 255}, "name of 255"),
    ({"type": "generic", "name": "n" * 256}, "name of 256"),
    ({"type": "generic", "name": 1}, "name a number"),
    ({"type": "generic", "secret_refs": []}, "no refs"),
    ({"type": "generic", "secret_refs": None}, "refs null"),
    ({"type": "generic", "secret_refs": {}}, "refs an object"),
    ({"type": "generic", "secret_refs": ["x"]}, "refs of strings"),
    ({"type": "generic", "secret_refs": [{"name": "a"}]}, "a ref without a ref"),
    ({"type": "generic", "secret_refs": [{"name": "a", "secret_ref": ""}]}, "an empty ref"),
    ({"type": "generic", "secret_refs": [{"name": "a", "secret_ref": None}]}, "ref null"),
    ({"type": "generic", "secret_refs": [{"secret_ref": "{a.ref}"}]}, "a ref without a name"),
    ({"type": "generic", "secret_refs": [{"name": None, "secret_ref": "{a.ref}"}]}, "ref name null"),
    ({"type": "generic", "secret_refs": [{"name": "", "secret_ref": "{a.ref}"}]}, "empty ref name"),
    ({"type": "generic", "secret_refs": [{"name": "n" * 256, "secret_ref": "{a.ref}"}]}, "long ref name"),
    ({"type": "generic", "secret_refs": [A | {"extra": 1}]}, "a ref with more"),
    (
        {"type": "generic", "secret_refs": [{"secret_ref": "{a.ref}"}, {"secret_ref": "{b.ref}"}]},
        "two unnamed",
    ),
    ({"type": "generic", "secret_refs": [A, A | {"secret_ref": "{b.ref}"}]}, "one name twice"),
    ({"type": "generic", "secret_refs": [A, A | {"name": "b"}]}, "one secret twice"),
    ({"type": "generic", "secret_refs": [A | {"secret_ref": MISSING}]}, "an unknown secret"),
    ({"type": "generic", "secret_refs": [A | {"secret_ref": "{url}/v1/secrets/nonsense"}]}, "a malformed id"),
    ({"type": "generic", "secret_refs": [A | {"secret_ref": "{strange.ref}"}]}, "another project's secret"),
    ({"type": "generic", "secret_refs": [A | {"secret_ref": "{a.ref}/"}]}, "a slash after the ref"),
    ({"type": "generic", "secret_refs": [A | {"secret_ref": "{a}"}]}, "a bare id"),
    (
        {"type": "generic", "secret_refs": [A | {"secret_ref": "https://elsewhere/v1/secrets/{a}"}]},
        "another host",
    ),
    ({"type": "rsa", "secret_refs": RSA}, "rsa"),
    ({"type": "rsa"}, "rsa, empty"),
    ({"type": "rsa", "secret_refs": []}, "rsa, no refs"),
    ({"type": "rsa", "secret_refs": RSA[:1]}, "rsa, half"),
    (
        {"type": "rsa", "secret_refs": [*RSA, {"name": "private_key_passphrase", "secret_ref": "{c.ref}"}]},
        "rsa, pass phrase",
    ),
    ({"type": "rsa", "secret_refs": [*RSA, {"name": "other", "secret_ref": "{c.ref}"}]}, "rsa, unknown name"),
    ({"type": "rsa", "secret_refs": [*RSA, {"secret_ref": "{c.ref}"}]}, "rsa, unnamed"),
    ({"type": "certificate", "secret_refs": CERTIFICATE}, "certificate"),
    ({"type": "certificate"}, "certificate, empty"),
    (
        {
            "type": "certificate",
            "secret_refs": [
                *CERTIFICATE,
                {"name": "private_key", "secret_ref": "{b.ref}"},
                {"name": "intermediates", "secret_ref": "{c.ref}"},
            ],
        },
        "certificate, whole",
    ),
    (
        {"type": "certificate", "secret_refs": [{"name": "private_key", "secret_ref": "{b.ref}"}]},
        "certificate, missing",
    ),
    (
        {"type": "certificate", "secret_refs": [*CERTIFICATE, {"name": "other", "secret_ref": "{b.ref}"}]},
        "certificate, unknown name",
    ),
    ({"type": "dsa"}, "dsa"),
    ({"type": "Generic"}, "type with a capital"),
    ({"type": None}, "type null"),
    ({"type": 1}, "type a number"),
    ({"name": "c"}, "no type"),
    ({}, "nothing"),
    ({"type": "generic", "foo": "bar"}, "an unknown field"),
]
LISTS = [
    "", "limit=2", "limit=2&offset=2", "limit=0", "limit=x", "offset=-1", "offset=1000", "name=c",
    "name=nobody",
    "name=%25", "type=generic", "type=rsa", "type=other", "type=", "foo=bar", "sort=name",
    "limit=1&type=generic",
    "limit=1&name=c&offset=0",
]  # fmt: skip
USE = {"name": "lb", "URL": "https://lb.example/1"}
CONSUMERS = [
    USE,
    USE,
    USE | {"extra": 1},
    {"name": "lb2", "URL": "no URL at all"},
    {"name": "lb", "url": "https://lb.example/1"},
    {"name": "lb"},
    {"URL": "https://lb.example/1"},
    {"name": "", "URL": "u"},
    {"name": "n", "URL": ""},
    {"name": None, "URL": "u"},
    {"name": 1, "URL": "u"},
    {"name": "n" * 36, "URL": "u"},
    {"name": "n" * 256, "URL": "u"},
    {"name": "n", "URL": "u" * 255},
    {"name": "n", "URL": "u" * 256},
    {},
]
SECRETS = [
    post("/v1/secrets", TEXT | {"name": "a"}, saves="a"),
    post("/v1/secrets", TEXT | {"name": "b"}, saves="b"),
    post("/v1/secrets", TEXT | {"name": "c"}, saves="c"),
    post("/v1/secrets", TEXT | {"name": "strange"}, who="owner@away", saves="strange"),
]
IN_IT = "/v1/containers/{container}/secrets"
THEM = "/v1/containers/{container}/consumers"

SCENARIOS = [
    Scenario(
        "creating containers",
        [
            *SECRETS,
            *(post("/v1/containers", body, f"POST container: {note}") for body, note in BODIES),
            *(
                post(
                    "/v1/containers",
                    body,
                    f"POST container, body {body!r}",
                    headers={"Content-Type": "application/json"},
                )
                for body in (b"", b"[]", b"x", b"null")
            ),
            post("/v1/containers", b"{}", "POST container as text", headers={"Content-Type": "text/plain"}),
        ],
    ),
    Scenario(
        "reading containers",
        [
            *SECRETS,
            post("/v1/containers/", {"type": "generic", "name": "c", "secret_refs": REFS}, saves="container"),
            post("/v1/containers", {"type": "rsa", "name": "r", "secret_refs": RSA}),
            post("/v1/containers", {"type": "generic"}),
            post("/v1/containers", {"type": "certificate", "name": "c", "secret_refs": CERTIFICATE}),
            *(get(f"/v1/containers?{query}", f"containers ?{query}") for query in LISTS),
            *(
                get("/v1/containers/{container}", f"container at {number}", headers=version(number))
                for number in ("1.0", "1.2")
            ),
            get("/v1/containers/{container}/"),
            get("/v1/containers/{a}", "a secret's id as a container's, as octavia asks"),
            *(
                Step(method=method, path="/v1/containers/{container}", body={} if method != "HEAD" else None)
                for method in ("PUT", "PATCH", "POST", "HEAD")
            ),
            delete("/v1/secrets/{a}", note="DELETE a secret in containers"),
            get("/v1/containers/{container}", "the container without it"),
            get("/v1/containers?type=rsa", "the rsa container without its half"),
            delete("/v1/containers/{container}", who="owner@away", note="DELETE from another project"),
            delete("/v1/containers/{container}", headers={"Accept": "text/html"}, note="DELETE container"),
            delete("/v1/containers/{container}", note="DELETE container again"),
            get("/v1/containers/{container}", "a deleted container"),
            get("/v1/secrets/{b}", "its secret stays"),
        ],
    ),
    Scenario(
        "secrets of a container",
        [
            *SECRETS,
            post("/v1/containers", {"type": "generic", "name": "c"}, saves="container"),
            post("/v1/containers", {"type": "rsa", "secret_refs": RSA}, saves="rsa"),
            post(IN_IT, A, "add a secret"),
            post(IN_IT, A, "add it again"),
            post(IN_IT, A | {"name": "other"}, "add it by another name"),
            post(IN_IT, {"name": "a", "secret_ref": "{b.ref}"}, "add another by the same name"),
            post(IN_IT, {"secret_ref": "{b.ref}"}, "add without a name"),
            post(IN_IT, {"name": "", "secret_ref": "{c.ref}"}, "add with an empty name"),
            get("/v1/containers/{container}", "with what was added"),
            post(IN_IT, {"name": None, "secret_ref": "{c.ref}"}, "add with name null"),
            post(IN_IT, {"name": "n" * 256, "secret_ref": "{c.ref}"}, "add with a long name"),
            post(IN_IT, {"name": 1, "secret_ref": "{c.ref}"}, "add with a number as name"),
            post(IN_IT, {"name": "x"}, "add nothing"),
            post(IN_IT, {"name": "x", "secret_ref": ""}, "add an empty ref"),
            post(IN_IT, {"name": "x", "secret_ref": MISSING}, "add an unknown secret"),
            post(IN_IT, {"name": "x", "secret_ref": "{strange.ref}"}, "add another project's secret"),
            post(
                IN_IT,
                {"name": "host", "secret_ref": "https://elsewhere/v1/secrets/{c}"},
                "add by another host",
            ),
            post(IN_IT, {"name": "slash", "secret_ref": "{c.ref}/"}, "add with a slash after it"),
            post(IN_IT, {"name": "bare", "secret_ref": "{c}"}, "add by a bare id"),
            post(IN_IT, {"name": "more", "secret_ref": "{c.ref}", "extra": 1}, "add with more"),
            post(IN_IT, b"{}", "add as text", headers={"Content-Type": "text/plain"}),
            post(IN_IT, {}, "add with an empty body"),
            post("/v1/containers/{rsa}/secrets", {"name": "x", "secret_ref": "{c.ref}"}, "add to rsa"),
            post("/v1/containers/{rsa}/secrets", {}, "add nothing to rsa"),
            get(IN_IT),
            put(IN_IT, A),
            delete(IN_IT, A, "take it out"),
            delete(IN_IT, A, "take it out again"),
            delete(IN_IT, {"secret_ref": "{b.ref}"}, "take the unnamed out"),
            delete(IN_IT, {"name": "x", "secret_ref": MISSING}, "take an unknown secret out"),
            delete(IN_IT, note="take out without a body"),
            delete(IN_IT, b"{}", "take out as text", headers={"Content-Type": "text/plain"}),
            delete(IN_IT, {}, "take nothing out"),
            delete("/v1/containers/{rsa}/secrets", RSA[0], "take out of rsa"),
            get("/v1/containers/{rsa}", "rsa without its half"),
            post(IN_IT, A, "add what was taken out"),
        ],
    ),
    Scenario(
        "consumers of a container",
        [
            *SECRETS,
            post("/v1/containers", {"type": "generic", "name": "c", "secret_refs": REFS}, saves="container"),
            get(THEM, "no consumers"),
            *(post(THEM, body, f"POST container consumer {str(body)[:80]}") for body in CONSUMERS),
            post(f"{THEM}/", USE, "POST container consumer, with a slash"),
            get(THEM, "container consumers"),
            get(f"{THEM}?limit=1", "one container consumer"),
            get(f"{THEM}?limit=1&offset=1", "the next container consumer"),
            get("/v1/containers/{container}", "the container with consumers"),
            get("/v1/containers", "the list with consumers"),
            get(f"{THEM}/not-a-uuid"),
            get(f"{THEM}/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", "an unknown container consumer"),
            delete(THEM, USE, "DELETE container consumer from another project", who="owner@away"),
            delete(THEM, {"name": "lb"}, "DELETE container consumer, too few fields"),
            delete(THEM, note="DELETE container consumer without a body"),
            delete(THEM, b"{}", "DELETE container consumer as text", headers={"Content-Type": "text/plain"}),
            delete(THEM, USE, "DELETE container consumer"),
            delete(THEM, USE, "DELETE container consumer again"),
            put(THEM, USE),
            patch(THEM, USE),
            post(THEM, {"name": "n" * 37, "URL": "u"}, "POST a consumer with a name of 37"),
            delete("/v1/containers/{container}", note="DELETE one with consumers"),
        ],
    ),
]
