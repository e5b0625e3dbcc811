"""Every role at every verb: a public secret, a private one, one with an ACL, a container, an order."""

from tests.compare.corpus.orders import AES
from tests.compare.corpus.secrets import TEXT
from tests.compare.steps import Scenario, Step, delete, get, patch, post, put, version

EVERYBODY = [
    "peer", "admin", "member", "reader", "creator", "observer", "audit", "service_admin", "service", "nobody",
    "admin@away", "member@away", "creator@away", "nobody@away", "service@away",
]  # fmt: skip
NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
USE = {"name": "lb", "URL": "https://lb.example/1"}
PRIVATE = {"read": {"project-access": False}}
GRANTED = {"read": {"project-access": False, "users": ["{user:peer}", "{user:nobody}", "{user:member}"]}}


def _secret(acl: object | None) -> list[Step]:
    """A secret of the owner's, with metadata; private when it has an ACL."""
    made = [
        post("/v1/secrets", TEXT | {"name": "s"}, saves="secret"),
        put("/v1/secrets/{secret}/metadata", {"metadata": {"colour": "red"}}),
    ]
    return made if acl is None else [*made, put("/v1/secrets/{secret}/acl", acl)]


def _container(acl: object | None) -> list[Step]:
    made = [
        post("/v1/secrets", TEXT, saves="inside"),
        post("/v1/containers", {"type": "generic", "name": "c"}, saves="container"),
    ]
    return made if acl is None else [*made, put("/v1/containers/{container}/acl", acl)]


def _at_a_secret(who: str, what: str) -> list[Step]:
    secret = "/v1/secrets/{secret}"
    verbs = [
        get(secret),
        get(f"{secret}/payload", headers={"Accept": "text/plain"}),
        get(secret, "GET secret as text", headers={"Accept": "text/plain"}),
        get(f"{secret}/metadata"),
        get(f"{secret}/metadata/colour"),
        put(f"{secret}/metadata", {"metadata": {"colour": "blue"}}),
        post(f"{secret}/metadata", {"key": "shape", "value": "round"}),
        put(f"{secret}/metadata/colour", {"key": "colour", "value": "green"}),
        delete(f"{secret}/metadata/shape"),
        get(f"{secret}/consumers"),
        post(f"{secret}/consumers", NOVA, headers=version("1.1")),
        delete(f"{secret}/consumers", NOVA),
        get(f"{secret}/acl"),
        patch(f"{secret}/acl", {}),
        put(secret, b"x", headers={"Content-Type": "text/plain"}),
        delete(f"{secret}/acl") if what == "public" else get(f"{secret}/acl/"),
        delete(secret),
    ]
    return _as(who, what, verbs)


def _at_a_container(who: str, what: str) -> list[Step]:
    container = "/v1/containers/{container}"
    verbs = [
        get(container),
        get(f"{container}/consumers"),
        post(f"{container}/consumers", USE),
        delete(f"{container}/consumers", USE),
        post(f"{container}/secrets", {"name": "inside", "secret_ref": "{inside.ref}"}),
        delete(f"{container}/secrets", {"name": "inside", "secret_ref": "{inside.ref}"}),
        get(f"{container}/acl"),
        patch(f"{container}/acl", {}),
        delete(container),
    ]
    return _as(who, what, verbs)


def _at_collections(who: str) -> list[Step]:
    verbs = [
        get("/v1/secrets"),
        post("/v1/secrets", {"name": "by role"}),
        get("/v1/containers"),
        post("/v1/containers", {"type": "generic"}),
        get(f"/v1/orders?meta={_mark(who)}", "GET /v1/orders"),
        post("/v1/orders", {"type": "key", "meta": {"algorithm": ""}}, "POST a bad order"),
        put("/v1/orders", {}),
        get("/v1/orders/{order}"),
        get("/v1/quotas"),
        get("/v1/project-quotas/{away}"),
        delete("/v1/project-quotas/{away}"),
        put("/v1/project-quotas/{away}", b"", "PUT bad quotas", headers={"Content-Type": "application/json"}),
        get("/v1/transport_keys"),
        post("/v1/transport_keys", {}),
        get("/v1/secret-stores/nonsense"),
        delete("/v1/orders/{order}"),
    ]
    order = [
        post("/v1/orders", {"type": "key", "meta": AES | {"name": _mark(who)}}, saves="order"),
        get("/v1/orders/{order}", until="done"),
    ]
    return [*order, *_as(who, "collection", verbs)]


def _mark(who: str) -> str:
    return f"for-{who.replace('@', '-')}"


def _as(who: str, what: str, verbs: list[Step]) -> list[Step]:
    return [_by(who, what, step) for step in verbs]


def _by(who: str, what: str, step: Step) -> Step:
    return Step(
        method=step.method,
        path=step.path,
        body=step.body,
        headers=step.headers,
        who=who,
        note=f"{what}: {step.label} as {who}",
    )


SCENARIOS = [
    *(
        Scenario(
            f"roles at a {what} secret",
            [step for who in ("owner", *EVERYBODY) for step in (*_secret(acl), *_at_a_secret(who, what))],
        )
        for what, acl in (("public", None), ("private", PRIVATE), ("granted", GRANTED))
    ),
    *(
        Scenario(
            f"roles at a {what} container",
            [
                step
                for who in ("owner", *EVERYBODY)
                for step in (*_container(acl), *_at_a_container(who, what))
            ],
        )
        for what, acl in (("public", None), ("private", PRIVATE), ("granted", GRANTED))
    ),
    Scenario(
        "roles at collections", [step for who in ("owner", *EVERYBODY) for step in _at_collections(who)]
    ),
    Scenario(
        "lists by ACL",
        [
            *_secret(GRANTED),
            get("/v1/secrets?acl_only=true&sort=created", "what the ACL gives to a peer", who="peer"),
            get("/v1/secrets?acl_only=true&sort=created", "what the ACL gives abroad", who="nobody@away"),
            get(
                "/v1/secrets?acl_only=true&sort=created",
                "what the ACL gives a member abroad",
                who="member@away",
            ),
            get("/v1/secrets", "a private secret is listed", who="peer"),
            delete("/v1/secrets/{secret}"),
        ],
    ),
]
