"""The page at /docs/ in a real Chromium: both themes, desktop and phone, under the strict policy."""

import re
from collections import Counter

import pytest

from tests.console.browser import DESKTOP, PHONE, chromium, watched
from tests.console.test_browser import violations

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", PHONE), ("dark", DESKTOP)], ids=["light-phone", "dark-desktop"]
)
class TestPage:
    def test_reads_well_and_gives_no_reason_to_complain(self, browser, product, scheme, size):
        context = browser.new_context(color_scheme=scheme, viewport=size)
        page = context.new_page()
        complaints = watched(page)

        answer = page.goto(f"{product.url}/docs/")

        assert answer.status == 200
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert violations(page) == []
        assert complaints == []
        context.close()


class TestWithoutScripts:
    def test_every_link_leads_to_something_on_the_page(self, browser, product):
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{product.url}/docs/")

        written = page.content()
        context.close()

        places = set(re.findall(r'href="#([^"]+)"', written))
        named = Counter(re.findall(r'\bid="([^"]+)"', written))
        assert len(places) > 40
        assert [place for place in places if named[place] != 1] == []
