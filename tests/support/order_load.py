"""Clients that place orders of every kind, and note what was acknowledged and what failed."""

import random
import threading
import time
from dataclasses import dataclass, field

from tests.support.remote import Remote

PASSPHRASE = "correct horse"
# Weight, order, and how many secrets come of it.
KINDS = (
    (40, "key", {"algorithm": "aes", "bit_length": 256, "mode": "cbc"}, 1),
    (20, "key", {"algorithm": "aes", "bit_length": 128}, 1),
    (15, "key", {"algorithm": "hmacsha512", "bit_length": 512}, 1),
    (10, "asymmetric", {"algorithm": "ec", "bit_length": 256}, 2),
    (8, "asymmetric", {"algorithm": "ed25519", "bit_length": 256}, 2),
    (4, "asymmetric", {"algorithm": "ec", "bit_length": 384, "passphrase": PASSPHRASE}, 3),
    (3, "asymmetric", {"algorithm": "rsa", "bit_length": 2048, "passphrase": PASSPHRASE}, 3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that was not acknowledged; without a status nobody answered it."""

    began: float
    ended: float
    kind: str
    status: int | None
    has_passphrase: bool


@dataclass
class Placed:
    """What the clients saw; times are seconds since the epoch, as the database's are."""

    acknowledged: dict[str, int] = field(default_factory=dict)  # order id: how many secrets it asks for
    failures: list[Failure] = field(default_factory=list)
    latencies_s: list[tuple[float, float]] = field(default_factory=list)  # when, how long


class OrderLoad:
    """``clients`` threads that place ``total`` orders together, about ``per_second`` of them."""

    def __init__(self, product, *, total, per_second, clients=4):
        self.placed = Placed()
        self._product = product
        self._total = total
        self._pause_s = clients / per_second
        self._begun = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(clients)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def join(self):
        for thread in self._threads:
            thread.join()

    def stop(self):
        self._stop.set()
        self.join()

    @property
    def count(self):
        return len(self.placed.acknowledged)

    def _work(self, number):
        chance = random.Random(number)
        remote = Remote(self._product)
        while not self._stop.is_set():
            with self._lock:
                if self.count >= self._total:
                    return
            self._place(remote, chance)
            self._stop.wait(self._pause_s * chance.uniform(0.5, 1.5))

    def _place(self, remote, chance):
        (_, order_type, meta, secrets_made) = chance.choices(KINDS, [kind[0] for kind in KINDS])[0]
        began = time.time()
        try:
            answer = remote.post("/v1/orders", {"type": order_type, "meta": meta})
        except OSError as error:
            self._note_failure(began, meta, kind=type(error).__name__, status=None)
            return
        if answer.status != 202:
            kind = f"{answer.status} {answer.json().get('description', '')}"
            self._note_failure(began, meta, kind=kind, status=answer.status)
            return
        self.placed.latencies_s.append((began, time.time() - began))
        order_id = answer.json()["order_ref"].rpartition("/")[2]
        with self._lock:
            self.placed.acknowledged[order_id] = secrets_made

    def _note_failure(self, began, meta, *, kind, status):
        self.placed.failures.append(
            Failure(
                began=began, ended=time.time(), kind=kind, status=status, has_passphrase="passphrase" in meta
            )
        )
