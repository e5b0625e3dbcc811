"""A database as it might look after some months; ``python -m tests.console.plausible`` fills one.

With names of functions of this module, such as ``nodes``, it adds what these make and no more.

Rows are written directly; what stands for key material is random bytes.  The same seed makes the same rows.
"""

import os
import random
import sys
from datetime import timedelta

from tests.console.plausible_fleet import fill_fleet

SEED = 20_260_131
TEAMS = (
    "payments",
    "identity",
    "search",
    "billing",
    "media",
    "telemetry",
    "mail",
    "orders",
    "ledger",
    "edge",
)
STAGES = ("production", "staging", "development")
NAMES = {
    "symmetric": ("volume key", "backup key", "session key", "disk encryption key"),
    "public": ("release signing, public", "ssh host key, public"),
    "private": ("tls key", "release signing key", "ssh host key"),
    "passphrase": ("database password", "smtp password", "registry token", "webhook secret"),
    "certificate": ("tls certificate", "root certificate", "client certificate"),
    "opaque": ("settings.env", "licence file", "kubeconfig"),
}
KEYS = {
    "symmetric": (("AES", 256, "CBC"), ("AES", 128, "GCM"), ("AES", 512, "XTS")),
    "public": (("RSA", 2048, None), ("EC", 256, None)),
    "private": (("RSA", 4096, None), ("EC", 256, None)),
}
REASONS = (
    "The project's pKEK does not open: an operator must look at the key store.",
    "Given up: 20 attempts ended without an answer.",
)


def fill(*, projects=40, secrets=300, orders=60, now=None):
    """Rows of every kind and state; an MKEK is there already."""
    from django.utils import timezone

    from keepsite.keyring.models import MKEK

    chance = random.Random(SEED)
    now = now or timezone.now()
    previous = MKEK.objects.create(
        label="keepsite-mkek-20260105-1",
        cka_id=chance.randbytes(16).hex(),
        kcv="7C10A4",
        state=MKEK.State.PREVIOUS,
        created_at=now - timedelta(days=200),
        superseded_at=now - timedelta(days=120),
    )
    MKEK.objects.create(
        label="keepsite-mkek-20260131-2",
        cka_id=chance.randbytes(16).hex(),
        kcv="0E55D1",
        created_at=now - timedelta(hours=5),
    )
    made = _projects(chance, projects, now)
    pkeks = _pkeks(chance, made, MKEK.objects.get(current_marker=True), previous, now)
    _secrets(chance, secrets, pkeks, now)
    _runs(chance, pkeks, now)
    _containers(chance, made, now)
    _acls(now)
    _orders(chance, orders, made, now)
    _limits(made, now)
    _api_keys(chance, made, now)
    _audit(chance, made, now)
    _approvals(now)
    _lockouts(now)
    nodes(now)
    notices(now)
    fill_fleet(chance, now)


def _projects(chance, count, now):
    from keepsite.projects.models import Project

    names = [f"{team}-{stage}" for team in TEAMS for stage in STAGES]
    names += [f"{chance.getrandbits(128):032x}" for _ in range(max(count - len(names), 0))]
    return Project.objects.bulk_create(
        Project(external_id=name, created_at=now - timedelta(days=chance.uniform(1, 300)))
        for name in names[:count]
    )


def _pkeks(chance, projects, current, previous, now):
    from keepsite.keyring.models import ProjectKEK

    rows = []
    for number, project in enumerate(projects):
        common = {"wrapped_pkek": chance.randbytes(40), "canary_iv": chance.randbytes(12)}
        common["canary_ciphertext"] = chance.randbytes(32)
        common["due_at"] = now - timedelta(days=2) if number % 9 == 4 else None
        generation = 1
        if number % 8 == 0:
            rows.append(
                ProjectKEK(
                    project=project,
                    mkek=previous,
                    state=ProjectKEK.State.DECRYPT_ONLY,
                    active_marker=None,
                    created_at=project.created_at,
                    **common,
                )
            )
            generation = 2
        mkek = previous if number % 5 == 1 else current
        rows.append(
            ProjectKEK(
                project=project, mkek=mkek, generation=generation, created_at=project.created_at, **common
            )
        )
    return [row for row in ProjectKEK.objects.bulk_create(rows) if row.active_marker]


