"""Versions, health, and what holds for every path: methods, Accept, identity."""

from tests.compare.steps import Scenario, Step, get, post, version

UNKNOWN = "5d4f0c5e-2f4b-4b1e-9a51-0a8f3c1d2e3f"
VERSIONS = [
    "1.0", "1.1", "1.2", "1.3", "2.0", "0.9", "latest", "LATEST", "1", "abc", "1.01", "1.1.1", "",
    "-1.0", "1.x",
]  # fmt: skip
SHARED_HEADERS = [
    "compute 2.1, key-manager 1.1",
    "key-manager 1.0, key-manager 1.1",
    "Key-Manager 1.1",
    "compute 2.1",
    "1.1",
    "",
]
ACCEPTS = [
    "*/*",
    "application/json",
    "application/json;charset=utf-8",
    "application/*",
    "text/html, application/json",
    "text/html, application/json;q=0.5, */*;q=0.1",
    "text/plain",
    "text/html",
    "application/xml",
    "made/up",
    "application/json;q=0",
    "application/json-home",
    "",
]
ANYWHERE = [
    "/", "/v1", "/v1/", "/v1/secrets", "/v1/containers", "/v1/orders", "/v1/quotas", "/v1/project-quotas",
    "/v1/secret-stores", "/v1/secret-stores/global-default", "/v1/secret-stores/preferred",
    "/v1/transport_keys", f"/v1/secrets/{UNKNOWN}", f"/v1/containers/{UNKNOWN}", f"/v1/orders/{UNKNOWN}",
    "/v1/cas", "/v1/consumers", "/v1/nothing", "/nothing",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _at_versions(path: str, *, who: str | None) -> list[Step]:
    return [
        *(get(path, f"GET {path} at {number!r}", who=who, headers=version(number)) for number in VERSIONS),
        *(
            get(path, f"GET {path}, {header!r}", who=who, headers={"OpenStack-API-Version": header})
            for header in SHARED_HEADERS
        ),
    ]


SCENARIOS = [
    Scenario("versions", [*_at_versions("/", who=None), *_at_versions("/v1", who="owner")]),
    Scenario("versions of lists", _at_versions("/v1/secrets", who="owner")),
    Scenario(
        "accept",
        [
            get(path, f"GET {path}, Accept: {accept!r}", headers={"Accept": accept})
            for path in ("/", "/v1", "/v1/secrets", "/v1/containers", "/v1/orders", "/v1/quotas")
            for accept in ACCEPTS
        ],
    ),
    Scenario(
        "methods",
        [
            Step(method=method, path=path, who="chief")
            for path in ANYWHERE
            for method in METHODS
            if (method, path) not in {("POST", "/v1/secrets"), ("POST", "/v1/containers")}
        ],
    ),
    Scenario(
        "health",
        [
            *(
                get("/healthcheck", f"health, Accept: {accept!r}", who=None, headers={"Accept": accept})
                for accept in ACCEPTS
            ),
            get("/healthcheck/", who=None),
            Step(method="HEAD", path="/healthcheck", who=None),
            post("/healthcheck", who=None),
        ],
    ),
    Scenario(
        "identity",
        [
            Step(method=method, path=path, who=who, note=f"{method} {path} as {who or 'no one'}")
            for who in (None, "forged", "at_the_system", "at_the_domain", "unscoped")
            for method, path in (
                ("GET", "/v1"),
                ("GET", "/v1/secrets"),
                ("POST", "/v1/secrets"),
                ("GET", f"/v1/secrets/{UNKNOWN}"),
                ("DELETE", f"/v1/containers/{UNKNOWN}"),
                ("GET", "/v1/nothing"),
                ("OPTIONS", "/v1/secrets"),
            )
        ],
    ),
    Scenario(
        "paths",
        [
            post("/v1/secrets/", {"name": "slash"}, saves="secret"),
            get("/v1/secrets/{secret}/"),
            get("/v1//secrets", "repeated slash"),
            get("/v1/secrets//{secret}", "repeated slash before the id"),
            get("//v1/secrets", "repeated slash at the start"),
            get("/v1/secrets/{secret}/payload/"),
            get("/v1/secrets/{secret}/acl/"),
            get("/v1/secrets/{secret}/metadata/"),
            get("/v1/secrets/{secret}/consumers/"),
            get("/v1/secrets/{secret}/nothing"),
            get("/v1/secrets/{secret}/acl/read", "segment below the ACL"),
            get("/v1/secrets/{secret}/payload/x", "segment below the payload"),
            get("/v1/secrets/{secret}/metadata/a/b", "segment below a metadata item"),
            get("/v1/secrets/not-a-uuid"),
            get("/v1/secrets/5D4F0C5E-2F4B-4B1E-9A51-0A8F3C1D2E3F", "id in upper case"),
            get("/v1/secrets/5d4f0c5e2f4b4b1e9a510a8f3c1d2e3f", "id without hyphens"),
            get("/v1/secrets/5d4f0c5e-2f4b-1b1e-9a51-0a8f3c1d2e3f", "id of version 1"),
            get("/v1/secrets/%00", "a NUL as id"),
            get("/v1/secrets/%C3%A9", "not ASCII as id"),
            get("/v1/secrets/%FF", "not UTF-8 as id"),
            get("/v1/secrets/..%2F..", "dots as id"),
            get("/v1/containers/not-a-uuid"),
            get("/v1/orders/not-a-uuid"),
            get("/v1/orders/{secret}/x", "segment below an order"),
            get(f"/v1/containers/{UNKNOWN}/x", "segment below an unknown container"),
        ],
    ),
]
