"""Nodes as they might run, and what they might have reported; run alone, they report anew."""

import os
import random
from datetime import timedelta


def fill_fleet(chance, now, *, nodes=6):
    """Two colours, one node that drains and one that is gone; two HSM members, of which one is troubled."""
    from keepsite.nodes.models import Node

    if not Node.objects.exists():
        Node.objects.bulk_create(_node(number, nodes, now) for number in range(nodes))
    _members(now)
    _reports(chance, now, [f"node{number:02}" for number in range(nodes)])


def _node(number, nodes, now):
    from keepsite.nodes.models import Node

    colour = "green" if number < nodes // 2 else "blue"
    silent = number == nodes - 1
    return Node(
        name=f"node{number:02}",
        role=Node.Role.WORKER if number % 5 == 4 else Node.Role.API,
        version="1.1.0" if colour == "blue" else "1.0.3",
        address=f"http://192.0.2.{number + 10}:9311",
        requests_in_flight=number * 3 % 7,
        colour=colour,
        wanted_colour=colour,
        is_draining=number == 2,
        wants_draining=number == 2,
        heartbeat_at=now - (timedelta(minutes=9) if silent else timedelta(seconds=number % 3)),
    )


def _members(now):
    from keepsite.fleet.models import HSMMember, MemberChange

    HSMMember.objects.bulk_create(
        [
            HSMMember(name="rack1"),
            HSMMember(
                name="rack2",
                wanted_at=now - timedelta(days=3),
                wanted_by="nils",
                wanted_because="ticket 4711: the partition was unlocked",
                pin_corrected=True,
                pin_outcome=HSMMember.Outcome.ACCEPTED,
            ),
        ]
    )
    changes = (("up", ""), ("suspect", "rack2: a call takes 0.7 s already"), ("up", ""))
    changes += (("quarantined", "rack2: the token lacks an MKEK that is in service"),)
    MemberChange.objects.bulk_create(
        MemberChange(
            member="rack2",
            node=f"node{number % 2:02}",
            process=4711 + number,
            state=state,
            reason=reason,
            at=now - timedelta(hours=len(changes) - number),
        )
        for number, (state, reason) in enumerate(changes)
    )


def _reports(chance, now, names):
    from keepsite.fleet.models import NodeReport

    last = int(now.timestamp() // 60)
    hour, errors = range(last - 60, last + 1), {"resource": 3, "mkek_handle": 1}
    NodeReport.objects.bulk_create(
        NodeReport(
            node=name,
            told_at=now - timedelta(seconds=3 if name != names[-1] else 600),
            began_at=now - timedelta(hours=5),
            requests=[_requests(chance, minute, busy=minute % 17 > 2) for minute in hour],
            members={
                "rack1": _member(chance, last, {"up": 4}, {}),
                "rack2": _member(chance, last, {"up": 3, "quarantined": 1}, errors),
            },
            queues={"keepsite.orders": 12, "keepsite.dead": 0} if name == names[0] else {},
        )
        for name in names
    )


def quarantine(now):
    """As if a node that has just reported had each member in quarantine."""
    from keepsite.fleet.models import HSMMember, NodeReport

    members = HSMMember.objects.values_list("name", flat=True)
    last = int(now.timestamp() // 60)
    NodeReport.objects.create(
        node="elsewhere",
        told_at=now,
        began_at=now - timedelta(hours=5),
        requests=[],
        members={name: _member(random.Random(0), last, {"quarantined": 1}, {}) for name in members},
        queues={},
    )


def _requests(chance, minute, *, busy):
    counts = [
        int(share * chance.uniform(0.7, 1.3)) for share in (900, 500, 260, 90, 30, 8, 4, 2, 1, 0, 0, 0, 0)
    ]
    counts = counts if busy else [count // 3 for count in counts]
    failed = chance.randrange(0, 3) if busy else sum(counts) // 25
    return [minute, sum(counts) // 60, failed, counts]


def _member(chance, last, states, errors):
    counts = [0, 40, 400, 900, 500, 80, 20, 6, 2, 1, 0, 0, 0, 0, 0, 0]
    return {
        "states": states,
        "in_flight": 2,
        "sessions": 36,
        "keys": 611,
        "errors": errors,
        "last_canary_at": last * 60 - 7_200.0,
        "minutes": [
            [minute, 2_100 + chance.randrange(90), sum(errors.values()) % 2, 1_900, 40 + minute % 9, counts]
            for minute in range(last - 5, last + 1)
        ],
        "token": "keepsite",
        "weight": 1,
        "sessions_allowed": 600,
        "keys_most": 8_000,
        "objects_allowed": 50_000,
    }


def report_again(now):
    """As if the nodes had gone on reporting; the silent ones stay so."""
    from django.db.models import Max

    from keepsite.fleet.models import NodeReport
    from keepsite.nodes.models import Node

    heard_at = now + timedelta(minutes=5)  # for as long as somebody looks
    for rows, column, at in (
        (NodeReport.objects.all(), "told_at", now),
        (Node.objects.all(), "heartbeat_at", heard_at),
    ):
        newest = rows.aggregate(at=Max(column))["at"]
        rows.filter(**{f"{column}__gte": newest - timedelta(minutes=5)}).update(**{column: at})


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")
    django.setup()
    from django.utils import timezone

    report_again(timezone.now())
