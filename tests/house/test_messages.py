"""Messages as gettext's tools need them: found in the source as they stand, and whole."""

import ast
import re
import string
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("hsm", "keepsite", "orders_app", "secrets_app")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
EAGER = {"_": 1, "gettext": 1, "ngettext": 2}  # how many of their arguments are messages
MESSAGES = EAGER | {"gettext_lazy": 1}
BESIDE_A_VALUE = re.compile(
    r"\}\}[^<>{}%]*\{% translate|\{% translate (?:'[^']*'|\"[^\"]*\") %\}[^<>{}%]*\{\{"
)


def calls(path):
    """Calls that translate: the node, its name, and whether it runs when somebody reads."""
    todo = [(ast.parse(path.read_text()), False)]
    while todo:
        node, is_later = todo.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES:
            yield node, node.func.id, is_later
        for name, value in ast.iter_fields(node):
            inside = is_later or (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and name == "body"
            )
            todo += [
                (one, inside) for one in (value if isinstance(value, list) else [value]) if _is_node(one)
            ]


def _is_node(value):
    return isinstance(value, ast.AST)


def faults(path):
    """What is wrong with each, and where."""
    if path == ROOT / "keepsite" / "translation.py":  # hands on what others wrote
        return
    for call, name, is_later in calls(path):
        where = f"{path.relative_to(ROOT)}:{call.lineno}"
        if name in EAGER and not is_later:
            yield f"{where} is translated when the module is loaded: use gettext_lazy"
        for message in call.args[: MESSAGES[name]]:
            if not (isinstance(message, ast.Constant) and isinstance(message.value, str)):
                yield f"{where} is no plain text, so no catalogue will have it"
            elif re.search(r"%[^(%]", re.sub(r"%\(\w+\)|%%", "", message.value)):
                yield f"{where} has a placeholder without a name"
            elif set(message.value[:1] + message.value[-1:]) & set(string.whitespace):
                yield f"{where} is a piece of a sentence: {message.value!r}"


def translated_values(path):
    """Words that differ from language to language, where something is compared with them."""
    where = path.relative_to(ROOT)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict) and any(map(_is_message, node.keys)):
            yield f"{where}:{node.lineno} looks something up by a word that is translated"
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and all(map(_is_message, node.elts)):
            value, words = map(ast.unparse, node.elts)
            if value == words:
                yield f"{where}:{node.lineno} is a choice whose value is translated"


def _is_message(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES


def pieces(path):
    """Messages of a template beside a value: no whole sentence, and no plural."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if BESIDE_A_VALUE.search(line):
            yield f"{path.relative_to(ROOT)}:{number} is a piece of a sentence: use blocktranslate"


def test_all_are_whole_and_are_found_by_makemessages():
    assert [fault for path in SOURCES for fault in faults(path)] == []


def test_none_is_compared_with():
    assert [fault for path in SOURCES for fault in translated_values(path)] == []


def test_those_of_templates_are_whole():
    assert [fault for path in TEMPLATES for fault in pieces(path)] == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('def f(): _("a " + b)', "no plain text"),
        ('def f(): _(f"a {b}")', "no plain text"),
        ('def f(): _("a %s") % b', "without a name"),
        ('def f(): ngettext("%(n)s row", " rows", n)', "a piece"),
        ('A = _("a")', "when the module is loaded"),
        ('class A:\n    b = gettext("a")', "when the module is loaded"),
    ],
)
def test_a_fault_is_found(tmp_path, monkeypatch, source, fault):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source)

    assert [found for found in faults(path) if fault in found]


@pytest.mark.parametrize(
    "source",
    [
        'A = (("a", gettext_lazy("a")), (gettext_lazy("b"), gettext_lazy("b")))',
        'A = {gettext_lazy("a"): 1}',
    ],
)
def test_a_translated_value_is_found(tmp_path, monkeypatch, source):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source)

    assert len(list(translated_values(path))) == 1


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('<a>{{ count }} {% translate "waiting" %}</a>', True),
        ("<a aria-label=\"{% translate 'Page' %} {{ number }}\">", True),
        ('<b>{% translate "Now" %}</b> {{ moment }}', False),
    ],
)
def test_a_piece_in_a_template_is_found(tmp_path, monkeypatch, line, is_found):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "page.html"
    path.write_text(line)

    assert bool(list(pieces(path))) == is_found
