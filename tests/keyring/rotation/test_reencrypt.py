"""New pKEK generations, and what former ones sealed: sealed anew, every kind of row, nobody notices."""

from datetime import timedelta

import pytest
from django.utils import timezone

from hsm.keys import UnwrapTemplate
from hsm.provider import hsm
from keepsite.identity.principal import Principal
from keepsite.keyring import mkeks, services
from keepsite.keyring.columns import SealedRow
from keepsite.keyring.generations import next_generation
from keepsite.keyring.models import KEKRun, KEKRunFailure, ProjectKEK
from keepsite.keyring.querysets import sealed_row_models
from keepsite.keyring.rotation.reencrypt import Reencrypt, retire_empty_pkeks
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.status import kek_status
from keepsite.trail.models import AuditCheckpoint, AuditRemoval
from orders_app.models import Order, OrderPassphrase
from orders_app.passphrases import open_passphrase
from orders_app.retirement import restore_project, retire_project
from orders_app.tasks import fulfil
from secrets_app.models import Payload, Secret
from secrets_app.services import read_payload
from tests.keyring.rotation.conftest import ACTOR, active, all_read_back, run_to_its_end

ROTATE, REENCRYPT = KEKRun.Kind.ROTATE, KEKRun.Kind.REENCRYPT
State = ProjectKEK.State


class TestRotate:
    def test_the_new_generation_seals_at_once_and_the_former_one_opens(self, projects):
        caller, _ = projects[0]
        former = active("p1")

        run = run_to_its_end(ROTATE)

        assert (run.state, run.rows_done) == (KEKRun.State.DONE, 3)
        assert (active("p1").generation, ProjectKEK.objects.get(id=former.id).state) == (
            2,
            State.DECRYPT_ONLY,
        )
        path = caller.store("new")
        assert Payload.objects.get(secret_id=path.rpartition("/")[2]).pkek == active("p1")
        assert all_read_back(projects)

    def test_one_project(self, projects):
        run_to_its_end(ROTATE, Scope(project="p2", created_before=timezone.now()))

        assert [active(project).generation for project in ("p1", "p2", "p3")] == [1, 2, 1]

    def test_those_older_than_so_many_days(self, projects):
        ProjectKEK.objects.filter(project__external_id="p3").update(
            created_at=timezone.now() - timedelta(days=400)
        )

        run_to_its_end(ROTATE, Scope(created_before=timezone.now() - timedelta(days=365)))

        assert [active(project).generation for project in ("p1", "p2", "p3")] == [1, 1, 2]

    def test_those_that_sealed_more_than_so_many(self, projects):
        projects[1][0].store("a third")

        run_to_its_end(ROTATE, Scope(over_encryptions=2, created_before=timezone.now()))

        assert [active(project).generation for project in ("p1", "p2", "p3")] == [1, 2, 1]

    def test_of_two_at_once_one_replaces_the_key(self, projects):
        stale = ProjectKEK.objects.select_related("project").get(id=active("p1").id)
        assert next_generation(stale) is not None

        assert next_generation(stale) is None
        assert active("p1").generation == 2

    def test_each_is_in_the_audit_trail(self, projects, audited):
        run_to_its_end(ROTATE)

        changes = [
            (record["before"]["generation"], record["after"]["generation"])
            for record in audited("pkek.rotated")
        ]
        assert changes == [(1, 2)] * 3


@pytest.fixture
def rotated(projects):
    run_to_its_end(ROTATE)
    return projects


