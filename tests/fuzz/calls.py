"""One request in bytes, and the two ways it reaches the product: a socket, or WSGI in this process."""

import contextlib
import io
import re
import socket
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it goes over the wire; ``raw_headers`` are lines that no HTTP library would send."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    chunked: bool = False
    raw_headers: tuple[bytes, ...] = ()

    def filled(self, values):
        """The same with ``@name@`` replaced by what ``values`` has for it, wherever it stands."""

        def fill(text):
            return re.sub(rb"@([a-z:]+)@", lambda found: values.get(found[1].decode(), found[0]), text)

        return Call(
            method=self.method,
            target=fill(self.target),
            headers=tuple((name, fill(value)) for name, value in self.headers),
            body=fill(self.body),
            chunked=self.chunked,
            raw_headers=self.raw_headers,
        )

    def header(self, name):
        """The last value of a header, None if there is none."""
        return next((value for known, value in reversed(self.headers) if known.lower() == name.lower()), None)

    def on_the_wire(self):
        """The whole request."""
        lines = [b"%s %s HTTP/1.1" % (self.method.encode(), self.target)]
        lines += [b"%s: %s" % header for header in self.headers]
        if self.header(b"Host") is None:
            lines.append(b"Host: localhost")
        lines += self.raw_headers
        body = self.body
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
            half = len(body) // 2
            body = b"".join(
                b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part
            )
            body += b"0\r\n\r\n"
        elif body or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"Connection: close", b"", body])

    def __str__(self):
        """The request for people, cut where it is long; a token is not shown."""
        wire = re.sub(rb"ks_[0-9a-f]{32}_[\w-]{43}", b"<API key>", self.on_the_wire())
        shown = wire[:1500].decode("utf-8", "backslashreplace")
        return shown if len(wire) <= 1500 else f"{shown}... ({len(wire)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def is_success(self):
        return 200 <= self.status < 400

    def __str__(self):
        body = self.body[:600].decode("utf-8", "replace")
        return f"{self.status} {self.headers.get('content-type', '')}\n{body}"


class OverSocket:
    """To a server that runs; a connection for each request, closed by the server."""

    def __init__(self, port):
        self._port = port

    def __call__(self, call):
        return self.send(call.on_the_wire())

    def send(self, wire):
        """The answer to these bytes."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT_S) as connection:
            received = b""
            # a refusal may come before all of the request is sent: then the answer is there already
            with contextlib.suppress(OSError):
                connection.sendall(wire)
                connection.shutdown(socket.SHUT_WR)  # a server that was promised more need not wait for it
            with contextlib.suppress(OSError):
                while part := connection.recv(65_536):
                    received += part
        return _parsed(received)


def _parsed(received):
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return Answer(status=599, headers={}, body=b"no HTTP answer: " + received[:200])
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status_line.split()[1] == "100":
        return _parsed(body)
    if headers.get("content-length", "").isdigit():
        body = body[: int(headers["content-length"])]  # what follows answers what followed the request
    return Answer(status=int(status_line.split()[1]), headers=headers, body=body)


class InProcess:
    """Through the WSGI application, with the environment that the server would make of the request."""

    def __init__(self, application):
        self._application = application

    def __call__(self, call):
        started = []
        parts = self._application(
            _environment(call), lambda status, headers, *_: started.append((status, headers))
        )
        try:
            body = b"".join(parts)
        finally:
            parts.close()
        status, headers = started[-1]
        return Answer(status=int(status.split()[0]), headers={k.lower(): v for k, v in headers}, body=body)


def _environment(call):
    path, _, query = call.target.partition(b"?")
    environment = {
        "REQUEST_METHOD": call.method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SCRIPT_NAME": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(call.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    seen = set()
    for name, value in call.headers:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key != "CONTENT_TYPE":
            key = f"HTTP_{key}"
        text = value.decode("latin-1").strip(" \t")
        environment[key] = f"{environment[key]},{text}" if key in seen else text
        seen.add(key)
    return environment
