"""A real Barbican, in an environment of its own: its dependencies are not Keepsite's."""

import os
import urllib.request
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from secrets import token_bytes

from tests.support.pkcs11_standins import Token
from tests.support.servers.environments import Environment
from tests.support.servers.ports import free_ports
from tests.support.servers.server import Server

ENVIRONMENT = Environment("barbican")
PASTE_FILE = ENVIRONMENT.folder / "etc/barbican/barbican-api-paste.ini"  # as it was published
HSM_KEYS = {"gen_mkek": "barbican-mkek", "gen_hmac": "barbican-hmac"}
APPLICATION = """\
from paste.deploy import loadapp
application = loadapp("config:{paste_file}")
"""


class Barbican(Server):
    """Barbican behind Keystone, under gunicorn, on a database of its own.

    ``account`` is its user at Keystone, in keystonemiddleware's words.  Secrets are kept by its
    software plugin, or in an HSM when ``token`` is given.  Orders are done within the request, or
    by one worker of its own behind RabbitMQ when ``broker_url`` is given.
    """

    name = "barbican"
    start_timeout_s = 90.0

    def __init__(
        self,
        account: Mapping[str, str],
        *,
        has_new_defaults: bool = True,
        database_url: str = "",
        workers: int = 1,
        threads: int = 8,
        token: Token | None = None,
        broker_url: str = "",
    ) -> None:
        super().__init__()
        self.port = 0
        self._account = account
        self._has_new_defaults = has_new_defaults
        self._database_url = database_url
        self._processes_and_threads = (workers, threads)
        self._token = token
        self._broker_url = broker_url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def release(self) -> str:
        """The version that the constraints pin."""
        pinned = ENVIRONMENT.constraints.read_text().partition("\nbarbican==")[2]
        return pinned.split(maxsplit=1)[0]

    def _launch(self) -> None:
        (self.port,) = free_ports(1)
        workers, threads = self._processes_and_threads
        folder = self.folder / ".barbican"  # where oslo.config looks
        folder.mkdir()
        (folder / "barbican.conf").write_text(self._configuration())
        (self.folder / "barbican_api.py").write_text(APPLICATION.format(paste_file=PASTE_FILE))
        settings = self.folder / "gunicorn.conf.py"
        settings.write_text(
            f"bind = '127.0.0.1:{self.port}'\n"
            "wsgi_app = 'barbican_api:application'\n"
            f"workers = {workers}\n"
            f"threads = {threads}\n"
            "keepalive = 75\n"
            "control_socket_disable = True\n"
        )
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.folder),
            "PYTHONWARNINGS": "ignore",
            **(self._token.environment if self._token else {}),
        }
        if self._token:
            for what, label in HSM_KEYS.items():
                ENVIRONMENT.run(
                    [ENVIRONMENT.program("barbican-manage"), "hsm", what, "--label", label], **environment
                )
        ENVIRONMENT.run([ENVIRONMENT.program("barbican-db-manage"), "upgrade"], **environment)
        # Not on the command line, which Barbican reads too.
        environment["GUNICORN_CMD_ARGS"] = f"--config {settings}"
        self._spawn([ENVIRONMENT.program("gunicorn")], environment)
        if self._broker_url:
            self._spawn([ENVIRONMENT.program("barbican-worker")], environment)

    def _configuration(self) -> str:
        connection = self._database_url or f"sqlite:///{self.folder}/barbican.sqlite3"
        account = "\n".join(f"{name} = {value}" for name, value in self._account.items())
        switch = str(self._has_new_defaults).lower()
        return f"""\
[DEFAULT]
use_stderr = true
{self._queue()}[database]
connection = {connection.replace("mysql://", "mysql+pymysql://")}
[oslo_policy]
enforce_scope = {switch}
enforce_new_defaults = {switch}
[keystone_authtoken]
{account}
[secretstore]
enabled_secretstore_plugins = store_crypto
{_hsm_crypto(self._token) if self._token else _software_crypto()}"""

    def _queue(self) -> str:
        if not self._broker_url:
            return ""
        address = self._broker_url.replace("amqp://", "rabbit://")
        return f"""\
transport_url = {address}
[queue]
enable = true
topic = barbican.{self.port}
asynchronous_workers = 1
"""

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/healthcheck", timeout=10).close()
        except OSError:
            return False
        return True


def _software_crypto() -> str:
    return f"""\
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = {urlsafe_b64encode(token_bytes(32)).decode()}
"""


def _hsm_crypto(token: Token) -> str:
    return f"""\
[crypto]
enabled_crypto_plugins = p11_crypto
[p11_crypto_plugin]
library_path = {token.module}
login = {token.pin}
token_labels = {token.label}
mkek_label = {HSM_KEYS["gen_mkek"]}
hmac_label = {HSM_KEYS["gen_hmac"]}
encryption_mechanism = CKM_AES_GCM
key_wrap_mechanism = CKM_AES_KEY_WRAP_PAD
key_wrap_generate_iv = false
hmac_key_type = CKK_GENERIC_SECRET
hmac_keygen_mechanism = CKM_GENERIC_SECRET_KEY_GEN
os_locking_ok = true
"""
