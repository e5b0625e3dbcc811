import html
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.utils import timezone

from keepsite.console.pages.dashboard import STOCK, dashboard
from keepsite.console.roles import VIEWER
from keepsite.fleet.models import NodeReport
from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK
from keepsite.nodes.models import Node, Promotion
from keepsite.notices.finding import find
from keepsite.notices.models import Notice, Urgency
from keepsite.projects.models import Project, ProjectQuota
from keepsite.readonly import detail_url, list_url
from keepsite.trail.models import AuditChain
from orders_app.models import Order
from secrets_app.models import Payload, Secret


@pytest.fixture
def project(mkek):
    return Project.objects.create(external_id="p-of-orders")


def place(project, *, age, **fields):
    moment = timezone.now() - age
    return Order.objects.create(
        project=project, type="key", meta={"algorithm": "aes"}, created_at=moment, updated_at=moment, **fields
    )


def minute_of(at):
    return int(at.timestamp() // 60)


def report(node, at, **told):
    return NodeReport.objects.create(node=node, told_at=at, began_at=at - timedelta(hours=1), **told)


def told(**states):
    numbers = {"in_flight": 0, "sessions": 1, "keys": 1, "errors": {}, "last_canary_at": None, "minutes": []}
    return {"states": states, **numbers}


def node(name, **fields):
    return Node.objects.create(
        **{"name": name, "version": "1", "address": "x", "heartbeat_at": timezone.now(), **fields}
    )


def page():
    STOCK.forget()
    return dashboard(admin.site, now=timezone.now())


def part(name):
    return next(part for part in page().parts if part.name == name)


def values_of(part):
    """What a part shows under its headings: each value, with its note, by its label."""
    for fact in part.facts:
        yield str(fact.label), f"{fact.value} {fact.note}"
    for row in part.table.rows if part.table and part.name not in ROWS_OF_ONE_THING else ():
        for cell in row.cells:
            yield str(cell.heading.label), str(cell.value)


def numbers_of(part):
    """Every number of a part that leads to a list, by its address."""
    shown = " ".join(value for _, value in values_of(part))
    found = re.findall(r'<a href="(/admin/\w+/\w+/(?:\?[^"]+)?)">(?:seal )?([\d,]+)(?: [\w ]+)?</a>', shown)
    return {html.unescape(url): int(number.replace(",", "")) for url, number in found}


def unlinked(part):
    """The labels of numbers that lead nowhere; names, moments and key check values are none."""
    of_names = r"<(a|time|code)\b.*?</\1>|\bof [\w-]+"
    return {
        (part.name, label)
        for label, value in values_of(part)
        if re.search(r"\d", re.sub("<[^>]+>", "", re.sub(of_names, "", value, flags=re.DOTALL)))
    }


# What stands in such a row is on the page to which its name leads.
ROWS_OF_ONE_THING = {"hsm", "nodes", "notices", "acts"}
WITHOUT_A_LIST = {
    ("requests", "Now"),  # a rate
    ("requests", "Failed (5xx)"),  # its share, beside the number
    ("requests", "p50"),
    ("requests", "p99"),
    ("projects", "Made in 24 hours"),  # rows of three lists; the project's page has them
}


class TestNumbers:
    def test_each_is_the_length_of_the_list_it_leads_to(self, store, console):
        counted = [part for part in page().parts if part.name != "requests"]  # of which copies are kept
        numbers = {url: number for part in counted for url, number in numbers_of(part).items()}
        del numbers["/admin/orders_app/order/?state=waiting"]  # the queue's depth leads there too

        found = {url: console.get(url).context["cl"].result_count for url in numbers}

        assert found == numbers
        assert len(numbers) > 25

    def test_each_leads_somewhere(self, store):
        assert set().union(*(unlinked(part) for part in page().parts)) == WITHOUT_A_LIST

    def test_nothing_is_counted_twice_in_a_moment(self, project, django_assert_max_num_queries):
        page()

        with django_assert_max_num_queries(9):
            dashboard(admin.site, now=timezone.now())

    def test_projects_near_a_quota_are_shown_and_listed(self, mkek, console):
        for name, secrets in (("near", 4), ("far", 3)):
            project = Project.objects.create(external_id=name)
            ProjectQuota.objects.create(project=project, secrets=5, orders=0)
            Secret.objects.bulk_create(Secret(project=project) for _ in range(secrets))

        (bar,) = part("projects").bars

        assert (bar.label, bar.used, bar.limit) == ("Secrets of near", 4, 5)
        listed = console.get("/admin/projects/project/?state=near").context["cl"].result_list
        assert [str(project) for project in listed] == ["near"]

    def test_secrets_of_each_mkek_add_up(self, store):
        table = part("keys").table

        secrets = [re.search(r">(\d+)<", row.cells[-1].value)[1] for row in table.rows]
        assert sum(map(int, secrets)) == Payload.objects.count()


class TestRequests:
    def test_all_nodes_that_report_are_added_up(self, db):
        now = timezone.now()
        report("a", now, requests=[[minute_of(now), 2, 1, [10, *[0] * 12]]])
        report("b", now, requests=[[minute_of(now), 0, 0, [0, 30, *[0] * 11]]])
        report("gone", now - timedelta(minutes=5), requests=[[minute_of(now), 0, 0, [99, *[0] * 12]]])

        shown = part("requests")
        figures = {fact.label: re.sub("<[^>]+>", "", str(fact.value)) for fact in shown.facts}

        assert (figures["In the hour"], figures["Failed (5xx)"]) == ("40", "1")
        assert figures["p50"] == "3.3\N{NO-BREAK SPACE}ms"
        assert "As counted on a, b" in shown.note
        assert "Missing: gone" in shown.note
        assert sum(column.answered + column.refused + column.failed for column in shown.chart.columns) == 100

    def test_latency_is_drawn_by_five_minutes_with_gaps(self, db):
        now = timezone.now()
        fast, slow = [100, *[0] * 12], [0] * 9 + [100, *[0] * 3]
        report("a", now, requests=[[minute_of(now) - age, 0, 0, fast] for age in (0, 12)])
        report("b", now, requests=[[minute_of(now) - 13, 0, 0, slow]])

        curve = part("requests").curve

        p50, p99 = curve.lines
        assert (p50.name, p99.name) == ("p50", "p99")
        assert [len(line.stretches) for line in curve.lines] == [2, 2]
        assert p99.stretches[0].startswith("450,2.0 500,2.0")  # the slowest of the hour, at the top
        assert p99.stretches[1].startswith("550,")
        assert "p99 2.5\N{NO-BREAK SPACE}ms to 2.5\N{NO-BREAK SPACE}s." in curve.words

    def test_what_is_older_than_an_hour_is_left_out(self, db):
        now = timezone.now()
        report("a", now, requests=[[minute_of(now) - 61, 0, 0, [10, *[0] * 12]]])

        assert part("requests").chart is None

    def test_many_failures_are_trouble(self, mkek):
        now = timezone.now()
        report("a", now, requests=[[minute_of(now), 0, 20, [100, *[0] * 12]]])

        assert page().health.sentence == "20 % of the requests of the last five minutes failed."
        assert "Trouble" in page().health.state

    def test_a_node_that_stopped_reporting_is_named(self, mkek):
        report("a", timezone.now() - timedelta(minutes=2))

        assert page().health.sentence == "1 node has stopped reporting: a."


class TestHSM:
    def test_a_member_in_quarantine_anywhere_is_trouble(self, mkek):
        report("a", timezone.now(), members={"m": told(up=3), "n": told(up=3)})
        report("b", timezone.now(), members={"m": told(up=3), "n": told(up=1, quarantined=2)})

        assert "HSM member n is in quarantine" in page().health.sentence
        assert [row.url.split("/")[-2] for row in part("hsm").table.rows] == ["m", "n"]
        assert "serves 4 of 6" in str(part("hsm").table.rows[1].cells)

    def test_none_that_serves_comes_first(self, mkek):
        report("a", timezone.now(), members={"m": told(down=2)})

        assert page().health.sentence.startswith("No HSM member serves")

    def test_before_the_first_report_it_says_so(self, mkek):
        assert "ten seconds after its start" in part("hsm").empty
        assert "All well" in page().health.state


class TestNodes:
    def test_no_green_node_is_trouble(self, mkek):
        node("a", colour="blue")
        assert page().health.sentence.startswith("No green node")

        node("b", colour="green")
        assert "All well" in page().health.state

    def test_an_open_promotion_is_named(self, mkek):
        node("a", colour="green")
        promotion = Promotion.objects.create(started_by="olga", reason="r")

        assert "Running" in part("nodes").facts[0].value
        assert f"/admin/nodes/promotion/{promotion.pk}/" in part("nodes").facts[0].value
        assert "All well" in page().health.state

    @pytest.mark.parametrize(
        ("state", "word", "sentence"),
        [
            ("stopped", "Trouble", "A promotion has stopped: api2 is silent."),
            ("rolling_back", "Attention", "A promotion is being rolled back."),
        ],
    )
    def test_one_that_does_not_go_on_is_trouble(self, mkek, state, word, sentence):
        node("a", colour="green")
        Promotion.objects.create(started_by="olga", reason="r", state=state, problem="api2 is silent.")

        assert word in page().health.state
        assert page().health.sentence == sentence
        assert word in part("nodes").state

    def test_a_silent_node_stands_first(self, mkek):
        node("a", colour="green")
        node("z", colour="blue", heartbeat_at=timezone.now() - timedelta(minutes=3))

        assert page().health.sentence == "No sign of life from node z."
        assert "z" in part("nodes").table.rows[0].name


class TestLive:
    def test_every_part_of_the_page_is_told_anew(self, store, console):
        html = console.get("/admin/").content.decode()

        answer = console.get("/admin/live/").json()

        assert set(re.findall(r'data-live-part="([^"]+)"', html)) == answer["parts"].keys()
        assert not answer["is_over"]

    def test_who_is_logged_out_is_told_nothing(self, store, client):
        assert client.get("/admin/live/").status_code == 302

    def test_what_may_not_be_seen_is_not_told(self, store, console_of):
        assert console_of(None).get("/admin/live/").json()["parts"].keys() == {"as-of", "health", "steps"}


class TestHealth:
    def test_nothing_wrong_is_said_in_one_sentence(self, mkek):
        health = page().health

        assert "All well" in health.state
        assert mkek.label in health.sentence
        assert health.remarks == ()

    def test_no_current_mkek_comes_before_all_else(self, project):
        MKEK.objects.update(current_marker=None, state="previous")
        place(project, age=timedelta(hours=1), status="ERROR")

        health = page().health

        assert health.sentence.startswith("There is no current MKEK")
        assert [remark.sentence for remark in health.remarks] == ["1 order failed in the last 24 hours."]

    def test_orders_that_wait_too_long_are_trouble(self, project):
        place(project, age=timedelta(minutes=12))
        place(project, age=timedelta(seconds=5))

        assert page().health.sentence.startswith("2 orders wait, the oldest for 12")

    def test_an_order_that_just_came_is_no_trouble(self, project):
        place(project, age=timedelta(seconds=5))

        assert "All well" in page().health.state

    def test_an_altered_audit_trail_is_trouble(self, mkek):
        AuditChain.objects.create(node="api1", verified_at=timezone.now())
        assert "All well" in page().health.state

        AuditChain.objects.create(
            node="api2", verified_at=timezone.now(), findings=[{"number": 1, "words": "w"}]
        )

        health = page().health
        assert "Trouble" in health.state
        assert health.sentence == "The audit trail of api2 is not whole: see Audit chains."

    @pytest.mark.parametrize(
        ("urgencies", "word", "sentence"),
        [
            ([Urgency.NOW], "Trouble", "1 urgent notice: notice 0"),
            ([Urgency.NOW, Urgency.NOW, Urgency.SOON], "Trouble", "2 urgent notices, the first: notice 0"),
            ([Urgency.SOON, Urgency.SOON], "Attention", "2 notices, the first: notice 0"),
        ],
    )
    def test_is_not_all_well_while_a_notice_is_open(self, mkek, urgencies, word, sentence):
        for number, urgency in enumerate(urgencies):
            Notice.objects.create(key=str(number), kind="k", urgency=urgency, text=f"notice {number}")

        health = page().health

        assert word in health.state
        assert health.sentence == sentence
        assert word in part("notices").state

    def test_what_a_notice_says_is_not_said_twice(self, project):
        place(project, age=timedelta(minutes=12))
        Notice.objects.create(key="k", kind="orders-stuck", urgency=Urgency.NOW, text="1 order waits")

        health = page().health

        assert health.sentence.startswith("1 order waits, the oldest for 12")
        assert [remark.sentence for remark in health.remarks] == ["1 urgent notice."]

    def test_an_acknowledged_notice_is_looked_after(self, mkek):
        Notice.objects.create(key="k", kind="k", urgency=Urgency.NOW, text="t", acknowledged_by="olga")

        assert "All well" in page().health.state

    def test_what_a_notice_says_is_for_those_who_may_see_it(self, mkek, console_of):
        Notice.objects.create(key="k", kind="k", urgency=Urgency.NOW, text="of a secret name")

        assert "of a secret name" not in console_of(None).get("/admin/").content.decode()
        assert "of a secret name" in console_of(VIEWER).get("/admin/").content.decode()

    @pytest.mark.parametrize(("limit", "is_due"), [(730, True), (900, False), (0, False)])
    def test_an_old_mkek_is_due(self, mkek, settings, console, limit, is_due):
        settings.MKEK_MAX_DAYS = limit
        MKEK.objects.update(created_at=timezone.now() - timedelta(days=800))
        find(timezone.now())

        listed = console.get(list_url(MKEK, state="due")).context["cl"].result_list
        said = "days ago, so it is due" in console.get(detail_url(MKEK, mkek.pk)).content.decode()

        told = f"The MKEK {mkek.label} was generated more than 730 days ago: replace it."
        assert (page().health.sentence == told) == is_due
        assert ("Attention" in part("keys").state, list(listed) == [mkek], said) == (is_due,) * 3
        assert Notice.objects.filter(kind="mkek-due").exists() == is_due

    def test_old_failures_are_history(self, project):
        place(project, age=timedelta(days=2), status="ERROR")

        assert "All well" in page().health.state

    def test_keys_that_expire_soon_are_named(self, project):
        APIKey.objects.create(name="k", project=project, expires_at=timezone.now() + timedelta(days=3))

        assert page().health.sentence == "1 API key expires within two weeks."


class TestFirstSteps:
    def test_a_fresh_installation_is_told_what_to_do(self, db, console):
        MKEK.objects.all().delete()

        html = console.get("/admin/").content.decode()

        assert "manage.py mkek_generate" in html
        assert [step.is_done for step in page().steps] == [False, False, False]

    def test_what_is_done_is_marked(self, mkek):
        assert [step.is_done for step in page().steps] == [True, False, False]

    def test_they_go_with_the_first_secret(self, project):
        Secret.objects.create(project=project)

        assert page().steps == ()
