from datetime import datetime, timedelta

from django.db import models
from django.utils import timezone

from keepsite.columns import ExactCharField
from keepsite.ids import new_id
from keepsite.nodes.states import Colour, NodeState

COLOURS = [(str(colour), str(colour)) for colour in Colour]


class KnownNodes(models.Manager["Node"]):
    """All nodes but those that operators had forgotten."""

    def get_queryset(self) -> models.QuerySet["Node"]:
        """Those."""
        return super().get_queryset().filter(forgotten_at=None)


class Node(models.Model):
    """A host that runs Keepsite: what its agent last reported, and what operators want of it.

    ``version`` and ``pending_migrations`` are those of the code on that host.
    ``requests_in_flight`` is what its API worked on at the last heartbeat; while its workers are
    to take nothing, those that still hold something count too.  ``lost_at`` is when the schedule
    noticed that it had sent none for long; the next one unsets it.  ``forgotten_at`` stands in rows that
    the steps of promotions still name; a heartbeat unsets that too.
    """

    class Role(models.TextChoices):
        API = "api", "API"
        WORKER = "worker", "worker"

    name = ExactCharField(primary_key=True, max_length=64, editable=False)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.API)
    version = models.CharField(max_length=32)
    address = models.CharField(max_length=255, help_text="base URL of its API, as other nodes reach it")
    pending_migrations = models.PositiveIntegerField(default=0)
    requests_in_flight = models.PositiveIntegerField(default=0)
    colour = models.CharField(max_length=8, choices=COLOURS, default=Colour.NONE)
    is_draining = models.BooleanField(default=False)
    wanted_colour = models.CharField(max_length=8, choices=COLOURS, default=Colour.NONE)
    wants_draining = models.BooleanField(default=False)
    wanted_by = models.CharField(max_length=255, blank=True, default="")
    wanted_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField()
    lost_at = models.DateTimeField(null=True)
    forgotten_at = models.DateTimeField(null=True)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = KnownNodes()
    every = models.Manager["Node"]()

    class Meta:
        ordering = ("name",)
        permissions = (
            ("steer_node", "Can drain a node and set its colour"),
            ("forget_node", "Can forget a node that is gone"),
        )

    def __str__(self) -> str:
        return str(self.name)

    @property
    def state(self) -> NodeState:
        """What its state file said at the last heartbeat."""
        return NodeState(Colour(self.colour), self.is_draining)

    @property
    def wanted(self) -> NodeState:
        """What operators want it to be."""
        return NodeState(Colour(self.wanted_colour), self.wants_draining)

    def is_heard(self, *, now: datetime, within: timedelta) -> bool:
        """Whether its last heartbeat is recent."""
        return self.heartbeat_at >= now - within


class Promotion(models.Model):
    """One change of which nodes are green, in steps; at most one is open at a time.

    ``lease_until`` belongs to whoever takes the next step; any node agent may.
    """

    class State(models.TextChoices):
        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped: a step failed, nothing moves until an operator decides"
        ROLLING_BACK = "rolling_back", "rolling back"
        DONE = "done", "done"
        ROLLED_BACK = "rolled_back", "rolled back"

    OPEN = (State.RUNNING, State.STOPPED, State.ROLLING_BACK)

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.RUNNING)
    # True while it is open and NULL after: a unique index that every engine understands
    open_marker = models.BooleanField(null=True, unique=True, default=True, editable=False)
    started_by = models.CharField(max_length=255)
    reason = models.CharField(max_length=255)
    problem = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    lease_by = models.CharField(max_length=36, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at", "id")
        permissions = (("steer_promotion", "Can start, resume and roll back a promotion"),)

    def __str__(self) -> str:
        return f"promotion {self.id}"


class PromotionStep(models.Model):
    """One act on one node; a rollback appends its own steps."""

    class Act(models.TextChoices):
        TO_GREEN = "to_green", "turn green"
        DRAIN = "drain", "drain"
        TO_BLUE = "to_blue", "turn blue"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        DROPPED = "dropped", "dropped: rolled back before its turn"

    id = ExactCharField(primary_key=True, max_length=36, default=new_id, editable=False)
    promotion = models.ForeignKey(Promotion, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="+")
    act = models.CharField(max_length=8, choices=Act.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    is_rollback = models.BooleanField(default=False)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("promotion", "position")
        constraints = (
            models.UniqueConstraint(fields=["promotion", "position"], name="promotion_step_position"),
        )

    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.node_id}"

    @property
    def is_passed_over(self) -> bool:
        """Whether a rollback went on without it; other steps are dropped when a rollback begins."""
        return self.is_rollback and self.state == self.State.DROPPED
