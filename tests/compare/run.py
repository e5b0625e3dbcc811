"""``make compare-barbican``: the same requests to a Barbican and to this Keepsite, behind one Keystone.

Ends with 1 when an answer differs in a way that docs/api/differences.md does not list.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tests.compare.cast import Cast, barbican_account, keepsite_account
from tests.compare.corpus import SCENARIOS
from tests.compare.replay import replayed
from tests.compare.report import Comparison, Progress, say
from tests.compare.speed import measured, table
from tests.support.product import Product
from tests.support.servers.barbican import Barbican
from tests.support.servers.keystone import Keystone
from tests.support.servers.memcached import Memcached
from tests.support.servers.rabbitmq import RabbitMQ

ROLE_SETS = ("secure", "legacy")


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, _leave)  # so that the servers are stopped then too
    comparison = Comparison()
    speeds = []
    with Keystone() as keystone, Memcached() as memcached:
        cast = Cast(keystone)
        if not options.only_speed:
            for role_set in options.role_sets:
                compare(
                    role_set, comparison, cast=cast, keystone=keystone, memcached=memcached, only=options.only
                )
        if not options.no_speed:
            speeds = measured(
                keystone=keystone,
                cast=cast,
                memcached=memcached,
                seconds=options.seconds,
                only=options.only,
            )
    if options.json:
        say(comparison.as_json(speeds))
    else:
        if not options.only_speed:
            say(comparison.as_text(verbose=options.verbose))
        if speeds:
            say(table(speeds))
    return 1 if comparison.unexpected else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make compare-barbican", description="Replay requests to Barbican and Keepsite and compare."
    )
    parser.add_argument("--only", default="", help="scenarios and measurements whose name contains this")
    parser.add_argument(
        "--role-set",
        dest="role_sets",
        action="append",
        choices=ROLE_SETS,
        help="default: both, one after the other",
    )
    parser.add_argument("--verbose", action="store_true", help="show the known differences too")
    parser.add_argument("--no-speed", action="store_true", help="compare answers, measure nothing")
    parser.add_argument("--only-speed", action="store_true", help="measure, compare no answers")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: 5)")
    parser.add_argument(
        "--json", action="store_true", help="everything as one JSON object on standard output"
    )
    options = parser.parse_args()
    options.role_sets = options.role_sets or ROLE_SETS
    return options


def compare(role_set, comparison, *, cast, keystone, memcached, only) -> None:
    """Replay every scenario with one role set on both sides."""
    scenarios = [scenario for scenario in SCENARIOS if only in scenario.name]
    with (
        Barbican(
            barbican_account(keystone, memcached=memcached.url), has_new_defaults=role_set == "secure"
        ) as barbican,
        keepsite(role_set, keystone, memcached) as product,
        Progress(f"{role_set} roles", sum(len(scenario.steps) for scenario in scenarios)) as progress,
    ):
        comparison.release = barbican.release
        for scenario in scenarios:
            outcomes = replayed(scenario, barbican=barbican.url, keepsite=product.url, cast=cast)
            comparison.add(role_set, outcomes)
            progress.advance(len(outcomes), scenario.name)


@contextmanager
def keepsite(role_set, keystone, memcached) -> Iterator[Product]:
    """This checkout as processes, behind Keystone; orders go through a real broker."""
    with RabbitMQ() as rabbitmq, tempfile.TemporaryDirectory(prefix="keepsite-compare-") as folder:
        product = Product(
            Path(folder) / "state",
            broker_url=rabbitmq.url,
            KEEPSITE_ROLE_SET=role_set,
            **keepsite_account(keystone, memcached=memcached.url),
        ).setup()
        try:
            yield product.start()
        finally:
            product.stop()


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