def _secrets(chance, count, pkeks, now):
    from secrets_app.models import Payload, Secret

    kinds = list(NAMES)
    rows, payloads = [], []
    for number in range(count):
        pkek = chance.choice(pkeks)
        kind = chance.choice(kinds)
        algorithm, bit_length, mode = chance.choice(KEYS.get(kind, ((None, None, None),)))
        created_at = now - timedelta(days=chance.expovariate(1 / 40))
        expires_at = deleted_at = None
        if number % 6 == 0:
            expires_at = now + timedelta(days=chance.uniform(-60, 300))
        if number % 17 == 0:
            deleted_at = now - timedelta(days=chance.uniform(0, 5))
        has_payload = number % 25 != 3
        text = kind in {"passphrase", "opaque"}
        secret = Secret(
            project=pkek.project,
            name=None if number % 15 == 4 else f"{chance.choice(NAMES[kind])} {chance.randrange(1, 90)}",
            secret_type=kind,
            algorithm=algorithm,
            bit_length=bit_length,
            mode=mode,
            creator_id=f"svc-{pkek.project.external_id[:12]}",
            content_type=("text/plain" if text else "application/octet-stream") if has_payload else None,
            created_at=created_at,
            updated_at=created_at,
            expires_at=expires_at,
            deleted_at=deleted_at,
        )
        rows.append(secret)
        if has_payload:
            size_bytes = (bit_length or 0) // 8 or int(chance.lognormvariate(6, 1.6)) % 20_000 + 8
            payloads.append(
                Payload(
                    secret=secret,
                    pkek=pkek,
                    format=1,
                    iv=chance.randbytes(12),
                    ciphertext=chance.randbytes(48),
                    size_bytes=size_bytes,
                    created_at=created_at,
                )
            )
    Secret.objects.bulk_create(rows)
    Payload.objects.bulk_create(payloads)
    _consumers(rows[-1])


def _runs(chance, pkeks, now):
    from keepsite.keyring.models import KEKRun, KEKRunFailure

    states, kinds = KEKRun.State, KEKRun.Kind
    rows = []
    for number, (kind, state) in enumerate((kind, state) for state in states for kind in kinds):
        created_at = now - timedelta(hours=number * 7 + 0.1)
        ended = state in {states.DONE, states.FAILED, states.CANCELLED}
        left = {states.DONE: 0, states.FAILED: 2}.get(state, chance.randrange(40, 9_000))
        rows.append(
            KEKRun(
                kind=kind,
                state=state,
                scope={"project": pkeks[number % len(pkeks)].project.external_id} if number % 4 == 1 else {},
                started_by=("alma", "nils", "schedule")[number % 3],
                reason=("ticket 4711", "yearly rotation, agreed on with the auditors", "due")[number % 3],
                by_workers=number % 5 != 4,
                rate=(None, 50.0)[number % 2],
                rows_done=0 if state == states.QUEUED else chance.randrange(100, 90_000),
                rows_failed=2 if state == states.FAILED else 0,
                rows_left=left,
                busy_s=0 if state == states.QUEUED else chance.uniform(20, 4_000),
                runner="elsewhere/1/0" if state == states.RUNNING else "",
                created_at=created_at,
                started_at=None if state == states.QUEUED else created_at + timedelta(seconds=2),
                # of the running ones, one gives no sign of life
                heartbeat_at=now - timedelta(minutes=9) if kind == kinds.REWRAP else now + timedelta(hours=1),
                ended_at=created_at + timedelta(hours=1) if ended else None,
                last_error="PoolExhausted" if state == states.QUEUED and kind == kinds.REENCRYPT else "",
            )
        )
    KEKRun.objects.bulk_create(rows)
    KEKRunFailure.objects.bulk_create(
        KEKRunFailure(run=row, row_kind="projectkek", row_id=pkek.id, error=error, failed_at=now)
        for row in rows
        if row.state == states.FAILED
        for pkek, error in zip(pkeks[:2], ("IntegrityFailed", "MKEKNotFound"), strict=True)
    )


