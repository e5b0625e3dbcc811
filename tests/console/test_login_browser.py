"""Proofs of who one is, and two persons for one act, in a real Chromium and both themes."""

import base64
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.console.browser import (
    OWN_PASSWORD,
    PHONE,
    choose_password,
    chromium,
    log_in,
    new_operator,
    violations,
    watched,
)
from tests.support.product import Product

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def ruled(tmp_path_factory, new_database_url):
    """The API alone, with a rule that two persons are needed to suspend a project."""
    product = Product(
        tmp_path_factory.mktemp("product") / "state",
        database_url=new_database_url(),
        KEEPSITE_TWO_PERSON_ACTS="project.suspend",
    ).setup()
    try:
        yield product.start("api")
    finally:
        product.stop()


@pytest.fixture
def person(browser, ruled, scheme):
    """Logs a new operator in, in a browser of their own; nothing may give it reason to complain."""
    opened = []

    def enter(name):
        context = browser.new_context(color_scheme=scheme, base_url=ruled.url)
        page = context.new_page()
        opened.append((context, watched(page)))
        given = new_operator(ruled, f"{name}-{scheme}")
        log_in(page, ruled.url, f"{name}-{scheme}", given)
        choose_password(page, given)
        page.get_by_role("heading", name="Overview").wait_for()
        return page

    yield enter
    for context, complaints in opened:
        context.close()
        assert not complaints


def code_of(letters, steps=0):
    secret = base64.b32decode(letters.replace(" ", ""))
    return TOTP(secret, 6, SHA1(), 30).generate(int(time.time()) + 30 * steps).decode()


def is_well_made(page):
    """Nothing that axe finds, nothing that a phone must scroll sideways for."""
    before = page.viewport_size
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size(before)
    return True


def press_tab_until(page, link):
    """Move the focus there as somebody without a mouse does."""
    for _ in range(8):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            assert link.evaluate("link => getComputedStyle(link).outlineStyle") != "none"
            return
    raise AssertionError(page.evaluate("document.activeElement.outerHTML"))


def test_second_factor_is_set_up_and_asked_for(person, scheme, ruled):
    page = person("erin")
    page.get_by_role("link", name="Second factor").click()
    page.get_by_role("img", name="QR code").wait_for()
    assert is_well_made(page)
    letters = page.locator("code.shown-once").inner_text()
    page.get_by_label("Code that the app shows now").fill(code_of(letters))
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    assert is_well_made(page)
    recovery = page.locator("[data-shown-once]").inner_text().split()
    page.get_by_role("link", name="I have them").click()
    page.get_by_role("button", name="Log out").click()

    log_in(page, ruled.url, f"erin-{scheme}", OWN_PASSWORD)
    page.get_by_role("heading", name="Your code").wait_for()
    assert is_well_made(page)
    page.get_by_label("Code").fill("000000")
    page.keyboard.press("Enter")
    page.get_by_text("This code is wrong").wait_for()
    assert is_well_made(page)
    page.get_by_label("Code").fill(code_of(letters, steps=1))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview").wait_for()

    page.get_by_role("link", name="Second factor").click()
    page.get_by_text("Recovery codes left").wait_for()
    assert is_well_made(page)
    page.get_by_label("Your password").fill(OWN_PASSWORD)
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Remove the second factor").click()
    page.get_by_text("Your second factor is removed").wait_for()


def test_lock_out_is_told_and_released_by_another(person, scheme, ruled, browser):
    page = person("lena")
    context = browser.new_context(color_scheme=scheme, base_url=ruled.url)
    stranger = context.new_page()
    for _ in range(6):
        log_in(stranger, ruled.url, f"guessed-{scheme}", "wrong")
    stranger.get_by_text("Too many wrong passwords or codes").wait_for()
    assert is_well_made(stranger)
    context.close()

    page.goto("/admin/operators/lockout/?state=locked&kind=account")
    assert is_well_made(page)
    for box in page.locator("tbody input").all():
        box.check()
    page.get_by_role("button", name="Release").click()
    page.get_by_label("Reason").fill("a test")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("released").wait_for()


def test_one_asks_and_another_approves(person, scheme, ruled):
    project = f"two-persons-{scheme}"
    ruled.make_key(project=project, user="u", roles=["member"])
    anna, bert = person("anna"), person("bert")
    anna.goto(f"/admin/projects/project/?q={project}")
    anna.locator("tbody th a").first.click()
    anna.get_by_role("link", name="Suspend").click()
    anna.get_by_text("Two persons are needed").wait_for()
    assert is_well_made(anna)
    anna.get_by_label("Reason").fill("a test")
    anna.get_by_label("to confirm").fill(project)
    anna.get_by_role("button", name="Ask for approval").click()
    anna.get_by_text("It is done when another operator approves it").wait_for()
    assert anna.get_by_role("link", name="Approve", exact=True).count() == 0

    bert.set_viewport_size(PHONE)
    bert.goto("/admin/")
    waiting = bert.get_by_role("link", name="1 waiting for approval")
    assert waiting.is_visible()
    press_tab_until(bert, waiting)
    bert.keyboard.press("Enter")
    bert.wait_for_url("**/actrequest/?state=waiting")
    assert is_well_made(bert)
    bert.get_by_role("link", name=project).click()
    assert is_well_made(bert)
    bert.get_by_role("link", name="Approve", exact=True).click()
    assert is_well_made(bert)
    bert.get_by_label("Reason").fill("agreed")
    bert.get_by_label("to confirm").fill("approve")
    bert.get_by_role("button", name="Approve").click()
    bert.get_by_text(f"The project {project} is suspended.").first.wait_for()

    anna.reload()
    anna.get_by_text("Done").first.wait_for()
    assert anna.get_by_text("waiting for approval").count() == 0
