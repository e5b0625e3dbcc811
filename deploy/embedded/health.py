"""Questions to the address that Keepsite is to serve: is it free, does it answer."""

import http.client
import socket
from dataclasses import dataclass
from http import HTTPStatus

CONNECT_TIMEOUT_S = 2.0
EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # bound to these, reached at those


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, bind: str) -> "Address":
        """Read ``host:port`` or ``[ipv6]:port``.

        Raises:
            ValueError: it is something else; the message says what is accepted.
        """
        host, separator, port = bind.rpartition(":")
        if not separator or not port.isdecimal():
            raise ValueError(f"KEEPSITE_BIND is {bind!r}; it must be host:port, as in 127.0.0.1:9311.")
        return cls(host.strip("[]"), int(port))

    @property
    def url(self) -> str:
        """How a client on this machine reaches it."""
        host = EVERY_ADDRESS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def is_taken(self) -> bool:
        """Whether another program listens there."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
                probe.listen()
            except OSError:
                return True
        return False

    def is_healthy(self) -> bool:
        """Whether ``/healthcheck`` answers 200; asked directly, past any proxy of the shell."""
        host = EVERY_ADDRESS.get(self.host, self.host)
        connection = http.client.HTTPConnection(host, self.port, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
