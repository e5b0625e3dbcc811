"""A real Keystone, in an environment of its own: its dependencies are not Keepsite's."""

import hashlib
import json
import os
import secrets
import shutil
import signal
import urllib.request
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from pathlib import Path

from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

from tests.support.servers.environments import CHECKOUT, Environment
from tests.support.servers.ports import free_ports
from tests.support.servers.server import Server

ENVIRONMENT = Environment("keystone")
PASSWORD = "known to every test"
DOMAIN = "default"
SCOPES = {
    "system": ("/system", ""),
    "domain": (f"/domains/{DOMAIN}", ""),
    "everywhere": (f"/OS-INHERIT/domains/{DOMAIN}", "/inherited_to_projects"),
}
EXPIRED_WINDOW_S = 3600  # a service token revives expired tokens for so long


class Keystone(Server):
    """Keystone on SQLite with Fernet tokens; may be killed, frozen and brought back on its port.

    A second process on the same database gives out tokens that live for two seconds.
    """

    name = "keystone"
    start_timeout_s = 90.0

    def __init__(self, *, notify_url: str = "") -> None:
        super().__init__()
        self.port = self.brief_port = 0
        self._notify_url = notify_url  # the RabbitMQ that hears what happens, as oslo.messaging writes it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, user, *, brief=False, **scope) -> str:
        """A token: ``project_id=``, ``domain_id=``, ``system_scope="all"`` or ``unscoped=True``."""
        port = self.brief_port if brief else self.port
        auth = v3.Password(
            f"http://127.0.0.1:{port}/v3", username=user, password=PASSWORD, user_domain_id=DOMAIN, **scope
        )
        return auth.get_token(session.Session())

    def session(self, user, project) -> session.Session:
        """How an OpenStack client logs in."""
        return session.Session(
            v3.Password(
                self.url,
                username=user,
                password=PASSWORD,
                user_domain_id=DOMAIN,
                project_name=project,
                project_domain_id=DOMAIN,
            )
        )

    def application_credential_token(self, user, project, *, roles, rules=None) -> tuple[str, str]:
        """Make an application credential; its id and a token got with it."""
        owner = adapter.Adapter(self.session(user, project), endpoint_override=f"{self.url}/v3")
        wanted = {"name": secrets.token_hex(4), "roles": [{"name": role} for role in roles]}
        if rules is not None:
            wanted["access_rules"] = [
                {"service": "key-manager", "method": method, "path": path} for method, path in rules
            ]
        made = owner.post(
            f"/users/{owner.get_user_id()}/application_credentials", json={"application_credential": wanted}
        ).json()["application_credential"]
        auth = v3.ApplicationCredential(
            f"{self.url}/v3",
            application_credential_id=made["id"],
            application_credential_secret=made["secret"],
        )
        return made["id"], auth.get_token(session.Session())

    def revoke(self, token) -> None:
        """End a token before its time, as its owner."""
        request = urllib.request.Request(
            f"{self.url}/v3/auth/tokens",
            method="DELETE",
            headers={"X-Auth-Token": token, "X-Subject-Token": token},
        )
        urllib.request.urlopen(request, timeout=30).close()

    def vouches_for(self, token) -> bool:
        """Whether it would validate this token now."""
        answer = self._admin.get("/auth/tokens", headers={"X-Subject-Token": token}, raise_exc=False)
        return answer.status_code == 200

    def make_project(self, name, domain_id=DOMAIN) -> str:
        return self._make("project", name=name, domain_id=domain_id)

    def make_domain(self, name) -> str:
        return self._make("domain", name=name)

    def delete_project(self, project_id) -> None:
        self._admin.delete(f"/projects/{project_id}")

    def delete_domain(self, domain_id) -> None:
        """It must be disabled before; its projects go with it."""
        self._admin.patch(f"/domains/{domain_id}", json={"domain": {"enabled": False}})
        self._admin.delete(f"/domains/{domain_id}")

    def make_role(self, name) -> str:
        known = self._admin.get("/roles", params={"name": name}).json()["roles"]
        return known[0]["id"] if known else self._make("role", name=name)

    def make_user(self, name, **roles_by_project) -> str:
        """A user with roles: ``make_user("ann", red=["member"])``.

        ``system``, ``domain`` and ``everywhere`` (in every project, made already or not) are scopes.
        """
        user = self._make("user", name=name, password=PASSWORD, domain_id=DOMAIN)
        for scope, roles in roles_by_project.items():
            target, ending = SCOPES.get(scope) or (f"/projects/{self._project(scope)}", "")
            for role in roles:
                self._admin.put(f"{target}/users/{user}/roles/{self.make_role(role)}{ending}")
        return user

    def publish(self, service_type, **url_by_interface) -> None:
        """Put a service into the catalog, or endpoints to one that is there."""
        known = self._admin.get("/services", params={"type": service_type}).json()["services"]
        service = known[0]["id"] if known else self._make("service", type=service_type, name=service_type)
        for interface, url in url_by_interface.items():
            self._make("endpoint", service_id=service, interface=interface, url=url, region_id="RegionOne")

    def withdraw(self, interface) -> None:
        """Take the endpoints of one interface out of the catalog."""
        for endpoint in self._admin.get("/endpoints", params={"interface": interface}).json()["endpoints"]:
            self._admin.delete(f"/endpoints/{endpoint['id']}")

    def kill(self) -> None:
        """End it as a power cut would; its port refuses connections."""
        os.killpg(self._processes[0].pid, signal.SIGKILL)
        self._processes.pop(0).wait()

    def bring_back(self) -> None:
        """Start it again on the same port and database."""
        self._serve(self.port, lifetime_s=3600)
        self._processes.insert(0, self._processes.pop())
        self._wait_until_it_answers()

    @contextmanager
    def frozen(self):
        """It takes connections and answers nothing, as a host that hangs does."""
        group = self._processes[0].pid
        os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(group, signal.SIGCONT)

    def _launch(self) -> None:
        self.port, self.brief_port = free_ports(2)
        shutil.copy(_bootstrapped(), self.folder / "keystone.sqlite3")
        _make_keys(self.folder)
        self._serve(self.port, lifetime_s=3600)
        self._serve(self.brief_port, lifetime_s=2)

    def _serve(self, port, *, lifetime_s) -> None:
        keystone_conf = self.folder / f"keystone-{port}.conf"
        keystone_conf.write_text(
            _configuration(self.folder, lifetime_s=lifetime_s) + _notifications(self._notify_url)
        )
        # Not on the command line, which Keystone reads too.
        gunicorn_conf = self.folder / f"gunicorn-{port}.conf.py"
        gunicorn_conf.write_text(
            f"bind = '127.0.0.1:{port}'\n"
            "wsgi_app = 'keystone.wsgi.api:application'\n"
            "threads = 4\n"
            "control_socket_disable = True\n"
        )
        self._spawn(
            [ENVIRONMENT.program("gunicorn")],
            {
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "HOME": str(self.folder),
                "PYTHONWARNINGS": "ignore",
                "OS_KEYSTONE_CONFIG_FILES": str(keystone_conf),
                "GUNICORN_CMD_ARGS": f"--config {gunicorn_conf}",
            },
        )

    def _answers(self) -> bool:
        try:
            for port in (self.port, self.brief_port):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v3", timeout=10).close()
        except OSError:
            return False
        if not hasattr(self, "_admin"):
            auth = v3.Password(
                f"{self.url}/v3",
                username="admin",
                password=PASSWORD,
                user_domain_id=DOMAIN,
                project_name="admin",
                project_domain_id=DOMAIN,
            )
            self._admin = adapter.Adapter(session.Session(auth), endpoint_override=f"{self.url}/v3")
            self.publish("identity", internal=f"{self.url}/v3", public=f"{self.url}/v3")
        return True

    def _make(self, kind, **fields) -> str:
        return self._admin.post(f"/{kind}s", json={kind: fields}).json()[kind]["id"]

    def _project(self, name) -> str:
        return self._admin.get("/projects", params={"name": name}).json()["projects"][0]["id"]


