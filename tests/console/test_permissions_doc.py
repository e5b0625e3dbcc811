"""docs/operators/permissions.md says what the tests of roles prove.

Written anew with ``RECORD_PERMISSIONS=1 pytest tests/console/test_permissions_doc.py``.
"""

import os
import re

import pytest
from django.contrib import admin

from keepsite.approvals.models import ActRequest
from keepsite.console.navigation import GROUPS
from keepsite.console.roles import ROLES
from tests.console.test_roles import MAY_ACT, MAY_EXPORT, SEEN_BY
from tests.support.product import CHECKOUT

PAGE = CHECKOUT / "docs/operators/permissions.md"
RECORDING = bool(os.environ.get("RECORD_PERMISSIONS"))
MODELS = [model for _, models in GROUPS for model in models]


def pages():
    """A line for each list: who looks, and who also exports."""
    yield from heading("page")
    for model in MODELS:
        looks, exports = SEEN_BY.get(model, ROLES.keys()), MAY_EXPORT.get(model, set())
        words = [", ".join(["look"] * (role in looks) + ["export"] * (role in exports)) for role in ROLES]
        yield line(admin.site._registry[model].title_plural, *words)


def acts():
    """A line for each act: its name, and who may do it."""
    yield from heading("page", "act", "name", "destructive")
    for model in MODELS:
        shown = admin.site._registry[model]
        for act in getattr(shown, "acts", ()):
            name = f"`{model._meta.model_name}.{act.name}`" if act.can_wait else ""
            words = ["yes" if role in MAY_ACT[model.__name__, act.name] else "" for role in ROLES]
            if model is ActRequest:
                words = ["if the act is"] * len(ROLES)
            yield line(shown.title_plural, act.label, name, "yes" if act.is_destructive else "", *words)


def heading(*columns):
    yield line(*columns, *ROLES)
    yield "|" + "---|" * (len(columns) + len(ROLES))


def line(*cells):
    return f"| {' | '.join(map(str, cells))} |".replace("|  |", "| |").replace("|  |", "| |")


@pytest.mark.parametrize("table", [pages, acts])
def test_table_is_what_roles_may(table):
    name, text = table.__name__, PAGE.read_text()
    wanted = f"<!-- {name} -->\n\n" + "".join(f"{row}\n" for row in table()) + f"\n<!-- end of {name} -->"
    found = re.search(rf"<!-- {name} -->.*<!-- end of {name} -->", text, re.DOTALL).group()
    if RECORDING:
        PAGE.write_text(text.replace(found, wanted))
    else:
        assert found == wanted


def test_every_page_is_in_the_navigation_and_so_in_the_table():
    assert set(MODELS) == set(admin.site._registry)
