"""What was before and after stands in the audit record of whatever operators and their programs change."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for folder in ("hsm", "keepsite", "orders_app", "secrets_app")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
# Why some say nothing of that, each act as its call names it.
WITHOUT = {
    "a client changes what is its own; the record of its call says which request did": {
        "secret.created", "secret.deleted", "payload.stored",
        "secret_meta.replaced", "secret_meta.added", "secret_meta.changed", "secret_meta.deleted",
        "{kind_of(subject)}_acl.replaced", "{kind_of(subject)}_acl.changed",
        "{kind_of(subject)}_acl.deleted",
        "{kind_of(subject)}_consumer.registered", "{kind_of(subject)}_consumer.removed",
        "container.created", "container.deleted", "container_secret.added", "container_secret.removed",
        "transport_key.registered", "transport_key.deleted",
        "secret_store.preferred", "secret_store.unpreferred",
        "order.placed", "order.deleted",
    },
    "a worker ends what a client ordered; the order says what came of it": {
        "order.fulfilled", "order.failed",
    },
    "reads, and changes nothing": {
        "payload.read", "request.repeated", "{noun}.exported", "audit_chain.verified",
    },
    "begins or ends a session, or did not": {
        "operator.logged_in", "operator.logged_out", "operator.login_refused",
    },
    "one of thousands whose purge.started and purge.ended count them; nothing is left to describe": {
        "purged",
    },
}  # fmt: skip


def records(path):
    """Every call that writes a record: the act's name, the line, and whether it says what changed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and _writes_a_record(node):
            named = {keyword.arg for keyword in node.keywords}
            yield _name(node.args[0]), node.lineno, "change" in named


def _writes_a_record(call):
    match call.func:
        case ast.Attribute(attr="record", value=ast.Name(id="audit")):
            return True
        case ast.Name(id="record"):  # a partial of it; the function of that name for schemas takes no text
            return isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    return False


def _name(argument):
    if isinstance(argument, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in argument.values
        )
    return argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)


def silent(paths):
    """Acts whose record does not say what was before and after, and where."""
    return {
        (name, f"{path.relative_to(ROOT)}:{line}")
        for path in paths
        for name, line, says_change in records(path)
        if not says_change
    }


def test_every_act_says_what_it_changed_or_why_it_need_not():
    excused, found = set().union(*WITHOUT.values()), silent(SOURCES)

    assert {where for name, where in found if name not in excused} == set()
    assert excused - {name for name, _ in found} == set()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('audit.record("a.b", actor=a, subject=s)', "a.b"),
        ('audit.record(f"{noun}.b", actor=a, subject=s)', "{noun}.b"),
        ('record("a.b")', "a.b"),
        ("audit.record(action, actor=a)", "action"),
    ],
)
def test_one_that_is_silent_is_found(tmp_path, monkeypatch, source, name):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source)

    assert silent([path]) == {(name, "module.py:1")}
