"""purge_deleted: what was deleted long ago goes for good, and nothing keeps it."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keepsite import writes
from keepsite.errors import InvalidInput, NotAllowed, Unavailable
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.ids import new_id
from keepsite.keyring.models import ProjectKEK
from keepsite.projects.models import Project
from orders_app.models import Order, OrderPassphrase
from orders_app.recovery import what_to_purge
from secrets_app import services
from secrets_app.models import (
    ACL,
    ACLUser,
    Container,
    ContainerConsumer,
    ContainerSecret,
    Payload,
    Secret,
    SecretConsumer,
    SecretMetadatum,
    TransportKey,
)
from secrets_app.services import recovery
from tests.support.product import CHECKOUT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = command_principal()
LONG_AGO = timedelta(days=31)


@pytest.fixture
def project(mkek):
    return Project.objects.create(external_id="p1")


@pytest.fixture
def pkek(project, mkek):
    return ProjectKEK.objects.create(
        project=project, mkek=mkek, wrapped_pkek=b"w", canary_iv=b"i", canary_ciphertext=b"c"
    )


@pytest.fixture
def make(project, pkek):
    """Makes secrets with payload, all in one statement per table; deleted long ago unless told otherwise."""

    def make(count, **columns):
        gone = {"deleted_at": timezone.now() - LONG_AGO} | columns
        secrets = Secret.objects.bulk_create(
            Secret(id=new_id(), project=project, **gone) for _ in range(count)
        )
        Payload.objects.bulk_create(
            Payload(pkek=pkek, format=1, iv=b"i", ciphertext=b"sealed", size_bytes=6, secret=secret)
            for secret in secrets
        )
        return secrets

    return make


def run(**options):
    """One run in this process; what went, by kind."""
    purged = {}

    def done(noun, count):
        purged[noun] = purged.get(noun, 0) + count

    batch_rows = options.pop("batch_rows", 1_000)
    services.purge(
        what_to_purge(**{"older_than_days": 30} | options), actor=ACTOR, batch_rows=batch_rows, done=done
    )
    return purged


def command(*options):
    """``purge_deleted`` as a process on this test's database, not started yet."""
    server = connection.settings_dict
    url = f"sqlite:///{server['NAME']}"
    if connection.vendor == "mysql":
        url = f"mysql://{server['USER']}:{server['PASSWORD']}@{server['HOST']}:{server['PORT']}/{server['NAME']}"
    return {
        "args": [sys.executable, "manage.py", "purge_deleted", *options],
        "cwd": CHECKOUT,
        "env": os.environ | {"DJANGO_SETTINGS_MODULE": "keepsite.settings", "KEEPSITE_DATABASE_URL": url},
    }


