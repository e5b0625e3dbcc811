"""What hangs on a secret: metadata, ACL, consumers."""

from tests.compare.corpus.secrets import TEXT
from tests.compare.steps import Scenario, Step, delete, get, patch, post, put, version

ITEM = {"key": "colour", "value": "red"}
METADATA_SETS = [
    {"metadata": {"A": "b"}},
    {"metadata": {}},
    {"metadata": {"k": " stripped "}},
    {"metadata": {"k": ""}},
    {"metadata": {"k": 1}},
    {"metadata": {"k": None}},
    {"metadata": {"bad key": "v"}},
    {"metadata": {"k": "v" * 255}},
    {"metadata": None},
    {"metadata": []},
    {"metadata": "x"},
    {"other": {}},
    {},
    {"metadata": {"k-1_2": "v"}, "extra": 1},
    {"metadata": {"Foo": "1", "foo": "2"}},
    {"metadata": {"": "v"}},
    {"metadata": {"k": "v" * 256}},
    {"metadata": {"k" * 256: "v"}},
]
ITEMS = [
    ITEM,
    {"key": "Shape", "value": "round"},
    {"key": "shape", "value": "square"},
    {"key": "bad key", "value": "v"},
    {"key": "", "value": "v"},
    {"key": "k" * 256, "value": "v"},
    {"key": "long", "value": "v" * 256},
    {"key": "n", "value": None},
    {"key": "n", "value": 1},
    {"key": "n"},
    {"value": "v"},
    {"key": "n", "value": "v", "extra": "x"},
    {"key": "empty", "value": ""},
    {},
]
ACLS = [
    {},
    {"read": {}},
    {"read": {"users": ["{user:peer}", "{user:member}"]}},
    {"read": {"users": ["{user:peer}", "{user:peer}"], "project-access": False}},
    {"read": {"project-access": True}},
    {"read": {"project-access": False}},
    {"read": {"users": []}},
    {"read": {"users": [" u1 "]}},
    {"read": {"users": "u1"}},
    {"read": {"users": None}},
    {"read": {"users": [1]}},
    {"read": {"users": ["u" * 255]}},
    {"read": {"users": ["u" * 256]}},
    {"read": {"project-access": "true"}},
    {"read": {"project-access": None}},
    {"read": {"project-access": 1}},
    {"read": {"creator-only": True}},
    {"read": {"project_access": True}},
    {"read": None},
    {"read": []},
    {"write": {"users": ["u1"]}},
    {"read": {"users": ["u1"]}, "write": {}},
    {"foo": "bar"},
    {"read": {"users": ["a", 1]}},
    {"read": {"users": [""]}},
]
CONSUMERS = [
    {"service": "nova", "resource_type": "instance", "resource_id": "i-1"},
    {"service": "nova", "resource_type": "instance", "resource_id": "i-1"},
    {"service": "cinder", "resource_type": "volume", "resource_id": "v-1", "extra": 1},
    {"service": "nova", "resource_type": "instance"},
    {"service": "nova", "resource_id": "i"},
    {"resource_type": "instance", "resource_id": "i"},
    {"service": "", "resource_type": "t", "resource_id": "i"},
    {"service": "s", "resource_type": "", "resource_id": "i"},
    {"service": "s", "resource_type": "t", "resource_id": ""},
    {"service": None, "resource_type": "t", "resource_id": "i"},
    {"service": 1, "resource_type": "t", "resource_id": "i"},
    {"service": "s" * 256, "resource_type": "t", "resource_id": "i"},
    {"service": "s", "resource_type": "t" * 256, "resource_id": "i"},
    {"service": "s", "resource_type": "t", "resource_id": "i" * 36},
    {},
]
NOVA = CONSUMERS[0]


def _acl_steps(kind: str) -> list[Step]:
    acl = f"/v1/{kind}s/{{{kind}}}/acl"
    return [
        get(acl, f"the ACL of a new {kind}"),
        *(
            step
            for body in ACLS
            for step in (
                put(acl, body, f"PUT {kind} ACL {body}"),
                get(acl, f"after PUT {kind} ACL {body}"),
                patch(acl, body, f"PATCH {kind} ACL {body}"),
                get(acl, f"after PATCH {kind} ACL {body}"),
            )
        ),
        put(acl, b"{}", f"PUT {kind} ACL, no type"),
        put(acl, b"[]", f"PUT {kind} ACL, a list", headers={"Content-Type": "application/json"}),
        put(acl, b"", f"PUT {kind} ACL, nothing", headers={"Content-Type": "application/json"}),
        delete(acl),
        delete(acl, note=f"DELETE {kind} ACL again"),
        get(acl, f"the {kind} ACL after DELETE"),
        patch(acl, {"read": {"users": ["u1"]}}, f"PATCH {kind} ACL where none is"),
        get(acl, f"the {kind} ACL after that"),
        post(acl, {}),
        Step(method="HEAD", path=acl),
        get(acl, f"{kind} ACL, Accept: text/plain", headers={"Accept": "text/plain"}),
    ]