def _consumers(secret):
    from secrets_app.models import Secret, SecretConsumer, digest

    Secret.objects.filter(id=secret.id).update(had_consumers=True)
    for service, resource_type in (("compute", "instance"), ("block-storage", "volume")):
        resource_id = f"{resource_type}-4711"
        SecretConsumer.objects.create(
            secret=secret,
            project=secret.project,
            service=service,
            resource_type=resource_type,
            resource_id=resource_id,
            sha256=digest(service, resource_type, resource_id),
        )


def _containers(chance, projects, now):
    from secrets_app.models import Container, ContainerConsumer, ContainerSecret, Secret, digest

    for number, project in enumerate(projects):
        created_at = now - timedelta(days=chance.uniform(1, 120))
        fields = {
            "project": project,
            "creator_id": "svc-web",
            "created_at": created_at,
            "updated_at": created_at,
        }
        whole = Container(type="generic", name=f"volumes {number}", **fields)
        certificate = Container(type="certificate", name=f"www {number}", had_consumers=True, **fields)
        empty = Container(type="rsa", name=None, **fields)
        gone = Container(
            type="generic", name=f"old {number}", deleted_at=now - timedelta(days=number), **fields
        )
        Container.objects.bulk_create([whole, certificate, empty, gone])
        mine = list(Secret.objects.filter(project=project).order_by("deleted_at", "id")[:3])
        ContainerSecret.objects.bulk_create(
            ContainerSecret(container=container, secret=secret, name=name)
            for secret, name in zip(mine, ("certificate", "private_key", "intermediates"), strict=False)
            for container in (whole, certificate)
        )
        ContainerConsumer.objects.create(
            container=certificate,
            project=project,
            name="load balancer",
            url=f"https://balancer.example/{number}",
            sha256=digest("load balancer", f"https://balancer.example/{number}"),
        )


def _acls(now):
    from secrets_app.models import ACL, ACLUser, Container, Secret, TransportKey

    for number, secret in enumerate(Secret.objects.filter(deleted_at=None).order_by("id")[:6]):
        acl = ACL.objects.create(secret=secret, project_access=number % 2 == 0)
        ACLUser.objects.bulk_create(
            ACLUser(acl=acl, user_id=f"svc-reader-{reader}") for reader in range(number)
        )
    container = Container.objects.filter(deleted_at=None).order_by("id").first()
    ACLUser.objects.create(acl=ACL.objects.create(container=container), user_id="svc-balancer")
    for number in range(2):
        TransportKey.objects.create(
            plugin_name=f"appliance {number}",
            transport_key="PUBLIC KEY" * 20,
            deleted_at=now if number else None,
        )


def _limits(projects, now):
    from keepsite.projects.models import Project, ProjectQuota

    for number, project in enumerate(projects[:5]):
        ProjectQuota.objects.create(project=project, secrets=(20, 5, -1, 0, None)[number], containers=10)
    Project.objects.filter(id=projects[2].id).update(
        suspended_at=now - timedelta(days=3), suspension_reason="Its owner left; see ticket 4711."
    )


def _orders(chance, count, projects, now):
    from orders_app.models import Order

    rows = []
    for number in range(count):
        age = timedelta(days=chance.expovariate(1 / 12))
        state = {"status": Order.Status.ACTIVE, "secret_id": str(_uuid(chance)), "attempts": 1}
        if number % 12 == 5:
            age = timedelta(hours=chance.uniform(0.2, 60))
            state = {"status": Order.Status.ERROR, "error_status_code": "500", "attempts": 1 + number % 20}
            state["error_reason"] = REASONS[number % 2]
        elif number % 20 == 0:
            age = timedelta(seconds=chance.uniform(2, 30))
            state = {"status": Order.Status.PENDING, "not_before": now + timedelta(days=1)}
        elif number % 15 == 1:
            state["deleted_at"] = now - timedelta(hours=3)
        moment = now - age
        meta = {"algorithm": "aes", "bit_length": chance.choice((128, 256)), "mode": "cbc"}
        meta |= {
            "name": f"volume key {number}",
            "expiration": None,
            "payload_content_type": "application/octet-stream",
        }
        rows.append(
            Order(
                project=chance.choice(projects),
                type=Order.Type.KEY,
                meta=meta,
                creator_id="svc-volumes",
                created_at=moment,
                updated_at=moment,
                **state,
            )
        )
    Order.objects.bulk_create(rows)
    _dead_letters(chance, now)


