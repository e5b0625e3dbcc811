from datetime import timedelta

import pytest
from django.utils import timezone

from keepsite.errors import Conflict, NotAllowed
from keepsite.identity.operators import command_principal
from keepsite.identity.principal import Principal
from keepsite.nodes import services as nodes
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.promotion import runner, services
from keepsite.nodes.promotion.preflight import preflight
from keepsite.nodes.states import Colour, NodeState

ACTOR = command_principal()


class Site:
    """Lets time pass: every agent beats, then a step is taken."""

    def __init__(self, hosts, limits):
        self.hosts, self.limits, self.now = hosts, limits, timezone.now()
        self.fewest_green = len(hosts)

    def pass_time(self, seconds=6, silent=()):
        self.now += timedelta(seconds=seconds)
        for host in self.hosts.values():
            if host.name not in silent:
                host.beat(self.now)
        green = [host for host in self.hosts.values() if host.state == "green up"]
        self.fewest_green = min(self.fewest_green, len(green))
        runner.advance(self.limits, now=self.now)

    def start(self):
        return services.start(self.limits, actor=ACTOR, reason="release 2", now=self.now)

    def until(self, condition, silent=()):
        for _ in range(60):
            self.pass_time(silent=silent)
            if condition():
                return
        raise AssertionError(self.states())

    def states(self):
        return {host.name: host.state for host in self.hosts.values()}


@pytest.fixture
def site(hosts, limits):
    return Site(hosts, limits)


def ended(promotion, state):
    def look():
        promotion.refresh_from_db()
        return promotion.state == state

    return look


BEFORE = {"g1": "green up", "g2": "green up", "b1": "blue up", "b2": "blue up"}
AFTER = {"g1": "blue up", "g2": "blue up", "b1": "green up", "b2": "green up"}


class TestStart:
    def test_blue_and_green_change_places_and_two_stay_green(self, site):
        promotion = site.start()

        site.until(ended(promotion, Promotion.State.DONE))

        assert site.states() == AFTER
        assert site.fewest_green == 2

    def test_each_act_is_in_the_audit_trail(self, site, audited):
        promotion = site.start()
        site.until(ended(promotion, Promotion.State.DONE))

        assert [record["subject"] for record in audited("node.state_wanted")] == [
            "node:b1", "node:b2", "node:g1", "node:g1", "node:g2", "node:g2",
        ]  # fmt: skip
        assert audited("promotion.started")[0]["reason"] == "release 2"

    def test_callers_of_the_api_may_not(self, site):
        caller = Principal(project_id="p1", user_id="u1", roles=frozenset({"admin"}), method="api_key")

        with pytest.raises(NotAllowed):
            services.start(site.limits, actor=caller, reason="mine", now=site.now)

    def test_only_one_is_open(self, site):
        site.start()

        with pytest.raises(Conflict, match="no other promotion is open"):
            site.start()


class TestPreflight:
    def failed(self, site):
        return [check.name for check in preflight(site.limits, now=site.now) if not check.holds]

    def test_all_holds_on_a_sound_site(self, site):
        assert self.failed(site) == []

    def test_a_silent_node(self, site):
        site.now += timedelta(seconds=60)

        assert self.failed(site) == ["every node sends heartbeats"]

    def test_two_versions_of_blue(self, site):
        site.hosts["b1"].version = "2.0"
        site.hosts["b1"].beat()

        assert self.failed(site) == ["the blue nodes run one version"]

    def test_a_schema_that_is_behind(self, site):
        Node.objects.filter(name="b1").update(pending_migrations=1)

        assert self.failed(site) == ["the schema has every migration of the blue nodes"]

    def test_a_node_that_has_not_followed_yet(self, site):
        nodes.want("b1", NodeState(Colour.BLUE, draining=True), actor=ACTOR, reason="", now=site.now)

        assert self.failed(site) == ["every node is what it should be"]

    def test_too_few_blue_nodes(self, site):
        nodes.want("b1", NodeState(Colour.NONE), actor=ACTOR, reason="", now=site.now)
        site.pass_time()
        site.pass_time()

        assert self.failed(site) == ["at least 2 nodes are blue"]

    def test_a_node_that_does_not_guard_its_colour(self, site):
        site.hosts["b1"].path.write_text("green up\n")

        assert self.failed(site) == ["b1 answers its pool and refuses the other"]

    def test_a_node_whose_api_is_gone(self, site):
        site.hosts["b2"].server.server_close()

        assert self.failed(site) == ["b2 answers its pool and refuses the other"]

    def test_a_refusal_names_what_does_not_hold(self, site):
        Node.objects.filter(name="b1").update(pending_migrations=1)

        with pytest.raises(Conflict, match="wait for `migrate`"):
            site.start()


