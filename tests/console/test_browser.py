"""The console in a real Chromium, against the product's own processes, in both themes."""

import json
import urllib.request
from importlib.resources import files

import pytest

from tests.console.browser import (
    DESKTOP,
    LISTS,
    OWN_PASSWORD,
    PHONE,
    choose_password,
    chromium,
    log_in,
    new_operator,
    watched,
)
from tests.support.product import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PLANTED = "payload-planted-for-the-browser-7f3a"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
FOCUSED = """() => {
    const focused = document.activeElement;
    return [focused.innerText.trim(), getComputedStyle(focused).outlineStyle];
}"""
AXE_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def stocked(product):
    """The product with a secret, an order and, on Chromium's side, nothing yet."""
    call(product, "/v1/secrets", name="planted", payload=PLANTED, payload_content_type="text/plain")
    call(product, "/v1/orders", type="key", meta={"name": "k", "algorithm": "aes", "bit_length": 256})
    return product


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def operator(stocked, scheme):
    return f"operator-{scheme}", new_operator(stocked, f"operator-{scheme}")


@pytest.fixture(scope="module")
def context(browser, stocked, scheme, operator):
    """Logged in by way of the one-time password, which is replaced on the way."""
    context = browser.new_context(color_scheme=scheme, viewport=DESKTOP, base_url=stocked.url)
    page = context.new_page()
    complaints = watched(page)
    log_in(page, stocked.url, *operator)
    assert page.url.endswith("/admin/password_change/")
    page.goto(f"{stocked.url}/admin/secrets_app/secret/")
    assert page.url.endswith("/admin/password_change/")
    choose_password(page, operator[1])
    page.get_by_role("heading", name="Overview").wait_for()
    assert not complaints
    yield context
    context.close()


@pytest.fixture
def page(context):
    """A page that must not have given its browser reason to complain."""
    page = context.new_page()
    complaints = watched(page)
    yield page
    page.close()
    assert not complaints


@pytest.fixture(scope="module")
def addresses(context, stocked):
    """Every page there is: overview, lists, and the page of each list's first row."""
    page = context.new_page()
    found = ["/admin/", "/admin/password_change/"]
    for path in LISTS.values():
        page.goto(f"{stocked.url}/admin/{path}/")
        first = page.locator("tbody th a").first.get_attribute("href")
        found += [f"/admin/{path}/", first]
    page.close()
    return [*found, "/admin/secrets_app/secret/?q=nothing-like-this"]


def call(product, path, **body):
    """Post to the API as the product's own client."""
    request = urllib.request.Request(
        f"{product.url}{path}",
        data=json.dumps(body).encode(),
        headers={"X-Auth-Token": product.key, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def violations(page):
    """What axe-core finds on the page."""
    page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)["violations"]
    return [(fault["id"], [node["html"] for node in fault["nodes"]][:3]) for fault in found]


class TestEveryPage:
    def test_shows_no_payload_and_gives_no_reason_to_complain(self, page, addresses):
        for address in addresses:
            assert page.goto(address).status == 200, address
            assert PLANTED not in page.content(), address

    @pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_has_no_fault_that_axe_finds(self, page, addresses, size):
        page.set_viewport_size(size)
        found = {}
        for address in addresses:
            page.goto(address)
            found[address] = violations(page)

        assert not any(found.values()), found

    def test_fits_a_phone_and_twofold_zoom(self, page, addresses):
        for size in (PHONE, {"width": 640, "height": 400}, {"width": 320, "height": 640}):
            page.set_viewport_size(size)
            for address in addresses:
                page.goto(address)
                width = page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], (address, size)

    def test_offers_nothing_to_send_but_log_out_and_password(self, page, addresses):
        for address in addresses:
            page.goto(address)
            targets = page.locator("form[method=post]").evaluate_all(
                "forms => forms.map(form => form.action)"
            )
            assert {target.rsplit("/admin/", 1)[1] for target in targets} <= {"logout/", "password_change/"}


class TestEditing:
    @pytest.mark.parametrize("word", ["add", "change", "delete", "history"])
    def test_no_address_edits(self, context, stocked, word):
        page = context.new_page()
        for path in LISTS.values():
            page.goto(f"/admin/{path}/")
            row = page.locator("tbody th a").first.get_attribute("href")
            for address in (f"/admin/{path}/{word}/", f"{row}{word}/"):
                assert page.goto(address).status == 404
                page.get_by_role("heading", name="There is no such page").wait_for()
        page.close()


class TestKeyboard:
    def test_skip_link_comes_first(self, page):
        page.goto("/admin/")

        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        assert page.evaluate("document.activeElement.id") == "content-start"

    def test_everything_that_acts_is_reached_and_shows_it(self, page):
        page.goto("/admin/secrets_app/secret/")
        actors = page.locator("a:visible, button:visible, input:visible, select:visible")
        reached = []

        for _ in range(actors.count()):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))

        assert {text.strip() for text in actors.all_inner_texts()} <= {text for text, _ in reached}
        assert [text for text, outline in reached if outline == "none"] == []

    def test_search_works_without_a_mouse(self, page):
        page.goto("/admin/secrets_app/secret/")

        page.get_by_label("Search").focus()
        page.keyboard.type("planted")
        page.keyboard.press("Enter")

        page.wait_for_url("**q=planted**")
        assert page.locator("tbody tr").count() == 1


class TestTheme:
    def test_toggle_changes_it_and_it_stays(self, context, page, scheme):
        page.goto("/admin/")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")

        page.get_by_role("button", name="Theme").click()
        after = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.reload()

        assert before != after
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
        page.evaluate("localStorage.clear()")

    def test_follows_the_system_until_then(self, page, scheme):
        page.goto("/admin/")

        red = int(page.evaluate("getComputedStyle(document.body).backgroundColor")[4:].split(",")[0])

        assert (red > 128) == (scheme == "light")


class TestWithoutScripts:
    def test_pages_work(self, browser, stocked, context, operator):
        plain = browser.new_context(base_url=stocked.url, java_script_enabled=False)
        page = plain.new_page()
        log_in(page, stocked.url, operator[0], OWN_PASSWORD)

        page.goto("/admin/secrets_app/secret/?q=planted")
        page.locator("tbody th a").click()
        page.get_by_role("button", name="Log out").click()

        page.get_by_role("heading", name="You are logged out").wait_for()
        plain.close()


class TestLogIn:
    def test_refusal_is_told_and_reads_well(self, browser, stocked, scheme):
        context = browser.new_context(color_scheme=scheme, base_url=stocked.url)
        page = context.new_page()
        complaints = watched(page)

        log_in(page, stocked.url, "nobody", "nothing")

        page.get_by_role("alert").wait_for()
        assert violations(page) == []
        assert not complaints
        context.close()


class TestOrders:
    def test_a_fulfilled_order_leads_to_its_secret(self, page):
        def fulfilled():
            page.goto("/admin/orders_app/order/?state=fulfilled")
            return page.locator("tbody th a").count()

        wait_until(fulfilled)
        page.locator("tbody th a").first.click()
        page.get_by_role("link", name="k", exact=True).click()

        page.get_by_role("heading", name="k Live").wait_for()