def _dead_letters(chance, now):
    from orders_app.models import DeadLetter

    DeadLetter.objects.bulk_create(
        DeadLetter(
            id=str(_uuid(chance)),
            state=state,
            reason="This release knows no task 'orders.fulfil.v2'.",
            task="orders.fulfil.v2",
            headers={},
            body=b"x",
            size_bytes=1,
            arrived_at=now - timedelta(hours=chance.uniform(0.2, 60)),
            settled_at=None if state == DeadLetter.State.KEPT else now,
        )
        for state in DeadLetter.State
    )


def _api_keys(chance, projects, now):
    from keepsite.identity.models import APIKey

    rows = []
    for number, project in enumerate(projects[:24]):
        created_at = now - timedelta(days=chance.uniform(20, 200))
        days = (None, 200, 9, -12)[number % 4] if number % 3 else None
        rows.append(
            APIKey(
                name=f"{project.external_id} {'deployer' if number % 2 else 'reader'}",
                project=project,
                user_id=f"svc-{project.external_id[:12]}",
                roles=["member"] if number % 2 else ["reader"],
                sha256=chance.randbytes(32).hex(),
                created_at=created_at,
                expires_at=None if days is None else now + timedelta(days=days),
                revoked_at=now - timedelta(days=2) if number % 11 == 4 else None,
            )
        )
    APIKey.objects.bulk_create(rows)


def _audit(chance, projects, now):
    """What two nodes recorded: one chain verified, whole and pruned, one that somebody has been at."""
    from keepsite.keyring.models import ProjectKEK
    from keepsite.trail.models import AuditChain, AuditCheckpoint, AuditRecord, AuditRemoval

    for node in ("api1", "api2"):
        _collect(node, [_recorded(chance, node, projects, now) for _ in range(40)])
    AuditChain.objects.update(verified_at=now, verified_by="nadia", records_verified=40, segments_verified=1)
    AuditChain.objects.filter(node="api1").update(whole_since=now - timedelta(days=90))
    whole = AuditChain.objects.get(node="api1")
    sealed = {
        "chain": whole,
        "pkek": ProjectKEK.objects.order_by("pk").first(),
        "format": 1,
        "iv": chance.randbytes(12),
        "ciphertext": chance.randbytes(64),
        "size_bytes": 48,
    }
    whole.segments.update(number=4_712)
    AuditCheckpoint.objects.create(number=4_712, sealed_at=now, **sealed)
    AuditRemoval.objects.create(number=4_711, removed_at=now - timedelta(hours=9), days=90, **sealed)
    changed = AuditRecord.objects.filter(node="api2", action="payload.read").first()
    words = f"Record {changed.position + 1} of 40 in segment 1 was changed: it now says {changed.action}."
    finding = {"number": 1, "words": words, "record": changed.pk}
    AuditChain.objects.filter(node="api2").update(findings=[finding])
    AuditRecord.objects.filter(pk=changed.pk).update(user="mike", line=changed.line.replace("svc-", "xxx-"))


