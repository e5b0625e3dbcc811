"""A client that keeps connections open and sends the same request over each, as fast as it is answered."""

import socket
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What one request, sent over and over, came to."""

    requests: int
    failures: int
    seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self):
        return self.requests / self.seconds

    def percentile(self, percent):
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def request_bytes(method, path, *, host, headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(address, request, *, connections, seconds, expected):
    """Send ``request`` over ``connections`` for ``seconds``; another status is a failure."""
    latencies, failures = [], []
    started = time.perf_counter()
    deadline = started + seconds

    def one():
        mine = []
        with socket.create_connection(address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (before := time.perf_counter()) < deadline:
                connection.sendall(request)
                if _status(connection) != expected:
                    failures.append(1)
                mine.append((time.perf_counter() - before) * 1000)
        latencies.extend(mine)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Result(len(latencies), len(failures), time.perf_counter() - started, latencies)


def _status(connection):
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _more(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += _more(connection)
    return int(head.split(b" ", 2)[1])


def _more(connection):
    part = connection.recv(65_536)
    if not part:
        raise ConnectionError("the server closed the connection")
    return part
