"""A real Chromium, and what it has to say about the pages it shows."""

import contextlib
import json
from importlib.resources import files

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
AXE_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OWN_PASSWORD = "a password of my own, 42"
LISTS = {
    "projects": "projects/project",
    "quotas": "projects/projectquota",
    "secrets": "secrets_app/secret",
    "containers": "secrets_app/container",
    "places": "secrets_app/containersecret",
    "secret-consumers": "secrets_app/secretconsumer",
    "container-consumers": "secrets_app/containerconsumer",
    "acls": "secrets_app/acl",
    "transport-keys": "secrets_app/transportkey",
    "orders": "orders_app/order",
    "dead-letters": "orders_app/deadletter",
    "mkeks": "keyring/mkek",
    "pkeks": "keyring/projectkek",
    "runs": "keyring/kekrun",
    "hsm-members": "fleet/hsmmember",
    "api-keys": "identity/apikey",
    "operators": "auth/user",
    "audit-records": "trail/auditrecord",
    "audit-chains": "trail/auditchain",
    "nodes": "nodes/node",
    "promotions": "nodes/promotion",
    "notices": "notices/notice",
    "messages": "notices/message",
}
FILLED_LISTS = {
    "approvals": "approvals/actrequest",
    "lock-outs": "operators/lockout",
}  # empty in a new product
LIST_ACTS = {
    "mkek-generate": "keyring/mkek/acts/generate",
    "run-rotate": "keyring/kekrun/acts/rotate",
    "run-reencrypt": "keyring/kekrun/acts/reencrypt",
    "promote": "nodes/promotion/acts/start",
    "api-key-create": "identity/apikey/acts/create",
    "secrets-purge-overdue": "secrets_app/secret/acts/purge-overdue",
}


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def new_operator(product, username, *options):
    """The one-time password of a new operator."""
    return json.loads(product.manage("operator", "create", "--username", username, *options))["password"]


def watched(page):
    """What the browser complains about from now on: CSP violations, errors, failed requests."""
    complaints = []
    page.on(
        "console", lambda message: message.type in {"error", "warning"} and complaints.append(message.text)
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: failed(complaints, request))
    return complaints


def failed(complaints, request):
    """A request that came to nothing, unless the test itself went elsewhere before its end."""
    if request.failure != "net::ERR_ABORTED":
        complaints.append(f"{request.url}: {request.failure}")


def log_in(page, url, username, password):
    page.goto(f"{url}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def choose_password(page, old, new=OWN_PASSWORD):
    page.get_by_label("One-time password").fill(old)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password again").fill(new)
    page.locator("main").get_by_role("button", name="Change password").click()


def do(page, act, told, *, with_axe=False, **answers):
    """Choose ``act`` on the page of its object, answer all that its page asks, and wait for what came of it.

    ``answers`` are for fields of its own, by name; what every act may ask is answered here.
    """
    page.locator(".acts").get_by_role("link", name=act, exact=True).click()
    form = page.locator(".act-form")
    form.wait_for()
    assert not with_axe or violations(page) == [], act
    answers = {"reason": "a test", "password": OWN_PASSWORD, "typed": asked_phrase(form), **answers}
    for name, value in answers.items():
        field = form.locator(f"[name={name}]")
        if field.count() and field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        elif field.count():
            field.fill(value)
    form.locator("button[type=submit]").click()
    page.get_by_text(told).first.wait_for()


def asked_phrase(form):
    """What a destructive act wants typed."""
    label = form.locator("label", has_text="to confirm")
    return label.inner_text().split("“")[1].split("”")[0] if label.count() else ""


def violations(page):
    """What axe-core finds on the page."""
    page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", AXE_OPTIONS)["violations"]
    return [(fault["id"], [node["html"] for node in fault["nodes"]][:3]) for fault in found]