class TestReencrypt:
    def test_every_payload_is_sealed_anew_and_opens(self, rotated):
        before = {payload.id: bytes(payload.iv) for payload in Payload.objects.all()}

        run = run_to_its_end(REENCRYPT)

        assert (run.state, run.rows_done, run.rows_left) == (KEKRun.State.DONE, 6, 0)
        for payload in Payload.objects.all():
            assert payload.pkek.active_marker
            assert bytes(payload.iv) != before[payload.id]
        assert all_read_back(rotated)

    def test_it_costs_four_calls_for_each_row(self, rotated, shim):
        run_to_its_end(REENCRYPT, Scope(project="p1"))
        for project in ("p2", "p3"):
            rotated[0][0].other(project=project).store("warms the key's handle")

        with shim.counting() as calls:
            run_to_its_end(REENCRYPT, Scope(project="p2"))

        assert calls == {"C_DecryptInit": 2, "C_Decrypt": 2, "C_EncryptInit": 2, "C_Encrypt": 2}

    def test_deleted_secrets_too(self, rotated):
        caller, stored = rotated[0]
        path = next(iter(stored.values()))
        caller.delete(path)

        run_to_its_end(REENCRYPT)

        assert Payload.objects.get(secret_id=path.rpartition("/")[2]).pkek == active("p1")

    def test_pass_phrases_of_orders_too_and_the_order_is_fulfilled(self, api, audited):
        body = {"algorithm": "rsa", "bit_length": 2048, "passphrase": "open sesame"}
        assert api.post("/v1/orders", {"type": "asymmetric", "meta": body}).status_code == 202
        order = Order.objects.get()
        run_to_its_end(ROTATE)

        run_to_its_end(REENCRYPT)

        assert OrderPassphrase.objects.get().pkek == active("p1")
        assert open_passphrase(order).reveal() == b"open sesame"
        fulfil(order.id)
        assert Order.objects.get().status == "ACTIVE"

    def test_every_kind_of_sealed_row_says_what_it_is_bound_to(self):
        assert {*sealed_row_models()} == {Payload, OrderPassphrase, AuditCheckpoint, AuditRemoval}
        for model in sealed_row_models():
            assert model.seal_context is not SealedRow.seal_context
            assert model.context_rows

    def test_a_damaged_row_is_named_and_the_others_are_done(self, rotated):
        spoilt = Payload.objects.filter(pkek__project__external_id="p2").first()
        Payload.objects.filter(id=spoilt.id).update(iv=bytes(12))

        run = run_to_its_end(REENCRYPT)

        assert (run.state, run.rows_done, run.rows_failed, run.rows_left) == (KEKRun.State.FAILED, 5, 1, 1)
        assert KEKRunFailure.objects.get(run=run).row_id == spoilt.id
        assert bytes(Payload.objects.get(id=spoilt.id).ciphertext) == bytes(spoilt.ciphertext)

    def test_a_row_of_another_project_is_not_sealed_for_this_one(self, rotated):
        foreign = Payload.objects.filter(pkek__project__external_id="p2").first()
        Payload.objects.filter(id=foreign.id).update(
            pkek=ProjectKEK.objects.get(project__external_id="p1", state=State.DECRYPT_ONLY)
        )

        run = run_to_its_end(REENCRYPT)

        assert KEKRunFailure.objects.get(run=run).row_id == foreign.id

    def test_a_row_that_somebody_else_moved_meanwhile_is_left_alone(self, rotated):
        slow = Reencrypt(Scope(project="p1"), actor=ACTOR)
        page = [row for page in slow.pages(10) for row in page]
        run_to_its_end(REENCRYPT)
        after = sorted(Payload.objects.values_list("id", "iv"))

        outcome = slow.move(page)

        assert (outcome.done, outcome.lost) == (0, 2)
        assert sorted(Payload.objects.values_list("id", "iv")) == after


class TestReaders:
    def test_one_that_read_the_row_before_the_swap_still_opens_it(self, rotated):
        secrets = list(Secret.objects.with_payload())
        run_to_its_end(REENCRYPT)
        for pkek in ProjectKEK.objects.all():
            hsm().forget(pkek.id)

        for secret in secrets:
            assert read_payload(secret, actor=reader(secret)).reveal().startswith(b"payload")

    def test_one_whose_key_went_out_of_service_reads_again_and_opens_it(self, rotated):
        secret = Secret.objects.with_payload().filter(project__external_id="p1").first()
        run_to_its_end(REENCRYPT)
        secret.payload.pkek.state = State.RETIRED

        assert read_payload(secret, actor=reader(secret)).reveal().startswith(b"payload")


class TestRetired:
    def test_empty_generations_go_when_the_run_ends(self, rotated, audited):
        run_to_its_end(REENCRYPT)

        assert ProjectKEK.objects.filter(state=State.RETIRED).count() == 3
        assert ProjectKEK.objects.filter(state=State.ACTIVE).count() == 3
        changes = [
            (record["before"]["state"], record["after"]["state"]) for record in audited("pkek.retired")
        ]
        assert changes == [("decrypt_only", "retired")] * 3

    def test_not_before_a_request_that_began_earlier_must_have_ended(self, rotated, settings):
        settings.KEK_GRACE_S = 3600
        run = run_to_its_end(REENCRYPT)

        assert run.state == KEKRun.State.DONE
        assert not ProjectKEK.objects.filter(state=State.RETIRED).exists()

        later = timezone.now() + timedelta(hours=2)
        assert retire_empty_pkeks(ProjectKEK.objects.all(), actor=ACTOR, now=later) == 3

    def test_one_with_a_row_stays(self, rotated):
        assert retire_empty_pkeks(ProjectKEK.objects.all(), actor=ACTOR) == 0

    def test_a_row_stored_under_a_retired_one_after_all_is_rescued(self, rotated):
        """A writer that slept for longer than the grace: its payload must not be lost."""
        caller, _ = rotated[0]
        former = ProjectKEK.objects.get(project__external_id="p1", generation=1)
        former = ProjectKEK.objects.select_related("project", "mkek").get(id=former.id)
        run_to_its_end(REENCRYPT)
        path = caller.store()
        secret = Secret.objects.get(id=path.rpartition("/")[2])
        sealed = services.seal(services.Plaintext(b"late"), pkek=former, context=secret.seal_context())
        Payload.holding(sealed, secret=secret).save(force_insert=True)
        Secret.objects.filter(id=secret.id).update(content_type="application/octet-stream")

        run = run_to_its_end(REENCRYPT)

        assert (run.state, run.rows_done) == (KEKRun.State.DONE, 1)
        assert caller.get(f"{path}/payload").content == b"late"