class TestPurge:
    def test_what_was_deleted_long_ago_goes_with_all_that_hangs_on_it(self, make, project):
        secret, _ = make(2)
        container = Container.objects.create(project=project, type="generic", deleted_at=secret.deleted_at)
        live = Container.objects.create(project=project, type="generic")
        for holder in (container, live):
            ContainerSecret.objects.create(container=holder, secret=secret, name="k")
        for acl in (ACL.objects.create(secret=secret), ACL.objects.create(container=container)):
            ACLUser.objects.create(acl=acl, user_id="u9")
        SecretMetadatum.objects.create(secret=secret, name="a", value="b")
        SecretConsumer.objects.create(secret=secret, project=project, sha256="1", service="s")
        ContainerConsumer.objects.create(container=container, project=project, sha256="2", name="n")

        assert run() == {"secrets": 2, "containers": 1}

        left = [
            model.objects.count()
            for model in (Secret, Payload, ACL, ACLUser, SecretMetadatum, SecretConsumer, ContainerSecret)
        ]
        assert left == [0] * 7
        assert list(Container.objects.all()) == [live]

    def test_what_is_live_or_within_the_window_stays(self, make):
        live = make(3, deleted_at=None)
        fresh = make(3, deleted_at=timezone.now() - timedelta(days=29))
        make(3)

        assert run() == {"secrets": 3}

        assert {*Secret.objects.values_list("id", flat=True)} == {secret.id for secret in [*live, *fresh]}
        assert Payload.objects.count() == 6

    @pytest.mark.parametrize("status", ["ACTIVE", "ERROR", "PENDING"])
    def test_an_order_never_keeps_its_secret(self, make, project, status):
        (secret,) = make(1)
        order = Order.objects.create(project=project, type="key", meta={}, status=status, secret_id=secret.id)

        run()

        assert not Secret.objects.exists()
        assert list(Order.objects.all()) == [order]  # and keeps what it said

    def test_a_container_never_keeps_its_secret(self, make, project):
        (secret,) = make(1)
        container = Container.objects.create(project=project, type="rsa")
        ContainerSecret.objects.create(container=container, secret=secret, name="private_key")

        run()

        assert not Secret.objects.exists()
        assert not ContainerSecret.objects.exists()

    def test_expired_secrets_go_when_asked_for(self, make):
        make(2, deleted_at=None, expires_at=timezone.now() - LONG_AGO)
        make(1, deleted_at=None, expires_at=timezone.now() - timedelta(days=1))

        assert run() == {}
        assert run(with_expired=True) == {"secrets": 2}

    def test_orders_go_when_deleted_and_finished_ones_when_asked_for(self, project, pkek):
        now = timezone.now()
        old, recent = now - timedelta(days=90), now - timedelta(days=5)
        for columns in (
            {"deleted_at": old},
            {"status": "ACTIVE", "updated_at": old},
            {"status": "ERROR", "updated_at": old},
            {"status": "PENDING", "updated_at": old},
            {"status": "ACTIVE", "updated_at": recent},
        ):
            order = Order.objects.create(project=project, type="asymmetric", meta={}, **columns)
            OrderPassphrase.objects.create(
                order=order, pkek=pkek, format=1, iv=b"i", ciphertext=b"c", size_bytes=1
            )

        assert run() == {"orders": 1}
        assert run(orders_older_than_days=60) == {"orders": 2}
        assert {*Order.objects.values_list("status", flat=True)} == {"PENDING", "ACTIVE"}
        assert OrderPassphrase.objects.count() == 2

    def test_removed_consumers_and_transport_keys_go_too(self, make, project):
        (secret,) = make(1, deleted_at=None)
        container = Container.objects.create(project=project, type="generic")
        old = timezone.now() - LONG_AGO
        for number, deleted_at in enumerate([None, old]):
            common = {"project": project, "sha256": str(number), "deleted_at": deleted_at}
            SecretConsumer.objects.create(secret=secret, service="s", **common)
            ContainerConsumer.objects.create(container=container, name="n", **common)
            TransportKey.objects.create(plugin_name="p", transport_key="k", deleted_at=deleted_at)

        assert run() == {"secret consumers": 1, "container consumers": 1, "transport keys": 1}
        assert SecretConsumer.objects.get().deleted_at is None

    def test_every_table_that_refers_to_them_is_known(self):
        for model, hanging in (
            (Secret, recovery.HANGING_ON_SECRET),
            (Container, recovery.HANGING_ON_CONTAINER),
            (Order, what_to_purge(older_than_days=0).kinds[0].hanging),
        ):
            referring = {relation.related_model for relation in model._meta.related_objects}
            assert referring <= {one.model for one in hanging}
            for one in hanging:
                deeper = {relation.related_model for relation in one.model._meta.related_objects}
                assert deeper <= {other.model for other in hanging}

    def test_callers_of_the_api_may_not(self, make):
        make(1)
        admin = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="local")

        with pytest.raises(NotAllowed):
            services.purge(what_to_purge(older_than_days=0), actor=admin)
        assert Secret.objects.exists()

    @pytest.mark.parametrize("days", [-1, 10**9])
    def test_days_must_be_some(self, days):
        with pytest.raises(InvalidInput):
            what_to_purge(older_than_days=days)

    def test_every_object_is_in_the_audit_trail_and_the_run_before_it(self, make, audited):
        secrets = make(3)

        run()

        (started,) = audited("purge.started")
        assert started["reason"].startswith("deleted before 20")
        assert {record["subject"] for record in audited("purged")} == {
            f"secret:{secret.id}" for secret in secrets
        }


