"""The console in a real Chromium, against the product's own processes, in both themes."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error

from tests.console.browser import (
    DESKTOP,
    LIST_ACTS,
    LISTS,
    OWN_PASSWORD,
    PHONE,
    choose_password,
    chromium,
    log_in,
    new_operator,
    violations,
    watched,
)
from tests.support.product import CHECKOUT
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.processes]

POSTED_TO = {"logout/", "password_change/", "second-factor/", "time-zone/"}  # what is not an act
PLANTED = "payload-planted-for-the-browser-7f3a"
FOCUSED = """() => {
    const focused = document.activeElement;
    return [focused.innerText.trim(), getComputedStyle(focused).outlineStyle];
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def stocked(product):
    """The product with a row of every kind and, on Chromium's side, nothing yet."""
    secret = call(product, "/v1/secrets", name="planted", payload=PLANTED, payload_content_type="text/plain")
    ref = secret["secret_ref"]
    places = [{"name": "volume", "secret_ref": ref}]
    box = call(product, "/v1/containers", type="generic", name="box", secret_refs=places)
    path = urlsplit(box["container_ref"]).path
    call(product, f"{path}/consumers", name="balancer", URL="https://balancer.example")
    path = urlsplit(ref).path
    call(product, f"{path}/consumers", service="compute", resource_type="instance", resource_id="4711")
    call(product, f"{path}/acl", method="PUT", read={"project-access": False, "users": ["u2"]})
    product.key, member = product.make_key(project="p1", user="root", roles=["admin"]), product.key
    call(product, "/v1/transport_keys", plugin_name="appliance", transport_key="PUBLIC KEY")
    call(product, "/v1/project-quotas/p1", method="PUT", project_quotas={"secrets": 100})
    product.key = member
    call(product, "/v1/orders", type="key", meta={"name": "k", "algorithm": "aes", "bit_length": 256})
    product.manage("pkek_rotate", "--project", "p1", "--yes")
    add_rows(product, "nodes", "notices")
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
    context = browser.new_context(
        color_scheme=scheme, viewport=DESKTOP, base_url=stocked.url, timezone_id="Asia/Kathmandu"
    )
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
    found = ["/admin/", "/admin/password_change/", "/admin/second-factor/", "/admin/time-zone/"]
    for path in LISTS.values():
        wait_until(lambda path=path: page.goto(f"{stocked.url}/admin/{path}/") and rows_of(page))
        first = page.locator("tbody th a").first.get_attribute("href")
        page.goto(first)
        acts = [act.get_attribute("href") for act in page.locator(".acts a").all()]
        found += [f"/admin/{path}/", first, *acts]
    page.close()
    found += [f"/admin/{act}/" for act in LIST_ACTS.values()]
    found += ["/admin/search/?q=planted", "/admin/search/?q=x", "/admin/secrets_app/secret/?acl=private"]
    return [*found, "/admin/secrets_app/secret/?q=nothing-like-this"]


def add_rows(product, *names):
    """Rows that the product would take nodes and time to come by."""
    subprocess.run(
        [sys.executable, "-m", "tests.console.plausible", *names],
        cwd=CHECKOUT,
        env=product.environment,
        check=True,
        capture_output=True,
    )


def call(product, path, method="POST", **body):
    """Send to the API as the product's own client."""
    request = urllib.request.Request(
        f"{product.url}{path}",
        data=json.dumps(body).encode(),
        headers={
            "X-Auth-Token": product.key,
            "Content-Type": "application/json",
            "OpenStack-API-Version": "key-manager 1.2",
        },
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


class TestEveryPage:
    def test_reads_well_fits_and_gives_no_reason_to_complain(self, page, addresses, scheme):
        """One visit each; axe looks at both widths in dark, where contrasts are harder."""
        looked_at = [PHONE, DESKTOP] if scheme == "dark" else [DESKTOP]
        faults = {}
        for address in addresses:
            page.set_viewport_size(DESKTOP)
            assert page.goto(address).status == 200, address
            assert PLANTED not in page.content(), address
            if "/acts/" not in address:
                assert posted_to(page) <= POSTED_TO, address
            for size in (PHONE, {"width": 640, "height": 400}, {"width": 320, "height": 640}):
                page.set_viewport_size(size)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (address, size)
            for size in looked_at:
                page.set_viewport_size(size)
                faults[address, size["width"]] = violations(page)

        assert {where: found for where, found in faults.items() if found} == {}


def posted_to(page):
    """Where the forms of a page lead, below /admin/."""
    targets = page.locator("form[method=post]").evaluate_all("forms => forms.map(form => form.action)")
    return {target.rsplit("/admin/", 1)[1] for target in targets}


class TestOverview:
    def test_is_refreshed_without_a_reload(self, page):
        page.goto("/admin/")
        page.get_by_text("Refreshed every").wait_for()
        page.evaluate("window.isTheSamePage = true")
        made_at = page.locator("[data-live-part=as-of] time").first.get_attribute("datetime")

        page.wait_for_function(
            "before => document.querySelector('[data-live-part=as-of] time').dateTime !== before", arg=made_at
        )

        assert page.evaluate("window.isTheSamePage")
        assert violations(page) == []

    def test_says_that_its_numbers_are_old_while_the_server_is_away(self, browser, context, stocked):
        """In a context of its own, since the browser complains of every request that fails."""
        lonely = browser.new_context(storage_state=context.storage_state(), base_url=stocked.url)
        page = lonely.new_page()
        page.goto("/admin/")
        page.get_by_text("Refreshed every").wait_for()

        lonely.set_offline(True)
        page.get_by_text("what is shown is old").wait_for()
        assert violations(page) == []
        lonely.set_offline(False)

        page.get_by_text("Refreshed every").wait_for()
        lonely.close()

    def test_a_part_in_which_somebody_selects_text_waits_for_them(self, page):
        page.goto("/admin/")
        page.evaluate(
            """() => {
                const heading = document.querySelector("#projects h2");
                heading.textContent = "As it was";
                getSelection().selectAllChildren(heading);
            }"""
        )

        asked = [page.wait_for_event("response", lambda answer: "/live/" in answer.url) for _ in range(2)]

        assert [answer.status for answer in asked] == [200, 200]
        assert page.locator("#projects h2").inner_text() == "As it was"


class TestZone:
    def test_dates_are_in_the_browsers_zone_refreshed_parts_too(self, page):
        page.goto("/admin/")
        page.locator("[data-live-told]").wait_for()  # refreshed once

        zones = {zone.inner_text() for zone in page.locator("main time .zone").all()}
        assert zones == {"UTC+0545"}  # Kathmandu's has no letters


class TestEditing:
    def test_no_address_edits(self, context, stocked):
        page = context.new_page()
        for path in LISTS.values():
            page.goto(f"/admin/{path}/")
            row = page.locator("tbody th a").first.get_attribute("href")
            for word in ("add", "change", "delete", "history"):
                for address in (f"/admin/{path}/{word}/", f"{row}{word}/"):
                    assert page.request.get(f"{stocked.url}{address}").status == 404, address
        assert page.goto(f"{row}delete/").status == 404
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
        actors = page.locator("a:visible, button:visible, input:visible, select:visible, summary:visible")
        reached = []

        for _ in range(actors.count()):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))

        assert {text.strip() for text in actors.all_inner_texts()} <= {text for text, _ in reached}
        assert [text for text, outline in reached if outline == "none"] == []

    def test_search_works_without_a_mouse(self, page):
        page.goto("/admin/secrets_app/secret/")

        page.get_by_label("Search", exact=True).focus()
        page.keyboard.type("planted")
        page.keyboard.press("Enter")

        page.wait_for_url("**q=planted**")
        assert page.locator("tbody tr").count() == 1