def _configuration(folder, *, lifetime_s) -> str:
    return f"""\
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{folder}/keystone.sqlite3
sqlite_synchronous = false
[token]
expiration = {lifetime_s}
allow_expired_window = {EXPIRED_WINDOW_S}
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[cache]
enabled = true
backend = dogpile.cache.memory
[revoke]
caching = false
[identity]
password_hash_rounds = 4
"""


def _notifications(url) -> str:
    if not url:
        return ""
    return f"""\
[oslo_messaging_notifications]
driver = messagingv2
transport_url = {url}
"""


def _make_keys(folder) -> None:
    for repository in ("fernet", "credential"):
        (folder / repository).mkdir(mode=0o700, exist_ok=True)
        for number in range(2):
            key = folder / repository / str(number)
            key.touch(mode=0o600)
            key.write_bytes(urlsafe_b64encode(secrets.token_bytes(32)))


def send_notifications(url, events, *, driver) -> None:
    """Have oslo.messaging's own notifier send ``events``, pairs of event type and payload."""
    script = CHECKOUT / "tests/support/oslo_notifier.py"
    ENVIRONMENT.run(
        [ENVIRONMENT.program("python"), "-W", "ignore", str(script), url, driver], typed=json.dumps(events)
    )


def _bootstrapped() -> Path:
    """A database that Keystone has created and put its first user into; made once, copied for each run."""
    manage = [ENVIRONMENT.program("keystone-manage")]
    home = ENVIRONMENT.home
    database = home / "keystone.sqlite3"
    stamp = home / "bootstrapped.json"
    constraints = hashlib.sha256(ENVIRONMENT.constraints.read_bytes()).hexdigest()
    wanted = json.dumps({"password": PASSWORD, "constraints": constraints})
    with ENVIRONMENT.alone():
        if stamp.exists() and stamp.read_text() == wanted:
            return database
        stamp.unlink(missing_ok=True)
        database.unlink(missing_ok=True)
        configuration = home / "keystone.conf"
        configuration.write_text(_configuration(home, lifetime_s=3600))
        _make_keys(home)
        manage += ["--config-file", str(configuration)]
        ENVIRONMENT.run([*manage, "db_sync"])
        ENVIRONMENT.run(
            [*manage, "bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne"]
        )
        stamp.write_text(wanted)
    return database