SCENARIOS = [
    Scenario(
        "metadata",
        [
            post("/v1/secrets", {"name": "m"}, saves="secret"),
            get("/v1/secrets/{secret}/metadata", "metadata of a new secret"),
            *(
                step
                for body in METADATA_SETS
                for step in (
                    put("/v1/secrets/{secret}/metadata", body, f"PUT metadata {str(body)[:60]}"),
                    get("/v1/secrets/{secret}/metadata", f"after PUT metadata {str(body)[:60]}"),
                )
            ),
            put(
                "/v1/secrets/{secret}/metadata",
                b"x",
                "PUT metadata, no JSON",
                headers={"Content-Type": "application/json"},
            ),
            put(
                "/v1/secrets/{secret}/metadata",
                b"{}",
                "PUT metadata as text",
                headers={"Content-Type": "text/plain"},
            ),
            get(
                "/v1/secrets/{secret}/metadata",
                "metadata, Accept: text/plain",
                headers={"Accept": "text/plain"},
            ),
            get(
                "/v1/secrets/{secret}/metadata",
                "metadata, Accept: text/html",
                headers={"Accept": "text/html"},
            ),
            delete("/v1/secrets/{secret}/metadata"),
            patch("/v1/secrets/{secret}/metadata", {}),
            get("/v1/secrets/{secret}", "the secret itself, unchanged"),
        ],
    ),
    Scenario(
        "metadata items",
        [
            post("/v1/secrets", {"name": "m"}, saves="secret"),
            *(post("/v1/secrets/{secret}/metadata", body, f"POST item {str(body)[:60]}") for body in ITEMS),
            get("/v1/secrets/{secret}/metadata", "metadata after the POSTs"),
            get("/v1/secrets/{secret}/metadata/colour"),
            get("/v1/secrets/{secret}/metadata/Shape", "an item by a key with capitals"),
            get("/v1/secrets/{secret}/metadata/nothing"),
            put("/v1/secrets/{secret}/metadata/colour", {"key": "colour", "value": "blue"}, "PUT item"),
            put(
                "/v1/secrets/{secret}/metadata/colour",
                {"key": "Colour", "value": "green"},
                "PUT item, key with capitals",
            ),
            put(
                "/v1/secrets/{secret}/metadata/colour",
                {"key": "other", "value": "x"},
                "PUT item, another key",
            ),
            put(
                "/v1/secrets/{secret}/metadata/nothing",
                {"key": "nothing", "value": "x"},
                "PUT item that is not there",
            ),
            put("/v1/secrets/{secret}/metadata/nothing", {"key": "n"}, "PUT item without a value"),
            put(
                "/v1/secrets/{secret}/metadata/colour",
                {"key": "colour", "value": "b", "x": 1},
                "PUT item with more",
            ),
            put(
                "/v1/secrets/{secret}/metadata/colour",
                b"{}",
                "PUT item as text",
                headers={"Content-Type": "text/plain"},
            ),
            get("/v1/secrets/{secret}/metadata/colour", "the item afterwards"),
            delete("/v1/secrets/{secret}/metadata/colour"),
            delete("/v1/secrets/{secret}/metadata/colour", note="DELETE item again"),
            post("/v1/secrets/{secret}/metadata/colour", ITEM, "POST on an item, as barbicanclient does"),
            patch("/v1/secrets/{secret}/metadata/shape", ITEM),
            get("/v1/secrets/{secret}/metadata", "metadata at the end"),
        ],
    ),
    Scenario("ACLs of a secret", [post("/v1/secrets", TEXT, saves="secret"), *_acl_steps("secret")]),
    Scenario(
        "ACLs of a container",
        [post("/v1/containers", {"type": "generic"}, saves="container"), *_acl_steps("container")],
    ),
    Scenario(
        "consumers of a secret",
        [
            post("/v1/secrets", TEXT | {"name": "used"}, saves="secret"),
            get("/v1/secrets/{secret}/consumers", "no consumers"),
            *(
                post(
                    "/v1/secrets/{secret}/consumers",
                    body,
                    f"POST consumer {str(body)[:90]}",
                    headers=version("1.1"),
                )
                for body in CONSUMERS
            ),
            post("/v1/secrets/{secret}/consumers/", NOVA, "POST consumer at 1.0, with a slash"),
            get("/v1/secrets/{secret}/consumers", "the consumers"),
            get("/v1/secrets/{secret}/consumers?limit=1", "one consumer"),
            get("/v1/secrets/{secret}/consumers?limit=1&offset=1", "the next"),
            get("/v1/secrets/{secret}/consumers?offset=50", "beyond the last"),
            *(
                get("/v1/secrets/{secret}", f"the secret at {number}", headers=version(number))
                for number in ("1.0", "1.1")
            ),
            get("/v1/secrets", "the list at 1.1", headers=version("1.1")),
            get("/v1/secrets/{secret}/consumers/not-a-uuid"),
            get("/v1/secrets/{secret}/consumers/5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f", "an unknown consumer"),
            delete("/v1/secrets/{secret}/consumers", {"service": "nova"}, "DELETE consumer, too few fields"),
            delete(
                "/v1/secrets/{secret}/consumers",
                NOVA | {"resource_id": "other"},
                "DELETE an unknown consumer",
            ),
            delete("/v1/secrets/{secret}/consumers", note="DELETE consumer without a body"),
            delete(
                "/v1/secrets/{secret}/consumers",
                b"{}",
                "DELETE consumer as text",
                headers={"Content-Type": "text/plain"},
            ),
            delete("/v1/secrets/{secret}/consumers", NOVA, "DELETE consumer"),
            delete("/v1/secrets/{secret}/consumers", NOVA, "DELETE consumer again"),
            post("/v1/secrets/{secret}/consumers", NOVA, "POST it anew"),
            get("/v1/secrets/{secret}/consumers", "the consumers at the end"),
            put("/v1/secrets/{secret}/consumers", NOVA),
            delete(
                "/v1/secrets/{secret}/consumers",
                NOVA,
                "DELETE consumer from another project",
                who="owner@away",
            ),
            get(
                "/v1/secrets/{secret}/consumers",
                "consumers, Accept: text/html",
                headers={"Accept": "text/html"},
            ),
        ],
    ),
]
