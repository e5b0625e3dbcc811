"""Nodes: blue beside green, and one node by itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.acts.pages import Button
from keepsite.nodes.console.live import REFRESH_S, Steering, heard, live_promotion, pools
from keepsite.nodes.console.node_acts import STEER as STEER_NODE
from keepsite.nodes.console.node_acts import Drain, Forget, SetColour, TakeOffline, Undrain
from keepsite.nodes.console.promotion_acts import STEER, STEER_ACTS, StartPromotion
from keepsite.nodes.console.words import ROLE_WORDS, node_pill, state_words
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.nodes.states import Colour
from keepsite.readonly import (
    TO_THE_SECOND,
    ChoiceFilter,
    Detail,
    EmptyState,
    Fact,
    Notice,
    Section,
    StateFilter,
    Tone,
    code,
    relative,
    text,
    written,
)
from keepsite.translation import gettext_lazy

SHOWN_NODES = 500
STEERED_FROM_THE_LIST = {Drain.name, Undrain.name, SetColour.name}


class RoleFilter(ChoiceFilter):
    """What a node does."""

    title = gettext_lazy("role")
    parameter_name = "role"
    options = tuple(ROLE_WORDS.items())


class VersionFilter(ChoiceFilter):
    """Which release a node runs."""

    title = gettext_lazy("version")
    parameter_name = "version"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  # Any: Django's
        """Those that run somewhere."""
        versions = Node.objects.order_by("version").values_list("version", flat=True).distinct()
        return [(version, version) for version in versions]


@admin.register(Node)
class NodeAdmin(ActingAdmin):
    """Every node that ever sent a heartbeat and was not forgotten."""

    title = gettext_lazy("Node")
    title_plural = gettext_lazy("Nodes")
    lead = gettext_lazy("Green nodes carry the traffic; blue ones wait with another release, or rest.")
    empty = EmptyState(
        sentence=gettext_lazy(
            "No node has sent a heartbeat yet. A node agent does, beside each API and worker."
        ),
        commands=("manage.py node_agent",),
    )
    state_words: ClassVar = {
        "green": gettext_lazy("green"),
        "blue": gettext_lazy("blue"),
        "none": gettext_lazy("out of service"),
        "draining": gettext_lazy("draining"),
        "unsettled": gettext_lazy("not what it is to be"),
        "silent": gettext_lazy("without a sign of life"),
        "lost": gettext_lazy("lost"),
    }
    list_display = ("name", "role", "version")
    column_words: ClassVar = {
        "name": gettext_lazy("name"),
        "role": gettext_lazy("role"),
        "version": gettext_lazy("version"),
    }
    list_filter = (StateFilter, RoleFilter, VersionFilter)
    search_fields = ("name", "version", "address")
    search_help_text = gettext_lazy("Part of a name, version or address")
    ordering = ("name",)
    list_per_page = SHOWN_NODES
    change_list_template = "console/nodes/list.html"
    acts = (Drain(), Undrain(), SetColour(), TakeOffline(), Forget())

    def get_urls(self) -> list[URLPattern]:
        """Also what the list asks for while it is open."""
        live = path("pools/live/", self._guarded(self.live_view), name="nodes_node_live")
        return [live, *super().get_urls()]

    def states(self, now: datetime) -> Mapping[str, Q]:
        """By column; "silent" as of now, "lost" as the schedule noticed it."""
        settled = Q(wanted_colour=F("colour"), wants_draining=F("is_draining"))
        return {
            **{str(colour): Q(colour=colour) for colour in Colour},
            "draining": Q(is_draining=True),
            "unsettled": ~settled,
            "silent": Q(heartbeat_at__lt=now - NodeLimits.from_settings().heard_within),
            "lost": Q(lost_at__isnull=False),
        }

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponse:
        """The nodes by colour, and the open promotion."""
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            now, limits = timezone.now(), NodeLimits.from_settings()
            shown = response.context_data["cl"].result_list
            promotion = Promotion.objects.filter(open_marker=True).first()
            response.context_data |= {
                "pools": pools(shown, now=now, limits=limits, steering=self._steering(request, now)),
                "live": live_promotion(promotion, now=now, limits=limits) if promotion else None,
                "promotion_acts": _promotion_buttons(request, promotion),
                "live_url": reverse("admin:nodes_node_live", query=request.GET or None),
                "refresh_s": REFRESH_S,
            }
        return response

    def _steering(self, request: HttpRequest, now: datetime) -> Steering | None:
        """What may be done from the list, if this operator may do any of it."""
        if not request.user.has_perm(STEER_NODE):
            return None
        return lambda node: [
            button
            for button in self.buttons_of(request, node, now=now)
            if button.name in STEERED_FROM_THE_LIST
        ]

    def live_view(self, request: HttpRequest) -> JsonResponse:
        """The parts of the list that change while one looks."""
        response = self.changelist_view(request)
        if not isinstance(response, TemplateResponse) or "pools" not in (response.context_data or {}):
            raise Http404
        context = response.context_data
        return JsonResponse(
            {
                "is_over": False,
                "parts": {
                    "promotion": render_to_string("console/nodes/parts/_open_promotion.html", context),
                    "pools": render_to_string("console/nodes/parts/_found.html", context),
                },
            }
        )

    def detail(self, row: Node, *, now: datetime) -> Detail:
        """What it is, what it is to be, and how it does."""
        limits = NodeLimits.from_settings()
        return Detail(
            kind=self.title,
            title=row.name,
            state=node_pill(row, now=now, limits=limits),
            notice=_notice(row, now=now, limits=limits),
            sections=(
                Section(
                    title=_("Colour"),
                    facts=(
                        Fact(label=_("Is"), value=state_words(row.state), note=_("as its file says")),
                        Fact(label=_("Is to be"), value=state_words(row.wanted)),
                        Fact(label=_("Wanted by"), value=text(row.wanted_by)),
                        Fact(
                            label=_("Wanted"), value=relative(row.wanted_at, now=now, absent=_("never said"))
                        ),
                    ),
                ),
                Section(
                    title=_("How it does"),
                    facts=(
                        Fact(label=_("Role"), value=ROLE_WORDS[row.role]),
                        Fact(label=_("Version"), value=code(row.version)),
                        Fact(
                            label=_("Schema"),
                            value=_("%(pending_migrations)s migrations to come")
                            % {"pending_migrations": row.pending_migrations}
                            if row.pending_migrations
                            else _("has every migration of its code"),
                        ),
                        Fact(
                            label=_("Under way"),
                            value=text(row.requests_in_flight),
                            note=_("requests; of a node that takes nothing new, its busy workers too"),
                        ),
                        Fact(label=_("Address"), value=code(row.address)),
                        Fact(label=_("Heard"), value=_heard(row, now=now, limits=limits)),
                        Fact(label=_("Lost"), value=relative(row.lost_at, now=now, absent=_("no"))),
                        Fact(label=_("First heard"), value=relative(row.registered_at, now=now)),
                    ),
                ),
            ),
        )


def _heard(node: Node, *, now: datetime, limits: NodeLimits) -> SafeString | str:
    """As in the list; of a silent node also how long ago."""
    if node.is_heard(now=now, within=limits.heard_within):
        return heard(node, now=now, limits=limits)
    return relative(node.heartbeat_at, now=now)


def _notice(node: Node, *, now: datetime, limits: NodeLimits) -> Notice | None:
    if not node.is_heard(now=now, within=limits.heard_within):
        words = _(
            "No heartbeat since %(heartbeat_at)s. Its balancer's view is its own: this page knows"
            " only that the node agent or its database connection is away."
        ) % {"heartbeat_at": written(node.heartbeat_at, TO_THE_SECOND)}
        return Notice(tone=Tone.BAD if node.lost_at else Tone.WARNING, message=words)
    if node.wanted != node.state:
        words = _("It is to be %(state)s, and follows within seconds.") % {"state": state_words(node.wanted)}
        return Notice(tone=Tone.WAITING, message=words)
    return None


def _promotion_buttons(request: HttpRequest, promotion: Promotion | None) -> list[Button]:
    """What leads on from here: to start one, or out of the open one."""
    if not request.user.has_perm(STEER):
        return []
    if promotion is None:
        start = reverse("admin:nodes_promotion_list_act", args=(StartPromotion.name,))
        return [
            Button(label=_("Promote blue to green"), url=start, tone=Tone.QUIET),
            *_way_out(Promotion.objects.first(), _("Roll the last promotion back")),
        ]
    return _way_out(promotion)


def _way_out(promotion: Promotion | None, label: str = "") -> list[Button]:
    """What may be done about it now; ``label`` in place of the acts' own."""
    now = timezone.now()
    return [
        Button(
            label=label or act.label,
            url=reverse("admin:nodes_promotion_act", args=(promotion.pk, act.name)),
            tone=act.tone,
        )
        for act in STEER_ACTS
        if promotion is not None and act.applies_to(promotion, now=now)
    ]
