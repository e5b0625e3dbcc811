"""Quotas, secret stores, transport keys."""

from tests.compare.corpus.orders import AES
from tests.compare.corpus.secrets import TEXT
from tests.compare.steps import Scenario, delete, get, post, put

QUOTAS = "/v1/project-quotas"
MINE = f"{QUOTAS}/{{project}}"
THEIRS = f"{QUOTAS}/{{away}}"
BODIES = [
    {"project_quotas": {"secrets": 10}},
    {"project_quotas": {"orders": 0, "containers": -5, "consumers": 7, "cas": 3}},
    {"project_quotas": {}},
    {"project_quotas": {"secrets": None}},
    {"project_quotas": {"secrets": "1"}},
    {"project_quotas": {"secrets": True}},
    {"project_quotas": {"secrets": 1.5}},
    {"project_quotas": {"secrets": 1.0}},
    {"project_quotas": {"other": 1}},
    {"project_quotas": {"secrets": 1}, "other": 1},
    {"project_quotas": None},
    {"project_quotas": []},
    {},
    {"secrets": 1},
]
KEY = {"plugin_name": "p", "transport_key": "-----BEGIN"}
NO_KEY = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"

SCENARIOS = [
    Scenario(
        "quotas",
        [
            get("/v1/quotas"),
            get(MINE, "no quota yet", who="chief"),
            delete(MINE, who="chief", note="DELETE no quota"),
            *(
                step
                for body in BODIES
                for step in (
                    put(MINE, body, f"PUT quota {body}", who="chief"),
                    get(MINE, f"after PUT quota {body}", who="chief"),
                )
            ),
            get("/v1/quotas", "the quotas that hold"),
            put(THEIRS, {"project_quotas": {"secrets": 5}}, "PUT the other's", who="chief"),
            put(
                f"{QUOTAS}/never-seen.json",
                {"project_quotas": {"secrets": 5}},
                "PUT one of an unseen project",
                who="chief",
            ),
            put(MINE, b"{}", "PUT quota as text", who="chief", headers={"Content-Type": "text/plain"}),
            put(MINE, b"", "PUT quota, nothing", who="chief", headers={"Content-Type": "application/json"}),
            post(QUOTAS, {}, who="chief"),
            post(MINE, {}, who="chief"),
            delete(MINE, who="chief", note="DELETE quota"),
            delete(MINE, who="chief", note="DELETE quota again"),
            delete(THEIRS, who="chief", note="DELETE the other's"),
            post("/v1/quotas", {}),
        ],
    ),
    Scenario(
        "quotas reached",
        [
            post("/v1/secrets", TEXT, saves="used"),
            post("/v1/containers", {"type": "generic"}, saves="container"),
            put(
                MINE,
                {"project_quotas": {"secrets": 2, "containers": 1, "orders": 1, "consumers": 1}},
                who="chief",
            ),
            get("/v1/quotas", "the limits"),
            post("/v1/secrets", TEXT, "the second secret", saves="second"),
            post("/v1/secrets", TEXT, "a secret too many"),
            post("/v1/secrets", {"bit_length": 0}, "a bad secret too many"),
            post("/v1/containers", {"type": "generic"}, "a container too many"),
            post("/v1/orders", {"type": "key", "meta": AES}, "the first order", saves="order"),
            get("/v1/orders/{order}", "an order that makes one too many", until="done"),
            post("/v1/orders", {"type": "key", "meta": AES}, "an order too many"),
            post("/v1/secrets/{used}/consumers", {"service": "s", "resource_type": "t", "resource_id": "i"}),
            post(
                "/v1/secrets/{used}/consumers",
                {"service": "s", "resource_type": "t", "resource_id": "j"},
                "a consumer too many",
            ),
            post(
                "/v1/secrets/{used}/consumers",
                {"service": "s", "resource_type": "t", "resource_id": "i"},
                "the same consumer at the quota",
            ),
            post("/v1/containers/{container}/consumers", {"name": "n", "URL": "u"}),
            post(
                "/v1/containers/{container}/consumers",
                {"name": "n", "URL": "v"},
                "a container consumer too many",
            ),
            post(
                "/v1/containers/{container}/consumers",
                {"name": "n", "URL": "u"},
                "the same container consumer at the quota",
            ),
            delete("/v1/secrets/{second}", note="make room"),
            put("/v1/secrets/{used}", b"x", "PUT at the quota", headers={"Content-Type": "text/plain"}),
            put(MINE, {"project_quotas": {"secrets": 0}}, "PUT none at all", who="chief"),
            post("/v1/secrets", TEXT, "with none allowed"),
            delete(MINE, who="chief"),
        ],
    ),
    Scenario(
        "listing quotas",
        [
            put(MINE, {"project_quotas": {"secrets": 1}}, who="chief"),
            put(THEIRS, {"project_quotas": {"orders": 2}}, who="chief"),
            get(QUOTAS, "quotas listed", who="chief"),
            get(f"{QUOTAS}?limit=1", "one quota listed", who="chief"),
            get(f"{QUOTAS}?limit=1&offset=1", "the next quota listed", who="chief"),
            get(f"{QUOTAS}?offset=100", "beyond the last quota", who="chief"),
            delete(MINE, who="chief"),
            delete(THEIRS, who="chief"),
        ],
    ),
    Scenario(
        "secret stores",
        [
            get("/v1/secret-stores"),
            get("/v1/secret-stores/global-default"),
            get("/v1/secret-stores/preferred"),
            get("/v1/secret-stores/nonsense"),
            get(f"/v1/secret-stores/{NO_KEY}", "an unknown store"),
            post(f"/v1/secret-stores/{NO_KEY}/preferred", who="chief", note="prefer an unknown store"),
            delete(f"/v1/secret-stores/{NO_KEY}/preferred", who="chief", note="prefer none"),
        ],
    ),
    Scenario(
        "transport keys",
        [
            get("/v1/transport_keys", "no transport keys"),
            post("/v1/transport_keys", KEY, who="chief", saves="key"),
            post("/v1/transport_keys", {}, "POST transport key {}", who="chief"),
            post(
                "/v1/transport_keys", KEY | {"plugin_name": ""}, "POST transport key, no plugin", who="chief"
            ),
            post("/v1/transport_keys", {"plugin_name": "p"}, "POST transport key, no key", who="chief"),
            post(
                "/v1/transport_keys",
                b"{}",
                "POST transport key as text",
                who="chief",
                headers={"Content-Type": "text/plain"},
            ),
            post("/v1/transport_keys", KEY, "POST transport key as owner"),
            get("/v1/transport_keys", "one transport key"),
            get("/v1/transport_keys?plugin_name=p", "by plugin"),
            get("/v1/transport_keys?plugin_name=q", "by another plugin"),
            get("/v1/transport_keys/{key}"),
            get("/v1/transport_keys/nonsense"),
            get(f"/v1/transport_keys/{NO_KEY}", "an unknown transport key"),
            put("/v1/transport_keys", KEY, who="chief"),
            put("/v1/transport_keys/{key}", KEY, who="chief"),
            delete("/v1/transport_keys/{key}", note="DELETE transport key as owner"),
            delete("/v1/transport_keys/{key}", who="chief", note="DELETE transport key"),
            delete("/v1/transport_keys/{key}", who="chief", note="DELETE transport key again"),
        ],
    ),
]
