"""What schemathesis is told beyond the document: what no schema can describe, and where ids come from.

Named by ``SCHEMATHESIS_HOOKS``; see docs/contributors.
"""

from datetime import datetime

import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import use_after_free

from keepsite.ids import new_id
from secrets_app.api.filters import SORTS

MOMENTS = st.datetimes(min_value=datetime(2100, 1, 1)).map(datetime.isoformat)  # noqa: DTZ001  # UTC without a zone
BOUNDED = st.tuples(st.sampled_from(["gt:", "gte:", "lt:", "lte:", ""]), MOMENTS).map("".join)
BETWEEN = st.tuples(MOMENTS, MOMENTS).map("gte:{0[0]},lt:{0[1]}".format)
TERMS = st.tuples(st.sampled_from(list(SORTS)), st.sampled_from(["", ":asc", ":desc"]))

# An expiration lies in the future, bounds of dates do not repeat, nor do keys to sort by: no schema says so.
schemathesis.openapi.format("date-time", MOMENTS)
schemathesis.openapi.format("date-filter", st.one_of(st.just(""), BOUNDED, BETWEEN))
schemathesis.openapi.format(
    "sort-keys",
    st.lists(TERMS, max_size=3, unique_by=lambda term: term[0]).map(
        lambda terms: ",".join(map("".join, terms))
    ),
)

_USED_KEYS = set()

# Ids are the last segment of refs.  OpenAPI's links cannot cut it out, schemathesis's extension of them can.
MADE = {
    "/v1/secrets": ("201", "secret_id", "/secret_ref"),
    "/v1/containers": ("201", "container_id", "/container_ref"),
    "/v1/orders": ("202", "order_id", "/order_ref"),
    "/v1/transport_keys": ("201", "key_id", "/transport_key_ref"),
}
LISTED = {"/v1/secret-stores": ("200", "store_id", "/secret_stores/0/secret_store_ref")}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Lead from what makes an object to all that is done with it."""
    for method, sources in (("post", MADE), ("get", LISTED)):
        for path, (status, parameter, pointer) in sources.items():
            answer = raw_schema["paths"][path][method]["responses"][status]
            wanted = {parameter: f"$response.body#{pointer}#regex:([^/]+)$"}
            answer["links"] = dict(_links(raw_schema, f"{{{parameter}}}", wanted))
    note = raw_schema["paths"]["/v1/secrets/{secret_id}/metadata"]["post"]["responses"]["201"]
    wanted = {"secret_id": "$request.path.secret_id", "name": "$request.body#/key"}
    note["links"] = dict(_links(raw_schema, "{name}", wanted))


def _links(raw_schema, argument, parameters):
    for path, methods in raw_schema["paths"].items():
        for operation in methods.values():
            if argument in path:
                yield (
                    operation["operationId"],
                    {"operationId": operation["operationId"], "parameters": parameters},
                )


@schemathesis.hook.apply_to(path="/v1/containers", method="POST")
def before_call(context, case, kwargs):
    """Fill a new container with secrets and names of which none stands there twice: no schema says so."""
    places = case.body.get("secret_refs") if isinstance(case.body, dict) else None
    if not isinstance(places, list) or not all(isinstance(place, dict) for place in places):
        return
    for name in ("name", "secret_ref"):
        given = [place.get(name) for place in places if isinstance(place.get(name), str | None)]
        if len({(text or "").strip() for text in given}) < len(given):
            case.body["secret_refs"] = []


@schemathesis.hook("before_call")
def use_each_key_once(context, case, kwargs):
    """Name each request anew: a used key is refused, or finds what may be deleted; no schema says so."""
    key = (case.headers or {}).get("Idempotency-Key")
    if key is None or case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    if (bare := key.strip('"')) in _USED_KEYS:
        case.headers["Idempotency-Key"] = new_id()
    _USED_KEYS.add(bare)


@schemathesis.check
def use_after_free_but_for_acls(context, response, case):
    """Schemathesis's own check, on all but ACLs.

    An ACL is never absent: where none is set the default stands, and to delete it means to go back to that.
    The configuration of one operation does not reach this check, so it is taken out and run from here.
    """
    return None if case.path.endswith("/acl") else use_after_free(context, response, case)