class TestTrouble:
    def test_a_node_that_goes_silent_stops_it_and_green_stays(self, site):
        promotion = site.start()

        site.until(ended(promotion, Promotion.State.STOPPED), silent=["b2"])

        assert "b2" in promotion.problem
        assert site.states() == BEFORE | {"b1": "green up"}

    def test_it_goes_on_where_it_stopped(self, site):
        promotion = site.start()
        site.until(ended(promotion, Promotion.State.STOPPED), silent=["b2"])

        site.hosts["b2"].beat(site.now)
        services.resume(promotion, actor=ACTOR, reason="b2 is back")
        site.until(ended(promotion, Promotion.State.DONE))

        assert site.states() == AFTER

    def test_requests_that_do_not_end_stop_it(self, site):
        site.hosts["g1"].busy = 3
        promotion = site.start()

        site.until(ended(promotion, Promotion.State.STOPPED))

        assert promotion.problem.startswith("g1 still has 3 requests under way")
        assert site.states()["g1"] == "green drain"

    def test_never_fewer_green_nodes_than_wanted(self, site):
        promotion = site.start()
        site.until(lambda: site.states()["b2"] == "green up")
        nodes.want("b1", NodeState(Colour.NONE), actor=ACTOR, reason="fault", now=site.now)
        nodes.want("g2", NodeState(Colour.NONE), actor=ACTOR, reason="fault", now=site.now)

        site.until(ended(promotion, Promotion.State.STOPPED))

        assert "at least 2 must stay" in promotion.problem
        assert site.states()["g1"] == "green up"

    def test_what_runs_cannot_be_resumed(self, site):
        with pytest.raises(Conflict, match="not stopped"):
            services.resume(site.start(), actor=ACTOR, reason="why not")


class TestRollback:
    @pytest.mark.parametrize("steps", range(0, 40, 3))
    def test_from_any_moment_every_node_gets_its_old_colour_again(self, site, steps):
        promotion = site.start()
        for _ in range(steps):
            site.pass_time()

        services.roll_back(promotion, actor=ACTOR, reason="errors")
        site.until(ended(promotion, Promotion.State.ROLLED_BACK))

        assert site.states() == BEFORE
        assert site.fewest_green == 2

    def test_a_stopped_one_can_be_rolled_back(self, site):
        promotion = site.start()
        site.until(ended(promotion, Promotion.State.STOPPED), silent=["b2"])

        services.roll_back(promotion, actor=ACTOR, reason="b2 is dead")
        site.until(ended(promotion, Promotion.State.ROLLED_BACK))

        assert site.states() == BEFORE

    def test_twice_is_refused(self, site):
        promotion = site.start()
        services.roll_back(promotion, actor=ACTOR, reason="errors")

        with pytest.raises(Conflict, match="being rolled back already"):
            services.roll_back(promotion, actor=ACTOR, reason="again")

    def test_a_node_taken_offline_meanwhile_stays_offline(self, site):
        promotion = site.start()
        site.until(lambda: site.states()["g1"] == "blue up")
        for name in ("g1", "b2"):
            nodes.want(name, NodeState(Colour.NONE), actor=ACTOR, reason="fault", now=site.now)
        services.roll_back(promotion, actor=ACTOR, reason="errors")
        nodes.want("b1", NodeState(Colour.BLUE), actor=ACTOR, reason="by hand", now=site.now)

        site.until(ended(promotion, Promotion.State.STOPPED))

        assert "at least 2 must stay" in promotion.problem
        assert (site.states()["g1"], site.states()["b2"]) == ("none down", "none down")


