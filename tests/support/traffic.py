"""Clients that store and read secrets of many projects, and remember what they were told."""

import http.client
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

JSON = "application/json"


class Client:
    """One connection to a product in noauth mode, as any project."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method, path, project, body=None):
        headers = {"X-Project-Id": project, "X-Roles": "member", "X-User-Id": "u", "Content-Type": JSON}
        self._connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def store(self, project, text):
        """The path of the new secret, or the status that it was refused with."""
        body = {"payload": text, "payload_content_type": "text/plain"}
        status, content = self.call("POST", "/v1/secrets", project, body)
        if status != 201:
            return None, status
        return "/" + json.loads(content)["secret_ref"].split("/", 3)[3], status

    def close(self):
        self._connection.close()


class Traffic:
    """Readers and writers until told to stop; everything that did not go as it must is a failure.

    Each of them rests for ``pause_s`` after a request.
    """

    def __init__(self, port, projects, *, pause_s=0.0):
        self.port, self.projects = port, projects
        self._pause_s = pause_s
        self.stored = {}  # path: (project, text)
        self.reads = self.writes = 0
        self.failures = []
        self.slowest_s = 0.0
        self._paths = []
        self._stop = threading.Event()
        self._threads = []

    def seed(self, count, *, threads=8, told=lambda number: None):
        """Store ``count`` secrets, evenly over the projects."""

        def some(first):
            client = Client(self.port)
            for number in range(first, count, threads):
                project = self.projects[number % len(self.projects)]
                self._keep(project, f"secret {number} of {project}", client)
                told(1)
            client.close()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))

    def start(self, *, readers=4, writers=2):
        self._threads = [threading.Thread(target=self._read_on, args=(n,)) for n in range(readers)]
        self._threads += [threading.Thread(target=self._write_on, args=(n,)) for n in range(writers)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def verify(self, *, threads=8, told=lambda number: None):
        """Paths whose payload is not what was stored; each is read once."""
        wrong = []
        paths = list(self.stored)

        def some(first):
            client = Client(self.port)
            for path in paths[first::threads]:
                project, text = self.stored[path]
                if client.call("GET", f"{path}/payload", project) != (200, text.encode()):
                    wrong.append(path)
                told(1)
            client.close()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))
        return wrong

    def _keep(self, project, text, client):
        path, status = client.store(project, text)
        if path is None:
            self.failures.append(f"POST answered {status}")
            return
        self.stored[path] = (project, text)
        self._paths.append(path)

    def _read_on(self, seed):
        choose = random.Random(seed)

        def once(client):
            path = choose.choice(self._paths)
            project, text = self.stored[path]
            status, content = client.call("GET", f"{path}/payload", project)
            if (status, content) != (200, text.encode()):
                self.failures.append(f"GET {path} answered {status} {content[:80]!r}")
            self.reads += 1

        self._go_on(once)

    def _write_on(self, seed):
        choose = random.Random(-seed - 1)

        def once(client):
            self._keep(choose.choice(self.projects), f"written {choose.random()} by {seed}", client)
            self.writes += 1

        self._go_on(once)

    def _go_on(self, once):
        client = Client(self.port)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                once(client)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                client = Client(self.port)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self._stop.wait(self._pause_s)
        client.close()
