"""A worker without a broker: it does at once what it is told on standard input, a line of JSON at a time.

``{"place": [groups, size]}`` has it place key orders that a relay would hand out in such groups,
``{"orders": [ids]}`` take the messages of these, one after the other, ``{"job": name, "times": n,
"alone": path}`` run a scheduled job that notices when it is not alone, ``{"store": [keys], "as": key of the
API}`` make a secret under each idempotency key.  Each line is answered by one: the ids, how many messages
there were, how often the job ran, where the secrets are.
"""

import json
import os
import sys
import time
from pathlib import Path

import django


def main():
    django.setup()
    say("ready")
    for line in sys.stdin:
        wanted = json.loads(line)
        if "place" in wanted:
            say(place(*wanted["place"]))
        elif "orders" in wanted:
            say(run_orders(**wanted))
        elif "store" in wanted:
            say(store(wanted["store"], wanted["as"], wanted["at"]))
        else:
            say(run_job(**wanted))


def place(groups, size):
    from keepsite.ids import new_id
    from keepsite.projects.services import ensure_project
    from orders_app.models import Order

    meta = {"name": None, "algorithm": "aes", "bit_length": 256, "expiration": None}
    project = ensure_project("p1")
    orders = [
        Order(project=project, type="key", meta=meta, creator_id="u1", handed_out_by=name)
        for name in [new_id() for _ in range(groups)]
        for _ in range(size)
    ]
    Order.objects.bulk_create(orders)
    return [order.id for order in orders]


def run_orders(*, orders, at):
    """Begin at a moment of the machine's monotonic clock, so that another worker begins then too."""
    from orders_app.tasks import fulfil

    _wait_until(at)
    for order_id in orders:
        fulfil(order_id)
    return len(orders)


def store(keys, api_key, at):
    """Begin at a moment, as ``run_orders`` does."""
    from django.test import Client

    client = Client(SERVER_NAME="127.0.0.1", headers={"X-Auth-Token": api_key})
    _wait_until(at)
    return [
        client.post(
            "/v1/secrets", {"name": key}, content_type="application/json", headers={"Idempotency-Key": key}
        ).get("Location")
        for key in keys
    ]


def _wait_until(moment):
    while time.monotonic() < moment:
        pass  # a sleep would end at a moment of its own


def run_job(*, job, times, alone):
    from keepsite import schedule
    from keepsite.schedule import services

    def run(_deadline):
        os.close(os.open(alone, os.O_CREAT | os.O_EXCL))  # fails where another worker is at it
        time.sleep(0.01)
        Path(alone).unlink()
        return True

    schedule.register(schedule.Job(name=job, every_s=0, run=run))
    services.make_due(job)
    return sum(services.run_job(job) for _ in range(times))


def say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
