"""What an HSM member can do: latency and throughput per verb and number of threads; what follows."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hsm.client import HSM
from hsm.config import HSMConfig
from hsm.errors import HSMError, MKEKNotFound
from hsm.keys import UnwrapTemplate, WrappedKey

_GROWS = 1.10  # more threads are worth it while they bring a tenth more
_SMALL_BYTES, _LARGE_BYTES = 32, 16_000
_AAD = b"hsm_bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One verb on one member with so many threads; latencies are of the verb, not of a PKCS#11 call."""

    member: str
    verb: str
    calls: int
    threads: int
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verb:
    name: str
    calls: int
    once: Callable[[], object]


def benchmark(config: HSMConfig, *, threads: tuple[int, ...], seconds: float) -> Iterator[Measured]:
    """Measure each member alone, verb by verb; makes throw-away keys on the token and stores nothing.

    Raises:
        MKEKNotFound: the token has no MKEK to wrap with yet.
        HSMError: a member does not start, or a verb fails.
    """
    for member in config.members:
        hsm = HSM(replace(config, members=(member,), pool_size=max(*threads, config.pool_size)))
        hsm.start()
        try:
            for verb in _verbs(hsm):
                for count in threads:
                    yield _measure(member.name, verb, count, seconds)
        finally:
            hsm.close()


def how_many(threads: tuple[int, ...], members: int) -> int:
    """Return how many results ``benchmark`` gives; fewer where a template of each MKEK forbids rewrapping."""
    return len(threads) * members * len(_NAMES)


READ, WRITE = "decrypt 32 B", "encrypt 32 B"
_NAMES = (
    *("random", WRITE, READ, "decrypt 16 kB", "decrypt, key not cached"),
    *("generate", "wrap", "unwrap", "create_key", "rewrap"),
)


def _verbs(hsm: HSM) -> tuple[_Verb, ...]:
    mkeks = hsm.mkeks()
    if not mkeks:
        raise MKEKNotFound("there is no MKEK on the token to wrap a key with; make one first")
    free = [mkek for mkek in mkeks if mkek.template is UnwrapTemplate.NONE]  # a template forbids it
    mkek_id = (free or mkeks)[0].mkek_id
    key = _throw_away_key(hsm, mkek_id)
    loose = hsm.ceremony(lambda connection: connection.keep_throw_away_key())
    small = hsm.encrypt(key, bytes(_SMALL_BYTES), aad=_AAD)
    large = hsm.encrypt(key, bytes(min(_LARGE_BYTES, hsm.profile.max_single_part_bytes)), aad=_AAD)
    acts: tuple[tuple[int, Callable[[], object]], ...] = (
        (1, lambda: hsm.random(_SMALL_BYTES)),
        (2, lambda: hsm.encrypt(key, bytes(_SMALL_BYTES), aad=_AAD)),
        (2, lambda: hsm.decrypt(key, small, aad=_AAD)),
        (2, lambda: hsm.decrypt(key, large, aad=_AAD)),
        (4, lambda: _cold(hsm, key, lambda named: hsm.decrypt(named, small, aad=_AAD))),
        (2, lambda: hsm.ceremony(lambda connection: connection.generate())),
        (1, lambda: hsm.ceremony(lambda connection: connection.wrap(loose, mkek_id=mkek_id))),
        (2, lambda: hsm.ceremony(lambda connection: connection.unwrap(key))),
        (7, lambda: hsm.forget(_throw_away_key(hsm, mkek_id).key_id)),
        (7, lambda: hsm.rewrap(key, mkek_id=mkek_id)),
    )
    verbs = [
        _Verb(name=name, calls=calls, once=once) for name, (calls, once) in zip(_NAMES, acts, strict=True)
    ]
    return tuple(verbs if free else verbs[:-1])


def _throw_away_key(hsm: HSM, mkek_id: bytes) -> WrappedKey:
    return hsm.create_key(
        mkek_id=mkek_id, key_id=f"bench-{os.urandom(8).hex()}", canary_plaintext=b"bench", canary_aad=_AAD
    )


def _cold(hsm: HSM, key: WrappedKey, use: Callable[[WrappedKey], object]) -> None:
    """Unwrap the key under a name that nobody has cached, use it, destroy it."""
    named = replace(key, key_id=f"bench-{os.urandom(8).hex()}")
    use(named)
    hsm.forget(named.key_id)


def _measure(member: str, verb: _Verb, threads: int, seconds: float) -> Measured:
    latencies: list[float] = []
    failures: list[HSMError] = []
    started = time.perf_counter()
    until = started + seconds

    def work() -> None:
        mine: list[float] = []
        try:
            while (began := time.perf_counter()) < until or not mine:  # one call at least, however late
                verb.once()
                mine.append(time.perf_counter() - began)
        except HSMError as error:
            failures.append(error)
        latencies.extend(mine)

    running = [threading.Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]
    took, ordered = time.perf_counter() - started, sorted(latencies)
    return Measured(
        member=member,
        verb=verb.name,
        calls=verb.calls,
        threads=threads,
        per_second=len(ordered) / took,
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000,
    )


def advice(results: list[Measured], *, processes: int) -> list[str]:
    """Return what follows for each member, in sentences.

    The pool size follows from warm decrypts, what most requests do; the number of workers from
    encryptions, what each order for a key does, in one thread for each worker.
    """
    said = []
    for member in dict.fromkeys(result.member for result in results):
        reads, writes = _best(results, member, READ), _best(results, member, WRITE)
        pool = max(1, -(-reads.threads // processes))
        said.append(
            f"{member}: throughput grows up to {reads.threads} threads at once ({reads.per_second:.0f} warm "
            f"decrypts a second, p99 {reads.p99_ms:.1f} ms). With {processes} processes that is "
            f"KEEPSITE_HSM_POOL_SIZE={pool} or more; sessions beyond it only wait on the device."
        )
        said.append(
            f"{member}: orders are made faster by up to {writes.threads} workers of all nodes together "
            f"(celery --concurrency; {writes.per_second:.0f} encryptions a second); more only wait."
        )
    return said


def _best(results: list[Measured], member: str, verb: str) -> Measured:
    """The result with the most threads that were still worth it."""
    first, *rest = [result for result in results if (result.member, result.verb) == (member, verb)]
    best = first
    for result in rest:
        if result.per_second > best.per_second * _GROWS:
            best = result
    return best
