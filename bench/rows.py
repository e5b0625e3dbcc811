"""Thousands of secrets per project, made in the database itself: ``python -m bench.rows COUNT PROJECT...``.

They look as if clients had made them over a year: names of three kinds, a third with an
expiration, a few of them expired, a few deleted.  Their payloads are as long as one that
a client really stored, and open nowhere.
"""

import random
import sys
from datetime import timedelta

import django

django.setup()

from django.db import connection, transaction  # noqa: E402  # after setup
from django.utils import timezone  # noqa: E402

from keepsite.ids import new_id  # noqa: E402
from keepsite.projects.models import Project  # noqa: E402
from secrets_app.choices import ContentType, SecretType  # noqa: E402
from secrets_app.models import Payload, Secret  # noqa: E402

SEED = 9311
YEAR_S = 365 * 86_400
EXPIRED, EXPIRING, DELETED = 0.02, 0.33, 0.05  # shares


def main(count, *external_ids):
    for external_id in external_ids:
        project, _ = Project.objects.get_or_create(external_id=external_id)
        fill(project, count)
    analyze()


def fill(project, count):
    chance = random.Random(SEED)
    sealed = Payload.objects.first()
    secrets = [secret(number, project, chance) for number in range(count)]
    payloads = [
        Payload(
            secret=one,
            pkek_id=sealed.pkek_id,
            format=sealed.format,
            iv=chance.randbytes(len(sealed.iv)),
            ciphertext=chance.randbytes(len(sealed.ciphertext)),
            size_bytes=sealed.size_bytes,
            created_at=one.created_at,
        )
        for one in secrets
    ]
    with transaction.atomic():
        insert(Secret, secrets)
        insert(Payload, payloads)


def insert(model, rows):
    """What ``bulk_create`` does, in a quarter of the time: Django writes no SQL for each row."""
    fields = model._meta.concrete_fields
    columns = ", ".join(field.column for field in fields)
    places = ", ".join("%s" for _ in fields)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places})",
            [
                [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
                for row in rows
            ],
        )


def analyze():
    """Tell the optimiser what there is, as MariaDB's does by itself in time."""
    with connection.cursor() as cursor:
        tables = "" if connection.vendor == "sqlite" else " TABLE secrets_app_secret, secrets_app_payload"
        cursor.execute(f"ANALYZE{tables}")
        cursor.fetchall()


def secret(number, project, chance):
    now = timezone.now()
    made = now - timedelta(seconds=chance.uniform(3_600, YEAR_S))
    kind = chance.random()
    expires = None
    if kind < EXPIRED:
        expires = now - timedelta(seconds=chance.uniform(0, YEAR_S / 12))
    elif kind < EXPIRING:
        expires = now + timedelta(seconds=chance.uniform(86_400, YEAR_S))
    return Secret(
        id=new_id(),
        project=project,
        name=[f"volume-{number:06}", f"tls-{chance.randrange(10**6):06}", f"db{number % 500}"][number % 3],
        secret_type=chance.choice(SecretType.values),
        algorithm=chance.choice(["aes", "rsa", None]),
        bit_length=chance.choice([128, 256, 2048, None]),
        mode=chance.choice(["cbc", "xts", None]),
        creator_id="bench",
        content_type=ContentType.OCTETS,
        expires_at=expires,
        created_at=made,
        updated_at=made,
        deleted_at=now - timedelta(seconds=chance.uniform(3_600, 86_400))
        if chance.random() < DELETED
        else None,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
