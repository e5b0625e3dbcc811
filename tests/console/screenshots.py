"""Pictures of every page, light and dark, on a desktop, a phone and zoomed, in ``.screens``."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.console.browser import (
    DESKTOP,
    FILLED_LISTS,
    LIST_ACTS,
    LISTS,
    OWN_PASSWORD,
    PHONE,
    choose_password,
    chromium,
    log_in,
    new_operator,
)
from tests.support.product import CHECKOUT, Product

SCREENS = CHECKOUT / ".screens"
ZOOMED = {"width": 640, "height": 400}  # what is left of a desktop at 200 %
LOOKS = [
    *(
        (scheme, name, size)
        for scheme in ("light", "dark")
        for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    ),
    ("light", "zoomed", ZOOMED),
]


def main():
    (SCREENS / "docs").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keepsite-screens-") as folder, chromium() as browser:
        product = Product(Path(folder) / "state").setup()
        password = new_operator(product, "operator")
        try:
            product.start("api")
            fresh_pages(browser, product, password)
            subprocess.run(
                [sys.executable, "-m", "tests.console.plausible"],
                cwd=CHECKOUT,
                env=product.environment,
                check=True,
            )
            for scheme, device, size in LOOKS:
                nodes_report_again(product)
                camera = Camera(browser, product.url, scheme, device, size)
                camera.full_pages()
                camera.close()
        finally:
            product.stop()


class Camera:
    """One look at the console: a colour scheme on a device."""

    def __init__(self, browser, url, scheme, device, size):
        self.url = url
        self.look = f"{device}-{scheme}"
        self.context = browser.new_context(
            color_scheme=scheme, viewport=size, base_url=url, timezone_id="Europe/Berlin"
        )
        self.page = self.context.new_page()

    def close(self):
        self.context.close()

    def take(self, name, path=None):
        if path:
            self.page.goto(f"{self.url}{path}")
        self.page.screenshot(path=SCREENS / f"{name}-{self.look}.png", full_page=True)

    def for_docs(self, name):
        """What fits the window, for docs/images, where a few of these are kept."""
        self.page.screenshot(path=SCREENS / "docs" / f"{name}-{self.look}.png")

    def full_pages(self):
        self.take("login", "/admin/")
        log_in(self.page, self.url, "operator", "not this one")
        self.take("login-refused")
        log_in(self.page, self.url, "operator", OWN_PASSWORD)
        self.take("overview")
        self.for_docs("console-overview")
        self.page.goto(f"{self.url}/admin/fleet/hsmmember/rack2/")  # while its nodes have just reported
        self.page.get_by_role("link", name="Release from quarantine", exact=True).click()
        self.take("hsm-member-release")
        for name, path in (LISTS | FILLED_LISTS).items():
            self.take(name, f"/admin/{path}/")
            self.for_docs(f"console-{name}")
            self.page.locator("tbody tr").first.get_by_role("link").first.click()
            self.take(f"{name}-detail")
        for name, path in LIST_ACTS.items():
            self.take(name, f"/admin/{path}/")
        self.act_pages()
        self.rotation_pages()
        self.steering_pages()
        self.take("search", "/admin/search/?q=payments")
        self.take("containers-broken", "/admin/secrets_app/container/?state=broken")
        self.page.locator("tbody tr").first.get_by_role("link").first.click()
        self.take("containers-broken-detail")
        self.take("secrets-recoverable", "/admin/secrets_app/secret/?state=recoverable&acl=none")
        self.take("secrets-with-nothing-found", "/admin/secrets_app/secret/?q=nothing+like+this")
        self.take("secrets-expired", "/admin/secrets_app/secret/?state=expired")
        self.take("orders-failed", "/admin/orders_app/order/?state=failed")
        self.page.locator("tbody tr").first.get_by_role("link").first.click()
        self.take("orders-failed-detail")
        self.take("password", "/admin/password_change/")
        self.take("second-factor-set-up", "/admin/second-factor/")
        self.take("time-zone", "/admin/time-zone/")
        self.page.goto(f"{self.url}/admin/approvals/actrequest/?state=waiting")
        self.page.locator("tbody tr").first.get_by_role("link").first.click()
        self.page.get_by_role("link", name="Approve", exact=True).click()
        self.take("approve")
        self.take("404", "/admin/nothing/")
        self.take("api-reference", "/docs/")
        self.page.goto(f"{self.url}/admin/")
        menu = self.page.get_by_text("Menu", exact=True)
        if menu.is_visible():
            menu.click()
            self.take("menu")
        self.page.get_by_role("button", name="Log out").click()
        self.take("logged-out")

    def rotation_pages(self):
        """Runs in each state, what starts one, and the keys they are about."""
        for state in ("queued", "running", "stalled", "paused", "done", "failed", "cancelled"):
            self.page.goto(f"{self.url}/admin/keyring/kekrun/?state={state}")
            self.page.locator("tbody tr").first.get_by_role("link").first.click()
            self.take(f"run-{state}")
        self.page.goto(f"{self.url}/admin/keyring/kekrun/acts/rotate/")
        self.page.get_by_label("Rows per second at most").fill("2")
        self.page.get_by_label("Reason").fill("screenshots")
        self.page.locator(".act-form button").click()
        self.take("run-rotate-previewed")
        for name, row, act in (
            ("mkek-activate", "mkek/?state=pending", "Activate"),
            ("mkek-rewrap", "mkek/?state=previous", "Rewrap its pKEKs"),
            ("mkek-retire", "mkek/?state=previous", "Retire"),
            ("pkek-rotate-now", "projectkek/?state=due", "Rotate now"),
            ("run-pace", "kekrun/?state=running&kind=pkek_rotate", "Set pace"),
        ):
            self.page.goto(f"{self.url}/admin/keyring/{row}")
            self.page.locator("tbody tr").first.get_by_role("link").first.click()
            self.take(f"before-{name}")
            self.page.get_by_role("link", name=act, exact=True).click()
            self.take(name)

    def steering_pages(self):
        """Promotions that have ended, the way out of the open one, and what is done to a node."""
        for state in ("done", "rolled_back"):
            self.page.goto(f"{self.url}/admin/nodes/promotion/?state={state}")
            self.page.locator("tbody tr").first.get_by_role("link").first.click()
            self.take(f"promotion-{state.replace('_', '-')}")
        for name, act in (("promotion-resume", "Resume"), ("promotion-rollback", "Roll back")):
            self.page.goto(f"{self.url}/admin/nodes/node/")
            self.page.get_by_role("link", name=act, exact=True).click()
            self.take(name)
        for name, node, act in (
            ("node-colour", "api1", "Set colour"),
            ("node-drain", "api3", "Drain"),
            ("node-offline", "api1", "Take offline"),
            ("node-forget", "old-host", "Forget"),
        ):
            self.page.goto(f"{self.url}/admin/nodes/node/{node}/")
            self.page.get_by_role("link", name=act, exact=True).click()
            self.take(name)
        self.take("nodes-lost", "/admin/nodes/node/?state=lost")

    def act_pages(self):
        """The pages that ask before something is done, and the one that shows a key."""
        for name, row, act in (
            ("project-quota", "projects/project/?state=keyed", "Set quota"),
            ("project-suspend", "projects/project/?state=keyed", "Suspend"),
            ("secret-expire", "secrets_app/secret/?state=live", "Expire"),
            ("secret-delete", "secrets_app/secret/?state=live", "Delete"),
            ("secret-purge", "secrets_app/secret/?state=recoverable", "Purge"),
            ("api-key-revoke", "identity/apikey/?state=valid", "Revoke"),
            ("container-delete", "secrets_app/container/?state=live", "Delete"),
            ("order-retry", "orders_app/order/?state=failed", "Retry"),
            ("order-cancel", "orders_app/order/?state=waiting", "Cancel"),
            ("order-delete", "orders_app/order/?state=waiting", "Delete"),
            ("dead-letter-discard", "orders_app/deadletter/?state=kept", "Discard"),
            ("notice-acknowledge", "notices/notice/?state=open", "Acknowledge"),
        ):
            self.page.goto(f"{self.url}/admin/{row}")
            self.page.locator("tbody tr").first.get_by_role("link").first.click()
            self.page.get_by_role("link", name=act, exact=True).click()
            self.take(name)
        self.page.goto(f"{self.url}/admin/projects/project/?state=suspended")
        self.page.locator("tbody tr").first.get_by_role("link").first.click()
        self.take("project-suspended")
        self.page.goto(f"{self.url}/admin/secrets_app/secret/?state=recoverable")
        for box in self.page.locator("tbody input").all()[:3]:
            box.check()
        self.page.get_by_role("button", name="Restore").click()
        self.take("secrets-restore")
        self.page.goto(f"{self.url}/admin/identity/apikey/acts/create/")
        for label in ("What it is for", "Project id", "User id", "Reason"):
            self.page.get_by_label(label).fill("screenshots")
        self.page.get_by_label("Roles").fill(",")
        self.page.locator(".act-form button").click()
        self.take("api-key-create-refused")
        self.page.get_by_label("Roles").fill("reader")
        self.page.locator(".act-form button").click()
        self.take("api-key-made")


def nodes_report_again(product):
    """Or the overview would say, rightly, that they have stopped to."""
    program = [sys.executable, "-m", "tests.console.plausible_fleet"]
    subprocess.run(program, cwd=CHECKOUT, env=product.environment, check=True)


def fresh_pages(browser, product, password):
    """A new installation: the forced change of password, and the empty pages."""
    first = True
    for scheme, device, size in LOOKS:
        camera = Camera(browser, product.url, scheme, device, size)
        log_in(camera.page, product.url, "operator", password if first else OWN_PASSWORD)
        if first:
            camera.take("one-time-password")
            choose_password(camera.page, password)
            first = False
        camera.take("fresh-overview", "/admin/")
        camera.take("fresh-secrets", "/admin/secrets_app/secret/")
        camera.close()


if __name__ == "__main__":
    main()
