"""Rules about ourselves: what exists is documented, and what is documented exists."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import URLPattern, get_resolver

from keepsite.env import REQUIRED, SCHEMA

DOCS = Path(__file__).resolve().parents[2] / "docs"
OURS = ("hsm", "keepsite", "orders_app", "secrets_app")


def text_of(*pages):
    """The pages' text; fails with the name of the page that is not there."""
    for page in pages:
        assert (DOCS / page).exists(), f"docs/{page} is not written yet"
    return "\n".join((DOCS / page).read_text() for page in pages)


def shown(default):
    """A default as the page writes it."""
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, list):
        default = ",".join(default)
    return (
        f"`{default}`" if isinstance(default, str) and default else str(default) if default != "" else "none"
    )


def routes():
    """Method and path of everything the API does."""
    for pattern in _leaves(get_resolver().url_patterns, ""):
        path, view = pattern
        if path.startswith("v1/"):
            for method in getattr(view, "actions", {"get": ""}):
                yield method.upper(), "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", path)


def _leaves(patterns, prefix):
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        else:
            yield from _leaves(pattern.url_patterns, route)


class TestSettings:
    @pytest.mark.parametrize("name", [*SCHEMA, *REQUIRED])
    def test_each_is_described(self, name):
        assert f"| `{name}` |" in text_of("operators/settings.md"), (
            f"{name} is not in docs/operators/settings.md"
        )

    @pytest.mark.parametrize("name", SCHEMA)
    def test_each_default_is_the_real_one(self, name):
        row = re.search(rf"\| `{name}` \| (.*?) \|", text_of("operators/settings.md"))

        assert row, f"{name} is not in docs/operators/settings.md"
        assert row[1].strip("`") == shown(SCHEMA[name][1]).strip("`")

    def test_none_is_described_that_nothing_reads(self):
        named = {*re.findall(r"`(KEEPSITE_\w+)`", text_of("operators/settings.md"))}

        known = {*SCHEMA, *REQUIRED}
        assert {name for name in named if {name, name.removesuffix("_FILE")}.isdisjoint(known)} == set()


class TestCommands:
    @pytest.mark.parametrize("name", sorted(n for n, app in get_commands().items() if app.startswith(OURS)))
    def test_each_is_described(self, name):
        page = text_of("operators/commands.md")

        assert re.search(rf"`{name}\b", page), f"{name} is not in docs/operators/commands.md"

    def test_none_is_described_that_does_not_exist(self):
        rows = re.findall(r"^\| `(\w+)", text_of("operators/commands.md"), re.MULTILINE)

        assert {*rows} - {"command"} <= {*get_commands()}


class TestRoutes:
    @pytest.mark.parametrize(("method", "path"), sorted(routes()))
    def test_each_is_described(self, method, path):
        pages = [page.relative_to(DOCS) for page in (DOCS / "api").glob("*.md")]
        lines = text_of("api/README.md", *pages).splitlines()

        about = [line for line in lines if re.search(rf"{re.escape(path)}(?![\w/{{])", line)]
        assert any(re.search(rf"\b{method}\b", line) for line in about), (
            f"{method} {path} is not in docs/api/"
        )

    def test_some_were_found(self):
        assert len([*routes()]) >= 12