class TestRollbackOfOneThatIsDone:
    @pytest.fixture
    def done(self, site):
        promotion = site.start()
        site.until(ended(promotion, Promotion.State.DONE))
        return promotion

    def back(self, promotion):
        services.roll_back(promotion, actor=ACTOR, reason="the release crashes")

    def test_it_is_open_again_until_it_is_over(self, site, done):
        self.back(done)

        assert (done.open_marker, done.ended_at, done.state) == (True, None, Promotion.State.ROLLING_BACK)
        with pytest.raises(Conflict, match="no other promotion is open"):
            site.start()
        site.until(ended(done, Promotion.State.ROLLED_BACK))
        assert done.ended_at == site.now
        assert site.states() == BEFORE

    @pytest.mark.parametrize("dead", [["b2"], ["b1", "b2"]])
    def test_new_green_nodes_that_are_dead_keep_nobody_waiting(self, site, done, audited, dead):
        site.pass_time(30, silent=dead)
        self.back(done)

        site.until(ended(done, Promotion.State.ROLLED_BACK), silent=dead)

        assert site.fewest_green == 2
        assert [site.states()[name] for name in ("g1", "g2")] == ["green up", "green up"]
        passed_over = audited("promotion.step_passed_over")
        assert {record["after"]["wanted"] for record in passed_over} == {"green drain", "blue up"}
        assert len(passed_over) == 2 * len(dead)
        site.pass_time()
        assert site.states() == BEFORE  # heard again, it follows

    def test_an_old_node_that_is_dead_stays_blue_and_a_new_one_green_in_its_place(self, site, done):
        self.back(done)

        site.until(ended(done, Promotion.State.STOPPED), silent=["g1"])

        assert "at least 2 must stay" in done.problem
        assert site.states() == AFTER | {"g2": "green up", "b2": "blue up"}
        assert Node.objects.get(name="g1").wanted == NodeState(Colour.BLUE)

    def test_and_is_tried_again_once_it_is_mended(self, site, done):
        self.back(done)
        site.until(ended(done, Promotion.State.STOPPED), silent=["g1"])

        site.hosts["g1"].beat(site.now)
        services.resume(done, actor=ACTOR, reason="g1 is back")
        site.until(ended(done, Promotion.State.ROLLED_BACK))

        assert site.states() == BEFORE
        assert not any(step.is_passed_over for step in done.steps.all())

    def test_one_that_dies_on_its_turn_is_passed_over_too(self, site, done):
        self.back(done)
        site.until(lambda: site.states()["b2"] == "green drain")

        site.until(ended(done, Promotion.State.ROLLED_BACK), silent=["b2"])

        assert {step.node_id for step in done.steps.all() if step.is_passed_over} == {"b2"}

    def test_not_after_a_colour_was_set_by_hand(self, site, done):
        nodes.want("g1", NodeState(Colour.GREEN), actor=ACTOR, reason="more room", now=site.now)

        with pytest.raises(Conflict, match="g1 is to be green up"):
            self.back(done)
        assert Promotion.objects.get().state == Promotion.State.DONE

    def test_a_bad_node_may_have_been_drained_or_taken_out_before(self, site, done):
        nodes.want("b1", NodeState(Colour.GREEN, draining=True), actor=ACTOR, reason="bad", now=site.now)
        nodes.want("b2", NodeState(Colour.NONE), actor=ACTOR, reason="worse", now=site.now)
        self.back(done)

        site.until(ended(done, Promotion.State.ROLLED_BACK))

        assert site.states() == BEFORE | {"b2": "none down"}

    def test_not_when_nobody_is_left_to_take_over(self, site, done):
        for name in ("g1", "g2"):
            nodes.want(name, NodeState(Colour.NONE), actor=ACTOR, reason="scrapped", now=site.now)

        with pytest.raises(Conflict, match="every node that was green before it is out of service"):
            self.back(done)

    def test_only_the_last_one_and_only_once(self, site, done):
        site.now += timedelta(seconds=1)
        second = site.start()
        site.until(ended(second, Promotion.State.DONE))

        with pytest.raises(Conflict, match="a later promotion"):
            self.back(done)
        self.back(second)
        site.until(ended(second, Promotion.State.ROLLED_BACK))
        with pytest.raises(Conflict, match="was rolled back"):
            self.back(second)


class TestAudit:
    def test_every_step_the_stop_and_the_end_say_what_changed(self, site, audited):
        promotion = site.start()
        site.until(ended(promotion, Promotion.State.STOPPED), silent=["b2"])
        site.hosts["b2"].beat(site.now)
        services.resume(promotion, actor=ACTOR, reason="b2 is back")
        site.until(ended(promotion, Promotion.State.DONE))

        steps = [
            (r["subject"], r["before"]["wanted"], r["after"]["wanted"]) for r in audited("node.state_wanted")
        ]
        assert steps == [
            ("node:b1", "blue up", "green up"), ("node:b2", "blue up", "green up"),
            ("node:g1", "green up", "green drain"), ("node:g1", "green drain", "blue up"),
            ("node:g2", "green up", "green drain"), ("node:g2", "green drain", "blue up"),
        ]  # fmt: skip
        (stopped,), (end,) = audited("promotion.stopped"), audited("promotion.ended")
        assert (stopped["before"], stopped["after"]) == (
            {"state": "running"},
            {"state": "stopped", "step": "turn green b2"},
        )
        assert "b2" in stopped["reason"]
        assert (end["before"], end["after"]["state"]) == ({"state": "running"}, "done")
        assert {end["user_id"], stopped["user_id"]} == {ACTOR.user_id}
        assert {end["method"], stopped["method"]} == {"promotion"}


class TestLease:
    def test_whoever_dies_holding_it_is_replaced(self, site):
        promotion = site.start()
        Promotion.objects.update(lease_by="dead", lease_until=site.now + timedelta(seconds=15))

        site.pass_time(1)
        assert not promotion.steps.exclude(state="waiting").exists()
        site.pass_time(20)

        assert promotion.steps.first().state == "running"