def _recorded(chance, node, projects, now):
    """A line of an audit file."""
    project = chance.choice(projects).external_id
    noun = str(_uuid(chance))
    record = {"id": str(_uuid(chance)), "node": node}
    record["at"] = (now - timedelta(minutes=chance.expovariate(1 / 600))).isoformat(timespec="microseconds")
    if chance.random() < 0.3:
        record |= {"kind": "act", "outcome": "done", "action": "project_quota.set", "user_id": "nadia"}
        record |= {"subject": f"project:{project}", "reason": "Ticket 4711: more disks.", "method": "console"}
        record |= {"before": {"secrets": None, "orders": 20}, "after": {"secrets": 100, "orders": 20}}
        return record | {"project_id": "-", "credential_id": None}
    outcome = chance.choice((200, 200, 200, 200, 403, 404, 503))
    acts = [{"action": "payload.read", "subject": f"secret:{noun}"}] if outcome == 200 else []
    record |= {"kind": "api", "request_id": f"req-{_uuid(chance)}", "client": "192.0.2.10", "acts": acts}
    record |= {"action": f"GET /v1/secrets/{noun}/payload", "outcome": outcome, "project_id": project}
    return record | {"user_id": f"svc-{project[:12]}", "method": "local", "credential_id": str(_uuid(chance))}


def _collect(node, records):
    import json
    import tempfile
    from pathlib import Path

    from keepsite.trail.collecting import Collector, Copies

    with tempfile.TemporaryDirectory() as folder:
        lines = (json.dumps(record) + "\n" for record in sorted(records, key=lambda one: one["at"]))
        (Path(folder) / "audit-20260131.jsonl").write_text("".join(lines))
        Collector(Path(folder), node=node, copies=Copies.ALL).collect()


def _approvals(now):
    from keepsite.approvals.models import ActRequest
    from secrets_app.models import Secret

    states = ActRequest.State
    gone = list(Secret.objects.filter(deleted_at__isnull=False).order_by("pk")[: len(states) + 1])
    for number, secret in enumerate(gone):
        state = [states.WAITING, states.WAITING, *list(states)[1:]][number]
        is_decided = state != states.WAITING
        ActRequest.objects.create(
            id=f"00000000-0000-4000-a000-{number:012}",
            noun="secrets_app.secret",
            act="purge",
            title=f"Purge the secret {secret}",
            row_ids=[str(secret.pk)],
            form={"reason": ["the team has left"]},
            reason="the team has left",
            requested_by="olivia",
            requested_at=now - timedelta(hours=3 + 30 * number),
            expires_at=now + timedelta(hours=21 - 30 * number),
            state=state,
            decided_by="nils" if is_decided else "",
            decided_at=now - timedelta(hours=2) if is_decided else None,
            decision_reason="agreed in the morning's round" if is_decided else "",
            outcome="Purged for good: 1 secret." if state == states.DONE else "",
        )


def _lockouts(now):
    from keepsite.operators.models import Lockout

    kinds = Lockout.Kind
    for number, (kind, label, locks) in enumerate(
        [
            (kinds.ACCOUNT, "olivia", 2),
            (kinds.ADDRESS, "192.0.2.17", 1),
            (kinds.BROWSER, "nils", 0),
            (kinds.ACCOUNT, "", 4),
        ]
    ):
        Lockout.objects.create(
            key=f"{number:064}",
            kind=kind,
            label=label,
            failures=3 - number,
            locks=locks,
            last_failed_at=now - timedelta(minutes=number + 1),
            locked_until=now + timedelta(minutes=8) if locks > 1 else None,
        )


def nodes(now):
    """Two releases on nodes that are heard for an hour to come, one lost; promotions in each state."""
    from keepsite.nodes.models import Node

    green, blue = (colour for colour in ("green", "blue"))
    for name, role, colour, version, extra in (
        ("api1", "api", green, "2.3.0", {"requests_in_flight": 12}),
        ("api2", "api", green, "2.3.0", {"is_draining": True, "wants_draining": True}),
        ("api3", "api", green, "2.3.0", {"requests_in_flight": 7}),
        ("api4", "api", blue, "2.4.0", {"wanted_colour": green}),
        ("api5", "api", blue, "2.4.0", {"pending_migrations": 1}),
        ("worker1", "worker", green, "2.3.0", {"requests_in_flight": 3}),
        ("worker2", "worker", blue, "2.4.0", {}),
        ("old-host", "api", "none", "2.2.1", {"lost_at": now - timedelta(days=2)}),
    ):
        Node.objects.create(
            name=name,
            **{
                "role": role,
                "colour": colour,
                "wanted_colour": colour,
                "version": version,
                "address": f"http://127.0.0.1:1/{name}",  # nothing listens there
                "wanted_by": "olivia",
                "wanted_at": now - timedelta(days=3),
                "heartbeat_at": now + timedelta(hours=-49 if "lost_at" in extra else 1),
                "registered_at": now - timedelta(days=90),
                **extra,
            },
        )
    _promotions(now)