class TestBatches:
    def test_statements_of_a_batch_do_not_depend_on_its_size(self, make, monkeypatch):
        counts = []
        commit = writes.commit

        def counted(work, *, committed):
            with CaptureQueriesContext(connection) as queries:
                commit(work, committed=committed)
            counts.append(len(queries))

        monkeypatch.setattr(writes, "commit", counted)
        make(5_000)

        assert run() == {"secrets": 5_000}

        assert len(counts) >= 10  # a payload each, so 500 secrets at most in 1,000 rows
        assert len({*counts}) == 1
        assert counts[0] == 10  # BEGIN, lock, six tables of what hangs on a secret, secrets, COMMIT

    def test_a_batch_has_no_more_rows_than_allowed(self, make, monkeypatch):
        sizes = []
        monkeypatch.setattr(
            services.purging, "_delete", lambda kind, page, **_: sizes.append(len(page)) or len(page)
        )
        for secret in make(10):
            SecretMetadatum.objects.bulk_create(
                SecretMetadatum(secret=secret, name=str(number), value="v") for number in range(8)
            )

        list(
            services.purging._once_round(
                what_to_purge(older_than_days=30).kinds[2], actor=ACTOR, batch_rows=40
            )
        )

        assert max(sizes) == 4  # ten rows each
        assert sum(sizes) == 10

    def test_an_object_with_more_rows_than_a_batch_goes_alone(self, make):
        first, _ = make(2)
        SecretMetadatum.objects.bulk_create(
            SecretMetadatum(secret=first, name=str(number), value="v") for number in range(50)
        )

        assert run(batch_rows=10) == {"secrets": 2}

    def test_a_database_that_goes_away_leaves_whole_batches_and_another_run_goes_on(self, make, monkeypatch):
        make(100)
        commit, batches = writes.commit, []

        def third_fails(work, *, committed):
            batches.append(1)
            if len(batches) == 3:
                raise Unavailable
            commit(work, committed=committed)

        monkeypatch.setattr(writes, "commit", third_fails)
        with pytest.raises(Unavailable):
            run(batch_rows=20)
        left = Secret.objects.count()
        assert 80 <= left < 100  # two batches of ten, or fewer where the primary keys end
        assert Payload.objects.count() == left

        assert run() == {"secrets": left}

    def test_who_restores_first_keeps_everything(self, make):
        secret, other = make(2, deleted_at=timezone.now() - timedelta(days=1))
        kind = what_to_purge(older_than_days=0).kinds[2]
        page = [secret.id, other.id]  # what a purge has read when somebody restores

        services.restore_secret(secret.id, actor=ACTOR)
        assert services.purging._delete(kind, page, actor=ACTOR) == 1

        assert Payload.objects.get().secret_id == secret.id


class TestCommand:
    def test_several_at_once_purge_each_row_once(self, make):
        make(2_000)

        runs = [
            subprocess.Popen(**command("--batch", "100", "--json"), stdout=subprocess.PIPE) for _ in range(3)
        ]
        outputs = [json.loads(one.communicate(timeout=120)[0]) for one in runs]

        assert [one.returncode for one in runs] == [0, 0, 0]
        assert sum(output["purged"]["secrets"] for output in outputs) == 2_000
        assert not Secret.objects.exists()
        assert not Payload.objects.exists()

    def test_killed_at_any_moment_nothing_is_half_done_and_the_next_run_finishes(self, make):
        make(3_000)
        for _ in range(3):
            before = Secret.objects.count()
            process = subprocess.Popen(**command("--batch", "20"), stdout=subprocess.DEVNULL)
            wait_until(lambda before=before: Secret.objects.count() < before - random.randint(1, 200))
            process.send_signal(signal.SIGKILL)
            process.wait()
            left = wait_until(_agreed_count)
            assert left < before

        assert 0 < left < 3_000
        assert subprocess.run(**command(), check=False, capture_output=True).returncode == 0
        assert not Secret.objects.exists()

    def test_dry_run_counts_and_deletes_nothing(self, make, capsys):
        make(3)

        with pytest.raises(SystemExit) as ended:
            call_command("purge_deleted", "--dry-run", "--json")

        assert ended.value.code == 1  # something is left
        assert json.loads(capsys.readouterr().out)["left"]["secrets"] == 3
        assert Secret.objects.count() == 3

    def test_report_for_people(self, make, capsys):
        make(3)

        call_command("purge_deleted", "--older-than-days", "7")

        assert "secrets                     3 purged        0 left" in capsys.readouterr().out

    def test_the_window_is_the_settings(self, make, settings):
        make(1)
        settings.RECOVERY_DAYS = 40
        call_command("purge_deleted")
        assert Secret.objects.exists()

        settings.RECOVERY_DAYS = 30
        call_command("purge_deleted")
        assert not Secret.objects.exists()

    @pytest.mark.parametrize("options", [("--batch", "0"), ("--batch", "1001"), ("--older-than-days", "-1")])
    def test_options_that_make_no_sense_are_refused(self, db, options):
        with pytest.raises(CommandError):
            call_command("purge_deleted", *options)

    def test_progress_is_shown_on_a_terminal(self, make):
        make(30)
        shown = _on_a_terminal(command("--batch", "10"))

        assert "secrets" in shown
        assert "30/30" in shown

    def test_nothing_but_plain_lines_elsewhere(self, make):
        make(30)

        done = subprocess.run(**command(), check=True, capture_output=True, text=True)

        assert "\x1b" not in done.stdout + done.stderr
        assert done.stderr == ""


def _agreed_count():
    """How many secrets there are, once each has its payload and each payload its secret."""
    secrets, payloads = Secret.objects.count(), Payload.objects.count()
    assert secrets == payloads
    return secrets


def _on_a_terminal(started):
    """What a person would see."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(**started, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = []

    def read():
        try:
            while chunk := os.read(ours, 4096):
                shown.append(chunk)
        except OSError:  # the other side is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    process.wait(60)
    reader.join()
    os.close(ours)
    assert Path(started["cwd"]).exists()
    return b"".join(shown).decode()