class TestNewKey:
    def make(self, page):
        page.goto("/admin/identity/apikey/acts/create/")
        page.get_by_label("What it is for").fill("browser")
        page.get_by_label("Project id").fill("p1")
        page.get_by_label("User id").fill("u9")
        page.get_by_label("Reason").fill("a test")
        page.get_by_role("button", name="Make an API key").click()
        page.get_by_role("heading", name="Your new API key").wait_for()
        return page.locator("[data-shown-once]").inner_text()

    def test_is_copied_by_its_button(self, context, page, stocked):
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=stocked.url)
        key = self.make(page)

        page.get_by_role("button", name="Copy the key").click()

        page.get_by_text("Copied.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == key
        assert violations(page) == []

    def test_is_copied_where_the_clipboard_is_out_of_reach(self, page):
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        self.make(page)

        page.get_by_role("button", name="Copy the key").click()

        page.get_by_text("Copied.").wait_for()

    def test_does_not_come_back(self, context):
        page = context.new_page()
        key = self.make(page)

        def shown():
            with contextlib.suppress(Error):  # it is on its way, or has nothing to show
                return page.content()

        page.goto("/admin/")
        with contextlib.suppress(Error):  # Chromium asks whether to send the form again
            page.go_back()

        assert key not in wait_until(shown)
        page.close()

    def test_is_selected_by_one_click_without_scripts(self, browser, stocked, context, operator):
        plain = browser.new_context(base_url=stocked.url, java_script_enabled=False)
        page = plain.new_page()
        log_in(page, stocked.url, operator[0], OWN_PASSWORD)

        key = self.make(page)

        assert key.startswith("ks_")
        assert page.locator("[data-shown-once]").evaluate("e => getComputedStyle(e).userSelect") == "all"
        assert page.get_by_role("button", name="Copy the key").count() == 0
        plain.close()


class TestActs:
    def test_ticked_secrets_are_deleted_and_restored_by_keyboard(self, page, stocked, scheme):
        for name in (f"one of {scheme}", f"two of {scheme}"):
            call(stocked, "/v1/secrets", name=name, payload="x", payload_content_type="text/plain")

        page.goto(f"/admin/secrets_app/secret/?q=of+{scheme}&state=live")
        page.get_by_label("Tick all of this page").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Delete").press("Enter")
        page.get_by_role("heading", name="Delete 2 secrets").wait_for()
        page.get_by_label("Reason").fill("a test")
        page.get_by_label("to confirm").fill("delete 2")
        page.keyboard.press("Enter")
        page.get_by_text("2 secrets are deleted").wait_for()

        page.goto(f"/admin/secrets_app/secret/?q=of+{scheme}&state=recoverable")
        for box in page.get_by_role("checkbox", name=f"of {scheme}").all():
            box.check()
        page.get_by_role("button", name="Restore").click()
        page.get_by_label("Reason").fill("a test")
        page.get_by_role("button", name="Restore").click()
        page.get_by_text("2 secrets are back").wait_for()

    def test_what_is_wrong_is_said_beside_its_field(self, page):
        page.goto("/admin/secrets_app/secret/?q=planted")
        page.locator("tbody th a").first.click()
        page.get_by_role("link", name="Delete").click()
        page.get_by_label("Reason").fill("a test")
        page.get_by_label("to confirm").fill("something else")
        page.get_by_role("button", name="Delete").click()

        page.get_by_text("This is not the same as “planted”.").wait_for()
        assert violations(page) == []

    def test_an_export_is_a_file(self, page):
        page.goto("/admin/secrets_app/secret/?q=planted")

        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()

        assert "planted" in download.value.path().read_text()

    def test_a_ref_in_the_search_box_leads_to_its_secret(self, page, stocked):
        ref = call(stocked, "/v1/secrets", name="found by ref")["secret_ref"]

        page.goto("/admin/")
        page.get_by_label("Search everything").fill(ref)
        page.keyboard.press("Enter")

        page.get_by_role("heading", name="found by ref").wait_for()


class TestAudit:
    def test_what_a_client_read_is_found_and_the_trail_is_verified(self, page, stocked):
        ref = call(stocked, "/v1/secrets", name="audited", payload="x", payload_content_type="text/plain")
        wait_until(lambda: page.goto(f"/admin/trail/auditrecord/?q={ref['secret_ref']}") and rows_of(page))
        page.get_by_role("link", name="secret.created").click()
        page.get_by_role("heading", name="Who did it").wait_for()
        stocked.manage("scheduled_jobs", "--run", "audit-seal")
        wait_until(lambda: page.reload() and page.get_by_text("not sealed yet").count() == 0)

        page.goto("/admin/trail/auditchain/")
        page.locator("tbody th a").first.click()
        page.get_by_role("link", name="Verify now").click()
        page.get_by_label("Reason").fill("a test")
        page.get_by_role("button", name="Verify now").click()

        page.get_by_text("Verified: nothing is missing, nothing was changed.").wait_for()
        assert violations(page) == []


def rows_of(page):
    return page.locator("tbody tr").count()


class TestRotation:
    def confirm(self, page, button, **fields):
        for label, value in {**fields, "Reason": "a test"}.items():
            page.get_by_label(label).fill(value)
        page.locator("main").get_by_role("button", name=button).click()

    def test_a_run_is_shown_started_watched_paused_and_resumed(self, browser, context, page, stocked):
        for number in range(8):
            call(
                stocked, "/v1/secrets", name=f"moves {number}", payload="x", payload_content_type="text/plain"
            )

        page.goto("/admin/keyring/projectkek/?state=active&project=p1")
        page.locator("tbody th a").first.click()
        page.get_by_role("link", name="Rotate now").click()
        self.confirm(page, "Rotate now")
        page.get_by_text("New payloads are sealed under the new").wait_for()

        page.goto("/admin/keyring/kekrun/acts/reencrypt/?project=p1")
        self.confirm(page, "Show what it touches", **{"Rows per second at most": "2"})
        page.get_by_text("sealed rows").wait_for()
        assert violations(page) == []
        page.locator("main").get_by_role("button", name="Re-encrypt payloads").click()
        bar = page.locator("progress")
        wait_until(lambda: bar.evaluate("bar => bar.value") > 0)
        assert violations(page) == []
        page.get_by_role("link", name="Pause").click()
        self.confirm(page, "Pause")
        page.get_by_text("It is paused").wait_for()
        self.tells_that_its_server_is_away(browser, context, page.url)
        self.is_looked_at_without_scripts(browser, context, page.url)

        page.get_by_role("link", name="Set pace").click()
        self.confirm(page, "Set pace", **{"Rows per second at most": ""})
        page.get_by_role("link", name="Resume").click()
        self.confirm(page, "Resume")
        page.evaluate("window.isTheSamePage = true")
        page.get_by_text("nothing is sealed under former").wait_for()

        done, total = bar.evaluate("bar => [bar.value, bar.max]")
        assert done == total >= 8
        assert page.evaluate("window.isTheSamePage")
        assert page.get_by_role("link", name="Pause").count() == 0
        assert violations(page) == []

    def is_looked_at_without_scripts(self, browser, context, url):
        plain = browser.new_context(storage_state=context.storage_state(), java_script_enabled=False)
        page = plain.new_page()
        page.goto(url)
        page.get_by_role("link", name="Show how it is now").click()
        page.get_by_text("It is paused").wait_for()
        page.get_by_role("link", name="Resume").click()
        page.get_by_role("heading", name="Resume").wait_for()
        plain.close()

    def tells_that_its_server_is_away(self, browser, context, url):
        """In a context of its own, since the browser complains of every request that fails."""
        lonely = browser.new_context(storage_state=context.storage_state())
        page = lonely.new_page()
        page.goto(url)
        page.get_by_text("Refreshed every").wait_for()

        lonely.set_offline(True)
        page.get_by_text("what is shown is old").wait_for()
        lonely.set_offline(False)

        page.get_by_text("Refreshed every").wait_for()
        lonely.close()


class TestNodes:
    def test_a_promotion_that_is_rolled_back_is_followed_without_reload(self, page, stocked, scheme):
        """The command rolls it back while two pages are open on it; no node is there to take a step."""
        if scheme == "light":
            page.goto("/admin/nodes/promotion/?state=stopped")
            page.locator("tbody th a").first.click()
            page.get_by_role("link", name="Roll back").focus()
            page.evaluate("window.isTheSamePage = true")
            page.get_by_text("Refreshed every").wait_for()
            assert page.evaluate("document.activeElement.innerText") == "Roll back"
            stocked.manage("promote", "rollback", "--reason", "a test", "--no-wait")

            page.get_by_text("Rolling back").first.wait_for()
            assert page.get_by_role("link", name="Roll back").count() == 0
            assert page.evaluate("window.isTheSamePage")

        page.goto("/admin/nodes/node/")
        page.get_by_text("Refreshed every").wait_for()
        assert page.get_by_role("heading", name="Open promotion").is_visible()
        assert {"Blue", "Green"} <= {*page.locator(".pool h2").all_inner_texts()}
        assert violations(page) == []


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
        plain = browser.new_context(
            base_url=stocked.url, java_script_enabled=False, timezone_id="Asia/Kathmandu"
        )
        page = plain.new_page()
        log_in(page, stocked.url, operator[0], OWN_PASSWORD)

        page.goto("/admin/secrets_app/secret/?q=planted")
        assert page.locator("main time .zone").first.inner_text() == "UTC"
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