@pytest.fixture
def p2_retired(rotated):
    """Rotated; then the identity service deletes p2, before anything is sealed anew."""
    retire_project("p2", actor=ACTOR, reason="tests")
    return rotated


def restore(project):
    restore_project(project, actor=ACTOR, reason="tests")


class TestRetiredProjects:
    def test_their_rows_move_to_their_newest_generation_and_open_once_restored(self, p2_retired):
        run = run_to_its_end(REENCRYPT)

        assert (run.state, run.rows_done, run.rows_left, run.rows_failed) == (KEKRun.State.DONE, 6, 0, 0)
        assert kek_status().left == 0
        newest = ProjectKEK.objects.get(project__external_id="p2", generation=2)
        assert (newest.state, newest.active_marker) == (State.DECRYPT_ONLY, None)
        assert {row.pkek for row in Payload.objects.filter(secret__project__external_id="p2")} == {newest}

        restore("p2")

        assert active("p2") == newest
        assert all_read_back(p2_retired)
        assert run_to_its_end(REENCRYPT).rows_done == 0

    def test_what_is_left_is_told_by_command_and_metric_alike(self, p2_retired):
        from keepsite.keyring import figures

        figures.count()
        told = figures.ROWS_LEFT.labels(kind="payload")._value.get()
        assert (kek_status().left, told) == (6, 6)

        run_to_its_end(REENCRYPT)
        figures.count()

        assert figures.ROWS_LEFT.labels(kind="payload")._value.get() == 0

    def test_their_key_is_replaced_too_but_seals_nothing_new(self, p2_retired):
        run_to_its_end(ROTATE, Scope(project="p2", created_before=timezone.now()))
        run_to_its_end(REENCRYPT, Scope(project="p2"))

        generations = ProjectKEK.objects.filter(project__external_id="p2").order_by("generation")
        assert list(generations.values_list("generation", "state", "active_marker")) == [
            (1, State.RETIRED, None),
            (2, State.RETIRED, None),
            (3, State.DECRYPT_ONLY, None),
        ]
        restore("p2")
        assert active("p2").generation == 3
        assert all_read_back(p2_retired)

    def test_a_strict_mkek_can_be_retired_under_one(self, projects, new_mkek):
        strict = new_mkek(template=UnwrapTemplate.STRICT)
        run_to_its_end(ROTATE)
        run_to_its_end(REENCRYPT)
        retire_project("p2", actor=ACTOR, reason="tests")
        new_mkek()

        run_to_its_end(ROTATE, Scope(mkek=strict.label, created_before=timezone.now()))
        run_to_its_end(REENCRYPT)
        strict.refresh_from_db()
        mkeks.retire_mkek(strict, actor=ACTOR)

        restore("p2")
        assert all_read_back(projects)

    def test_a_restore_that_comes_first_keeps_its_key(self, p2_retired):
        stale = ProjectKEK.objects.select_related("project").get(project__external_id="p2", generation=2)
        restore("p2")

        assert next_generation(stale) is None
        assert active("p2").generation == 2

    def test_of_two_at_once_one_replaces_the_key(self, p2_retired):
        stale = ProjectKEK.objects.select_related("project").get(project__external_id="p2", generation=2)
        assert next_generation(stale) is not None

        assert next_generation(stale) is None

    def test_their_last_key_goes_when_nothing_can_be_restored_any_more(self, p2_retired, settings):
        run_to_its_end(REENCRYPT)
        mine = ProjectKEK.objects.filter(project__external_id="p2", generation=2)
        late = timezone.now() + timedelta(days=settings.RECOVERY_DAYS + 1)
        assert retire_empty_pkeks(mine, actor=ACTOR, now=late) == 0
        Payload.objects.filter(pkek__in=mine).delete()

        assert retire_empty_pkeks(mine, actor=ACTOR) == 0
        assert retire_empty_pkeks(mine, actor=ACTOR, now=late) == 1

    def test_a_page_whose_key_is_gone_fails_and_the_run_does_not(self, p2_retired):
        work = Reencrypt(Scope(project="p2"), actor=ACTOR)
        page = next(iter(work.pages(10)))
        ProjectKEK.objects.filter(project__external_id="p2").update(state=State.RETIRED)

        outcome = work.move(page)

        assert [failure.error for failure in outcome.failures] == ["ProjectRetired"] * 2


def reader(secret):
    return Principal(
        project_id=secret.project.external_id,
        user_id="u1",
        roles=frozenset({"member", "reader"}),
        method="local",
    )
