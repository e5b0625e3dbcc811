"""Blue and green change places on real nodes behind real haproxies: by command under load, and by browser."""

import re

import pytest

from bench.chaos_colour import NODES, Load, check_blue, pools, promote
from tests.console.browser import (
    DESKTOP,
    OWN_PASSWORD,
    PHONE,
    choose_password,
    chromium,
    log_in,
    new_operator,
    violations,
    watched,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.processes

FIRST = {"api1": "green up", "api2": "green up", "api3": "blue up", "api4": "blue up"}
SECOND = {"api1": "blue up", "api2": "blue up", "api3": "green up", "api4": "green up"}
LOG_INS_ARE_OLD = """
from importlib import import_module
from django.conf import settings
from django.contrib.sessions.models import Session
for row in Session.objects.all():
    session = import_module(settings.SESSION_ENGINE).SessionStore(row.session_key)
    session["proven_at"] = 0
    session.save()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two green and two blue nodes behind a haproxy for each pool."""
    with pools(tmp_path_factory.mktemp("colour"), settle_s=2) as running:
        yield running


def test_blue_and_green_change_places_under_load_and_no_request_fails(site):
    nodes, green, blue = site
    said = []

    with Load(nodes, green, rate=5) as load:
        promote(nodes, said.append)
        outcomes = load.take()

    assert nodes.states() == SECOND
    assert [outcome for outcome in outcomes if outcome.failed or outcome.wrong_colour] == []
    assert {outcome.served_by for outcome in outcomes} == {*NODES}
    check_blue(nodes, blue)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def logged_in(browser, site):
    """Cookies of an operator whose log-in is long ago."""
    nodes, green, _ = site
    context = browser.new_context()
    page = context.new_page()
    given = new_operator(nodes.product, "olga")
    log_in(page, green.url, "olga", given)
    choose_password(page, given)
    page.get_by_role("heading", name="Overview").wait_for()
    nodes.product.manage("shell", "-c", LOG_INS_ARE_OLD)
    yield context.storage_state()
    context.close()


@pytest.fixture
def visit(browser, site, logged_in):
    """Opens a page of the console in a window of its own; nothing may give it reason to complain."""
    opened = []

    def open_window(**options):
        context = browser.new_context(storage_state=logged_in, base_url=site[1].url, **options)
        page = context.new_page()
        opened.append((context, watched(page)))
        return page

    yield open_window
    for context, complaints in opened:
        context.close()
        assert not complaints


@pytest.mark.browser
class TestConsole:
    """Through the green pool's own balancer, so every node serves the page that exchanges them."""

    def test_it_promotes_across_a_stop_to_the_end(self, visit, site):
        nodes, *_ = site
        before = nodes.states()
        rest = [name for name, state in before.items() if state == "blue up"]
        page = visit(viewport=DESKTOP)

        page.goto("/admin/nodes/node/")
        page.get_by_role("link", name="Promote blue to green").click()
        assert page.locator(".facts .pill").all_inner_texts() == ["Holds"] * 9
        reads_well(page)
        page.get_by_label("to confirm").fill("promote")
        confirm(page, "Promote", password="not this one")
        page.get_by_text("This is not your password.").wait_for()
        confirm(page, "Promote")
        page.get_by_text("The promotion has begun.").wait_for()
        with nodes.frozen_api(rest[1]):
            page.get_by_text("1 of 6 steps done").first.wait_for()
            assert nodes.states() == before | {rest[0]: "green up"}
            reads_well(page)
            page.get_by_text(f"Not so: {rest[1]} answers its pool").wait_for()
        reads_well(page)
        page.get_by_role("link", name="Resume").click()
        confirm(page, "Resume")
        page.evaluate("window.isTheSamePage = true")
        page.get_by_text("Done: blue and green have changed places").wait_for(timeout=60_000)

        assert page.evaluate("window.isTheSamePage")
        assert page.locator(".promotion-steps .pill").all_inner_texts() == ["Done"] * 6
        assert page.locator(".pool-green tbody th").all_inner_texts() == rest
        assert nodes.states() == (FIRST if before == SECOND else SECOND)
        reads_well(page)

    def test_without_scripts_it_is_rolled_back_half_way_and_who_has_them_sees_it_go(self, visit, site):
        nodes, *_ = site
        before = nodes.states()
        page, watching = visit(java_script_enabled=False), visit(viewport=DESKTOP)

        start(page)
        watching.goto(page.url)
        assert page.get_by_text("Refreshed every").is_hidden()
        wait_until(lambda: nodes.states() != before)
        look_until(page, re.compile("[1-5] of 6 steps done"))
        page.get_by_role("link", name="Roll back").click()
        confirm(page, "Roll back")
        page.get_by_text("The promotion is being rolled back.").wait_for()
        watching.get_by_text("Rolled back: every node").wait_for()
        page.get_by_role("link", name="Show how it is now").click()
        page.get_by_text("Rolled back: every node").wait_for()

        assert nodes.states() == before
        assert page.get_by_role("link", name="Show how it is now").count() == 0
        assert watching.get_by_role("link", name="Roll back").count() == 0
        reads_well(watching)
        page.goto("/admin/nodes/node/")
        page.get_by_role("link", name="Show how it is now").click()
        page.get_by_role("link", name="Promote blue to green").wait_for()


def start(page):
    """Promote, from the page of all promotions."""
    page.goto("/admin/nodes/promotion/")
    page.get_by_role("link", name="Promote", exact=True).click()
    page.get_by_label("to confirm").fill("promote")
    confirm(page, "Promote")
    page.get_by_text("The promotion has begun.").wait_for()


def confirm(page, button, password=OWN_PASSWORD):
    """What every act asks for, and a password where the log-in is long ago."""
    page.get_by_label("Reason").fill("release 3")
    if page.get_by_label("Your password").count():
        page.get_by_label("Your password").fill(password)
    page.locator("main").get_by_role("button", name=button).click()


def look_until(page, words):
    """Ask for the page by its own link until it says so."""

    def looked():
        page.get_by_role("link", name="Show how it is now").click()
        return page.get_by_text(words).count()

    wait_until(looked)


def reads_well(page):
    """Nothing for axe-core to find in either theme, nor to scroll sideways for on a phone."""
    for scheme, size in (("light", DESKTOP), ("dark", PHONE)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # or axe meets colours half way
        page.set_viewport_size(size)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.set_viewport_size(DESKTOP)