def _promotions(now):
    from keepsite.nodes.models import Promotion, PromotionStep

    acts, done = PromotionStep.Act, 4
    for number, state in enumerate(Promotion.State):
        is_open = state == Promotion.State.STOPPED
        if state in {Promotion.State.RUNNING, Promotion.State.ROLLING_BACK}:
            continue  # one alone is open
        started_at = now - timedelta(minutes=2, days=7 * number)
        promotion = Promotion.objects.create(
            id=f"00000000-0000-4000-b000-{number:012}",
            state=state,
            open_marker=True if is_open else None,
            started_by=("olivia", "nils")[number % 2],
            problem="api2 still has 3 requests under way after 180 s of draining." if is_open else "",
            reason=f"release 2.{4 - number}, ticket 47{number}1",
            created_at=started_at,
            ended_at=None if is_open else started_at + timedelta(minutes=6),
        )
        turns = [("api4", acts.TO_GREEN), ("api5", acts.TO_GREEN)]
        turns += [(node, act) for node in ("api1", "api2", "api3") for act in (acts.DRAIN, acts.TO_BLUE)]
        for position, (node, act) in enumerate(turns):
            moment = started_at + timedelta(seconds=12 * position)
            is_done = not is_open or position < done
            is_begun = is_done or position == done
            PromotionStep.objects.create(
                promotion=promotion,
                position=position,
                node_id=node,
                act=act,
                state="done" if is_done else "running" if is_begun else "waiting",
                started_at=moment if is_begun else None,
                ended_at=moment + timedelta(seconds=11) if is_done else None,
            )


def notices(now):
    """What there is cause for here, one of them acknowledged, one resolved; messages in each state."""
    from keepsite.notices.events import Happening, event
    from keepsite.notices.finding import find
    from keepsite.notices.models import Message, Notice

    find(now)
    first, second, *_ = Notice.objects.order_by("urgency", "key")
    Notice.objects.filter(pk=first.pk).update(
        acknowledged_by="olivia", acknowledged_at=now, acknowledgement_reason="nils is on his way there"
    )
    Notice.objects.create(
        key="hsm-member-down:left",
        kind="hsm-member-down",
        urgency=1,
        text="The HSM member left is down (SessionLost).",
        raised_at=now - timedelta(days=3),
        told_at=now - timedelta(days=2),
        told_count=2,
        open_marker=None,
        resolved_at=now - timedelta(days=1),
    )
    for number, (state, channel) in enumerate(
        [("waiting", "webhook"), ("sent", "email"), ("sent", "webhook"), ("given_up", "email")]
    ):
        Message.objects.create(
            channel=channel,
            events=[event(Happening.RAISED, notice) for notice in (second, first)[: number % 2 + 1]],
            state=state,
            attempts=(3, 1, 2, 12)[number],
            last_error="" if state == "sent" else ("answered 503", "", "", "not sent: TimeoutError")[number],
            created_at=now - timedelta(hours=number + 1),
            next_at=now + timedelta(minutes=4),
            ended_at=None if state == "waiting" else now - timedelta(minutes=30),
        )


def _uuid(chance):
    import uuid

    return uuid.UUID(int=chance.getrandbits(128), version=4)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "keepsite.settings")
    django.setup()
    from django.utils import timezone

    wanted = [globals()[name] for name in sys.argv[1:]]
    for add in wanted:
        add(timezone.now())
    if not wanted:
        fill()
    sys.stdout.write("filled\n")
