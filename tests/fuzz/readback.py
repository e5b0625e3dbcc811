"""After a success: what was sent is there, value by value and type by type."""

import base64
import json
from datetime import UTC, datetime

OCTETS = (b"Accept", b"application/octet-stream")


def _sent(call):
    """What the body says; of a name given twice the last counts."""
    return json.loads(call.body.decode("utf-8"))


def _shown(world, path, **options):
    answer = world.ask("GET", path, **options)
    assert answer.status == 200, f"{path}: {answer}"
    return json.loads(answer.body)


def _stripped(value):
    return value.strip() if isinstance(value, str) else value


def _same(wanted, got):
    """Equal, and true is not 1."""
    assert json.dumps(wanted, sort_keys=True) == json.dumps(got, sort_keys=True)


def _whole(number):
    """A number as the contract keeps it: 12.0 is 12, true is no number."""
    assert number is None or (isinstance(number, int | float) and not isinstance(number, bool))
    return number if number is None else int(number)


def _moment(text):
    """A client's date as the contract shows it; None for none."""
    text = (text or "").strip()
    if not text:
        return None
    text += {4: "-01-01", 7: "-01"}.get(len(text), "")
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _same_moment(wanted, got):
    assert (got is None) == (_moment(wanted) is None)
    if got is not None:
        assert datetime.fromisoformat(got).replace(tzinfo=UTC) == _moment(wanted)


def _id_in(call, after):
    """The path segment behind ``after`` in the request's target."""
    segments = [part for part in call.target.partition(b"?")[0].decode("latin-1").split("/") if part]
    return segments[len(segments) - 1 - segments[::-1].index(after) + 1]


def _made(answer):
    return next(iter(json.loads(answer.body).values())).rpartition("/")[2]


def secret(world, call, answer):
    sent = _sent(call)
    path = f"/v1/secrets/{_made(answer)}"
    shown = _shown(world, path)
    for name in ("name", "algorithm", "mode"):
        _same(_stripped(sent.get(name)), shown[name])
    _same(_whole(sent.get("bit_length")), shown["bit_length"])
    _same(_stripped(sent.get("secret_type", "opaque")), shown["secret_type"])
    _same_moment(sent.get("expiration"), shown["expiration"])
    if "payload" not in sent:
        assert "content_types" not in shown
        return
    payload = world.ask("GET", f"{path}/payload", headers=[OCTETS])
    assert payload.status == 200
    is_base64 = sent.get("payload_content_encoding") is not None
    wanted = base64.b64decode(sent["payload"]) if is_base64 else sent["payload"].encode()
    assert payload.body == wanted


def payload(world, call, answer):
    shown = world.ask("GET", f"/v1/secrets/{_id_in(call, 'secrets')}/payload", headers=[OCTETS])
    assert shown.status == 200
    is_text = (call.header(b"Content-Type") or b"").lower().startswith(b"text/plain")
    encoding = b",".join(value for name, value in call.headers if name == b"Content-Encoding")
    decodes = not is_text and encoding.lower().strip() == b"base64"
    assert shown.body == (base64.b64decode(call.body) if decodes else call.body)


def metadata(world, call, answer):
    wanted = {name.strip().lower(): value.strip() for name, value in _sent(call)["metadata"].items()}
    _same(wanted, _shown(world, f"/v1/secrets/{_id_in(call, 'secrets')}/metadata")["metadata"])


def metadatum(world, call, answer):
    sent = _sent(call)
    name = sent["key"].strip().lower()
    shown = _shown(world, f"/v1/secrets/{_id_in(call, 'secrets')}/metadata/{name}")
    _same({"key": name, "value": sent["value"].strip()}, shown)


def acl(world, call, answer):
    sent = _sent(call).get("read", {})
    collection = "secrets" if b"secrets" in call.target else "containers"
    shown = _shown(world, f"/v1/{collection}/{_id_in(call, collection)}/acl")["read"]
    if "users" in sent:
        _same(sorted({user.strip() for user in sent["users"]}), shown["users"])
    if "project-access" in sent:
        _same(sent["project-access"], shown["project-access"])


def _consumers(world, call, collection, fields, *, is_there):
    sent = _sent(call)
    wanted = {field: sent[field].strip() for field in fields}
    shown = _shown(world, f"/v1/{collection}/{_id_in(call, collection)}/consumers?limit=100")["consumers"]
    assert (wanted in [{field: each[field] for field in fields} for each in shown]) == is_there


def secret_consumer(world, call, answer):
    _consumers(world, call, "secrets", ("service", "resource_type", "resource_id"), is_there=True)


def no_secret_consumer(world, call, answer):
    _consumers(world, call, "secrets", ("service", "resource_type", "resource_id"), is_there=False)


def container_consumer(world, call, answer):
    _consumers(world, call, "containers", ("name", "URL"), is_there=True)


def no_container_consumer(world, call, answer):
    _consumers(world, call, "containers", ("name", "URL"), is_there=False)


def container(world, call, answer):
    sent = _sent(call)
    shown = _shown(world, f"/v1/containers/{_made(answer)}")
    _same(_stripped(sent.get("name")), shown["name"])
    _same(sent["type"].strip(), shown["type"])
    wanted = [
        [_stripped(each.get("name")) or None, each["secret_ref"].strip().rstrip("/").rpartition("/")[2]]
        for each in sent.get("secret_refs", [])
    ]
    got = [[each["name"], each["secret_ref"].rpartition("/")[2]] for each in shown["secret_refs"]]
    _same(sorted(wanted, key=str), sorted(got, key=str))


def place(world, call, answer):
    sent = _sent(call)
    shown = _shown(world, f"/v1/containers/{_id_in(call, 'containers')}")["secret_refs"]
    wanted = (_stripped(sent.get("name")) or None, sent["secret_ref"].strip().rstrip("/").rpartition("/")[2])
    assert wanted in [(each["name"], each["secret_ref"].rpartition("/")[2]) for each in shown]


def order(world, call, answer):
    sent = _sent(call)
    shown = _shown(world, f"/v1/orders/{_made(answer)}")
    _same(sent["type"].strip(), shown["type"])
    for name in ("name", "algorithm"):
        _same(_stripped(sent["meta"].get(name)), shown["meta"][name])
    _same(_whole(sent["meta"]["bit_length"]), shown["meta"]["bit_length"])
    _same_moment(sent["meta"].get("expiration"), shown["meta"]["expiration"])
    assert not {"passphrase", "pass_phrase", "payload"} & shown["meta"].keys()


def quota(world, call, answer):
    shown = json.loads(world.ask("GET", call.target.partition(b"?")[0].decode("latin-1"), token="admin").body)
    for name, limit in _sent(call)["project_quotas"].items():
        _same(_whole(limit), shown["project_quotas"][name])


def transport_key(world, call, answer):
    sent = _sent(call)
    shown = _shown(world, f"/v1/transport_keys/{_made(answer)}", token="admin")
    for name in ("plugin_name", "transport_key"):
        _same(sent[name].strip(), shown[name])


def gone(world, call, answer):
    assert world.ask("GET", call.target.partition(b"?")[0].decode("latin-1")).status == 404


def body_is_json(world, call, answer):
    json.loads(answer.body)
