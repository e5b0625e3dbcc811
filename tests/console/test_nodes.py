"""Nodes and promotions in the console: real node agents' beats, real APIs, the command's own services."""

import json
import re
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from keepsite.console.roles import AUDITOR
from keepsite.nodes import services
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.states import NodeState
from keepsite.readonly import detail_url, list_url
from tests.console.conftest import PASSWORD
from tests.console.pages import act_url
from tests.nodes.conftest import hosts, limits  # noqa: F401  # fixtures
from tests.nodes.test_promotion import ACTOR, AFTER, BEFORE, Site

REASON = {"reason": "ticket 4711"}


@pytest.fixture
def site(hosts, limits, monkeypatch):  # noqa: F811  # fixtures
    """Two green nodes and two blue ones; the console goes by the limits that their agents have."""
    monkeypatch.setattr(NodeLimits, "from_settings", lambda: limits)
    return Site(hosts, limits)


def plain(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def live(console, promotion):
    return json.loads(console.get(f"{detail_url(Promotion, promotion.pk)}live/").content)


def begin(console):
    """Start a promotion as the page does; the promotion, and where its form led."""
    answer = console.post(act_url(Promotion, "start"), {**REASON, "typed": "promote"})
    return Promotion.objects.first(), answer


def buttons(console, row):
    return {button.name for button in console.get(detail_url(type(row), row.pk)).context["acts"]}


class TestPools:
    def test_blue_and_green_stand_side_by_side_and_are_refreshed(self, site, console):
        columns = console.get(list_url(Node)).context["pools"]
        assert [(pool.title, len(pool.table.rows)) for pool in columns] == [("Blue", 2), ("Green", 2)]

        services.want("b1", NodeState.parse("blue drain"), actor=ACTOR, reason="", now=site.now)
        site.pass_time()
        site.pass_time()

        parts = json.loads(console.get(f"{list_url(Node)}pools/live/").content)["parts"]
        assert "1 of 2 API nodes heard and taking requests" in plain(parts["pools"])
        assert "b1 Draining" in plain(parts["pools"])

    def test_what_a_silent_node_last_said_is_not_taken_for_traffic(self, site, console):
        gone_at = timezone.now() - timedelta(minutes=1)
        Node.objects.filter(name="g1").update(requests_in_flight=4711, heartbeat_at=gone_at)

        shown = plain(console.get(list_url(Node)).content.decode())
        assert "Silent Drain Set colour 1.0 not known" in shown
        assert "4711" not in shown
        assert "1 of 2 API nodes heard and taking requests. Carries the traffic." in shown

    def test_a_node_without_a_colour_stands_apart(self, site, console):
        Node.objects.filter(name="b1").update(colour="none")

        titles = [pool.title for pool in console.get(list_url(Node)).context["pools"]]
        assert titles == ["Blue", "Green", "Neither"]

    def test_search_and_filters_narrow_what_is_refreshed_too(self, site, console):
        page = console.get(list_url(Node, state="green"))

        parts = json.loads(console.get(page.context["live_url"]).content)["parts"]
        assert "g1" in parts["pools"]
        assert "b1" not in parts["pools"]


class TestSteering:
    @pytest.mark.parametrize(
        ("act", "fields", "state"),
        [
            ("drain", {}, "green drain"),
            ("colour", {"colour": "blue", "typed": "g1"}, "blue up"),
            ("offline", {"typed": "g1"}, "none down"),
        ],
    )
    def test_the_node_follows_and_the_trail_says_from_what_to_what(
        self, site, console, audited, act, fields, state
    ):
        console.post(act_url(Node, act, "g1"), {**REASON, **fields})
        site.pass_time()

        assert site.states()["g1"] == state
        (record,) = audited("node.state_wanted")
        assert (record["user_id"], record["reason"]) == ("olga", f"{state}: ticket 4711")
        assert (record["before"], record["after"]) == ({"wanted": "green up"}, {"wanted": state})

    def test_undrain_takes_it_back(self, site, console):
        console.post(act_url(Node, "drain", "g1"), REASON)
        site.pass_time()
        assert buttons(console, Node.objects.get(name="g1")) == {"undrain", "colour", "offline"}

        console.post(act_url(Node, "undrain", "g1"), REASON)
        site.pass_time()

        assert site.states()["g1"] == "green up"

    def test_setting_a_colour_takes_the_name_and_a_log_in_that_is_not_long_ago(self, site, console):
        session = console.session
        session["proven_at"] = 0
        session.save()
        sent = {**REASON, "colour": "blue"}
        for proofs in ({}, {"typed": "g2"}, {"typed": "g1", "password": "wrong"}):
            console.post(act_url(Node, "colour", "g1"), sent | proofs)
            assert str(Node.objects.get(name="g1").wanted) == "green up"

        console.post(act_url(Node, "colour", "g1"), {**sent, "typed": "g1", "password": PASSWORD})

        assert str(Node.objects.get(name="g1").wanted) == "blue up"

    def test_what_is_done_most_stands_beside_each_node(self, site, console):
        promotion = site.start()
        services.want("g2", NodeState.parse("green drain"), actor=ACTOR, reason="", now=site.now)

        page = console.get(list_url(Node)).content.decode()

        links = re.findall(r'<a href="([^"]+)" aria-label="([^"]+)">([^<]+)</a>', page)
        assert sorted((label, url) for url, label, _ in links) == sorted(
            (f"{label}: {name}", act_url(Node, act, name))
            for name, first in (("b1", "drain"), ("b2", "drain"), ("g1", "drain"), ("g2", "undrain"))
            for label, act in ((first.capitalize(), first), ("Set colour", "colour"))
        )
        assert "steering" not in live(console, promotion)["parts"]["pools"]

    def test_who_may_not_steer_is_shown_no_way_to(self, site, console_of):
        page = console_of(AUDITOR).get(list_url(Node))

        assert page.status_code == 200
        assert "steering" not in page.content.decode()

    def test_how_many_green_nodes_stay_is_said_first(self, site, console):
        page = console.get(act_url(Node, "drain", "g1")).content.decode()

        assert "1, fewer than the 2 that should stay Too few" in plain(page)

    @pytest.mark.parametrize(("colour", "offered"), [("green", "blue"), ("blue", "green"), ("none", "blue")])
    def test_a_node_without_a_colour_is_not_offered_the_traffic_first(self, site, console, colour, offered):
        Node.objects.filter(name="b1").update(colour=colour, wanted_colour=colour)

        form = console.get(act_url(Node, "colour", "b1")).context["page"].form
        assert form.initial["colour"] == offered

    def test_a_living_node_is_not_forgotten_and_one_that_is_gone_is(self, site, console, audited):
        console.post(act_url(Node, "forget", "b1"), {**REASON, "typed": "b1"})
        assert Node.objects.filter(name="b1").exists()

        Node.objects.filter(name="b1").update(heartbeat_at=timezone.now() - timedelta(hours=1))
        console.post(act_url(Node, "forget", "b1"), {**REASON, "typed": "b1"})

        assert not Node.objects.filter(name="b1").exists()
        assert audited("node.forgotten")[0]["subject"] == "node:b1"


class TestPromotion:
    def test_every_check_is_listed_with_what_it_saw(self, site, console):
        page = console.get(act_url(Promotion, "start")).context["page"]

        assert [plain(fact.value) for fact in page.facts[:9]] == ["Holds"] * 9
        assert "b1 answers its pool and refuses the other" in [fact.label for fact in page.facts]
        assert [(fact.label, fact.value) for fact in page.facts[9:]] == [
            ("First turn green", "b1, b2"),
            ("Then drain and turn blue", "g1, g2"),
        ]

    def test_nothing_is_offered_while_a_check_does_not_hold(self, site, console):
        Node.objects.filter(name="b2").update(pending_migrations=1)

        page = console.get(act_url(Promotion, "start"))

        assert page.context["page"].form is None
        assert "One check does not hold" in page.content.decode()
        begin(console)
        assert not Promotion.objects.exists()

    def test_is_followed_step_by_step_until_it_is_done(self, site, console, audited):
        promotion, answer = begin(console)
        assert answer.url == detail_url(Promotion, promotion.pk)
        assert live(console, promotion)["done"] == 0

        site.until(lambda: live(console, promotion)["done"] == 2)
        told = live(console, promotion)
        assert (told["state"], told["is_over"], told["steps"]) == ("running", False, 6)
        assert "b2 turns green Done" in plain(told["parts"]["steps"])
        site.until(lambda: live(console, promotion)["is_over"])

        told = live(console, promotion)
        assert site.states() == AFTER
        assert site.fewest_green == 2
        assert "have changed places" in told["parts"]["notice"]
        assert "Roll back" in told["parts"]["acts"]
        assert audited("promotion.started")[0]["user_id"] == "olga"

    def test_the_command_shows_and_ends_what_the_console_began(self, site, console, capsys):
        begin(console)
        site.pass_time()

        call_command("promote", "status")
        assert "by olga: ticket 4711" in capsys.readouterr().out
        call_command("promote", "rollback", "--reason", "no", "--no-wait")

        assert Promotion.objects.get().state == Promotion.State.ROLLING_BACK

    def test_is_rolled_back_from_either_page(self, site, console, audited):
        promotion, _ = begin(console)
        site.until(lambda: live(console, promotion)["done"] == 1)
        offered = console.get(list_url(Node)).context["promotion_acts"]
        assert [button.label for button in offered] == ["Roll back"]
        asked = plain(console.get(offered[0].url).content.decode())
        assert "Steps done 1 What it will do b1 drains; b1 turns blue" in asked

        console.post(offered[0].url, REASON)
        assert live(console, promotion)["state"] == "rolling_back"
        site.until(lambda: live(console, promotion)["is_over"])

        assert site.states() == BEFORE
        (record,) = audited("promotion.rolled_back")
        assert (record["before"], record["after"]) == ({"state": "running"}, {"state": "rolling_back"})

    def test_is_rolled_back_after_it_is_done_with_one_button(self, site, console):
        promotion, _ = begin(console)
        site.until(lambda: live(console, promotion)["is_over"])
        assert buttons(console, promotion) == {"rollback"}
        offered = console.get(list_url(Node)).context["promotion_acts"]
        assert [button.label for button in offered] == [
            "Promote blue to green",
            "Roll the last promotion back",
        ]
        Node.objects.filter(name__startswith="g").update(version="0.9")
        asked = plain(console.get(offered[1].url).content.decode())
        assert (
            "g2 turns green g1 turns green b2 drains b2 turns blue b1 drains b1 turns blue"
            in asked.replace(";", "")
        )
        assert "Version that turns green again 0.9 g2, g1" in asked

        console.post(offered[1].url, REASON)
        site.until(lambda: live(console, promotion)["is_over"], silent=["b2"])

        told = live(console, promotion)
        assert told["state"] == "rolled_back"
        assert "Rolled back, but for b2" in told["parts"]["notice"]
        assert "b2 drains, to roll back Passed over" in plain(told["parts"]["steps"])
        assert buttons(console, promotion) == set()

    def test_is_history_once_a_colour_was_set(self, site, console):
        promotion, _ = begin(console)
        site.until(lambda: live(console, promotion)["is_over"])

        console.post(act_url(Node, "colour", "g1"), {**REASON, "colour": "green", "typed": "g1"})

        assert buttons(console, promotion) == set()
        assert (
            "There is nothing to do here"
            in console.get(act_url(Promotion, "rollback", promotion.pk)).content.decode()
        )

    def test_says_why_it_stopped_and_goes_on(self, site, console):
        promotion, _ = begin(console)
        site.until(lambda: live(console, promotion)["state"] == "stopped", silent=["b2"])
        assert "b2" in live(console, promotion)["parts"]["notice"]
        assert buttons(console, promotion) == {"resume", "rollback"}

        site.hosts["b2"].beat(site.now)
        asked = plain(console.get(act_url(Promotion, "resume", promotion.pk)).content.decode())
        assert "What it will do b2 turns green; g1 drains; g1 turns blue; g2 drains" in asked
        console.post(act_url(Promotion, "resume", promotion.pk), REASON)
        site.until(lambda: live(console, promotion)["is_over"])

        assert site.states() == AFTER

    def test_says_when_nobody_takes_the_steps(self, site, console):
        promotion, _ = begin(console)
        Node.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))

        assert "No node is heard" in live(console, promotion)["parts"]["notice"]


class TestForgetting:
    def test_a_node_that_promotions_name_goes_too_and_its_history_stays(self, site, limits):  # noqa: F811
        promotion = site.start()
        site.until(lambda: Promotion.objects.get().open_marker is None)
        later = site.now + timedelta(hours=1)
        services.forget("b1", actor=ACTOR, reason="", now=later, heard_within=limits.heard_within)

        assert not Node.objects.filter(name="b1").exists()
        assert str(promotion.steps.first()) == "turn green b1"
        site.hosts["b1"].beat(later)
        assert Node.objects.get(name="b1").colour == "green"

    def test_not_while_the_open_promotion_is_about_it(self, site, limits):  # noqa: F811
        site.start()

        with pytest.raises(services.Conflict, match="open promotion"):
            services.forget(
                "b1",
                actor=ACTOR,
                reason="",
                now=site.now + timedelta(hours=1),
                heard_within=limits.heard_within,
            )
