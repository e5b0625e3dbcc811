import re

import pytest
from django.utils import timezone

from keepsite.identity.models import APIKey
from keepsite.projects.models import Project
from keepsite.readonly import detail_url, list_url
from keepsite.trail.models import AuditChain, AuditRecord, AuditSegment
from orders_app.models import Order
from secrets_app.models import ACL, Container, Secret


def segment_of(*, lines):
    """A segment of an audit file that a record may stand in."""
    return AuditSegment.objects.create(
        chain=AuditChain.objects.create(node="n"),
        number=1, start=0, end=0, lines=lines, row_hashes=b"", collected_at=timezone.now(),
    )  # fmt: skip


def listed(console, model, **chosen):
    """The ids of what a list shows."""
    return {row.pk for row in console.get(list_url(model, **chosen)).context["cl"].result_list}


class TestRead:
    def test_tells_secrets_that_somebody_read_from_those_that_nobody_did(self, api, console):
        read, unread = (api.store("x").rpartition("/")[2] for _ in range(2))
        segment = segment_of(lines=2)
        for position, (action, secret) in enumerate((("payload.read", read), ("secret.created", unread))):
            AuditRecord.objects.create(
                segment=segment,
                position=position,
                at=timezone.now(),
                action=action,
                subject=f"secret:{secret}",
            )

        assert listed(console, Secret, read="some") == {read}
        assert listed(console, Secret, read="never") == {unread}


class TestOrders:
    @pytest.fixture
    def orders(self, mkek):
        project = Project.objects.create(external_id="p1")
        return {
            name: Order.objects.create(
                project=project, type=kind, meta={"name": name, "algorithm": algorithm, "bit_length": 256}
            ).pk
            for name, kind, algorithm in (
                ("Volume key", "key", "AES"),
                ("volume key 2", "key", "aes"),
                ("Release signing", "asymmetric", "rsa"),
            )
        }

    def test_are_found_by_part_of_their_name(self, console, orders):
        assert listed(console, Order, q="volume") == {orders["Volume key"], orders["volume key 2"]}
        assert listed(console, Order, q="signing") == {orders["Release signing"]}

    def test_are_told_by_algorithm_however_it_was_spelt(self, console, orders):
        assert listed(console, Order, algorithm="aes") == {orders["Volume key"], orders["volume key 2"]}
        assert listed(console, Order, algorithm="rsa") == {orders["Release signing"]}
        assert not listed(console, Order, algorithm="des")


class TestProject:
    def test_is_typed_on_every_list_that_has_projects(self, console, store):
        for model in (Secret, Container, Order, APIKey, AuditRecord, ACL):
            choices = {choice.name: choice for choice in console.get(list_url(model)).context["page"].choices}

            html = console.get(list_url(model, project="p1")).content.decode()

            assert choices["project"].template.endswith("_typed_choice.html"), model
            assert re.search(r'<input id="filter-project"[^>]*name="project"\s+value="p1"', html), model

    def test_what_was_typed_is_whole_but_for_blanks_around_it(self, console, store):
        project = Secret.objects.order_by("pk").first().project
        theirs = set(Secret.objects.filter(project=project).values_list("pk", flat=True))

        assert listed(console, Secret, project=f" {project.external_id} ") == theirs
        assert not listed(console, Secret, project=project.external_id[:-1])

    def test_what_was_done_to_one_is_all_of_it(self, console, mkek):
        project = Project.objects.create(external_id="p1")
        done = [f"project:{project.pk}"] * 9 + ["project:p1"]
        segment = segment_of(lines=11)
        for position, subject in enumerate([*done, "project:p2"]):
            AuditRecord.objects.create(
                segment=segment, position=position, at=timezone.now(), action="a", subject=subject
            )

        page = console.get(detail_url(Project, project.pk)).content.decode()
        url = re.search(r'href="([^"]*to_project=p1)"', page).group(1)

        found = console.get(url).context["cl"].result_list
        assert [row.subject for row in found].count("project:p1") == 1
        assert len(found) == 10
