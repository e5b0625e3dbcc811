"""Promotions: their history, and one as it goes, step by step."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import Q
from django.http import Http404, HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.nodes.console.live import REFRESH_S, live_promotion, pools
from keepsite.nodes.console.promotion_acts import STEER_ACTS, StartPromotion
from keepsite.nodes.console.words import PROMOTION_STATES, promotion_pill
from keepsite.nodes.limits import NodeLimits
from keepsite.nodes.models import Node, Promotion
from keepsite.readonly import (
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Section,
    StateFilter,
    breakable,
    code,
    moment,
    relative,
    text,
)
from keepsite.translation import gettext_lazy, lowercased


@admin.register(Promotion)
class PromotionAdmin(ActingAdmin):
    """Exchanges of blue and green: started, watched, rolled back, and what became of them."""

    title = gettext_lazy("Promotion")
    title_plural = gettext_lazy("Promotions")
    lead = gettext_lazy(
        "A release on the blue nodes takes over, one node at a time, and the old one waits for a way back."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "Nothing was ever promoted here. Promote lists what must hold first, and starts nothing yet."
        )
    )
    state_words: ClassVar = {
        "open": gettext_lazy("not ended"),
        **{state: lowercased(word) for state, (word, _tone) in PROMOTION_STATES.items()},
    }
    list_display = ("created", "state", "asked_by", "why", "ended")
    list_filter = (StateFilter, CreatedFilter)
    search_fields = ("=id", "started_by", "reason")
    search_help_text = gettext_lazy("Who, part of the reason, or an id")
    ordering = ("-created_at", "id")
    detail_template = "console/nodes/promotion.html"
    acts = (StartPromotion(), *STEER_ACTS)

    def get_urls(self) -> list[URLPattern]:
        """Also what the page of a promotion asks for while it is open."""
        live = path("<str:object_id>/live/", self._guarded(self.live_view), name="nodes_promotion_live")
        return [live, *super().get_urls()]

    def states(self, now: datetime) -> Mapping[str, Q]:  # noqa: ARG002  # by column
        """As they stand."""
        return {"open": Q(open_marker=True), **{state: Q(state=state) for state in PROMOTION_STATES}}

    def detail(self, row: Promotion, *, now: datetime) -> Detail:
        """Who and why; how far it is stands above."""
        return Detail(
            kind=self.title,
            title=_("Promote blue to green"),
            state=format_html('<span data-live-part="state">{}</span>', promotion_pill(row)),
            sections=(
                Section(
                    title=_("Who and when"),
                    facts=(
                        Fact(label=_("Started by"), value=text(row.started_by)),
                        Fact(label=_("Why"), value=text(row.reason)),
                        Fact(label=_("Started"), value=relative(row.created_at, now=now)),
                        Fact(label=_("Ended"), value=relative(row.ended_at, now=now, absent=_("not yet"))),
                        Fact(label=_("Id"), value=code(row.pk)),
                    ),
                ),
            ),
        )

    def detail_context(
        self, request: HttpRequest, row: Promotion, *, now: datetime
    ) -> dict[str, Any]:  # Any: template values
        """How far it is, and the nodes as they are now."""
        limits = NodeLimits.from_settings()
        return {
            **super().detail_context(request, row, now=now),
            "live": live_promotion(row, now=now, limits=limits),
            "pools": pools(Node.objects.all(), now=now, limits=limits),
            "live_url": reverse("admin:nodes_promotion_live", args=(row.pk,)),
            "refresh_s": REFRESH_S,
        }

    def live_view(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """How far it is: figures, and the parts of its page that change with them."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        context = self.detail_context(request, row, now=timezone.now())
        live = context["live"]
        return JsonResponse(
            {
                "state": row.state,
                "is_over": live.is_over,
                "done": live.done,
                "steps": live.total,
                "problem": row.problem,
                "parts": {
                    "state": live.state,
                    "acts": render_to_string("console/parts/_acts.html", context),
                    "notice": render_to_string("console/parts/_notice.html", {"notice": live.notice}),
                    "steps": render_to_string("console/nodes/parts/_steps.html", context),
                    "pools": render_to_string("console/nodes/parts/_pools.html", context),
                },
            }
        )

    @admin.display(description=gettext_lazy("started"), ordering="created_at")
    def created(self, row: Promotion) -> SafeString:
        """When."""
        return moment(row.created_at)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state(self, row: Promotion) -> SafeString:
        """In a word."""
        return promotion_pill(row)

    @admin.display(description=gettext_lazy("started by"), ordering="started_by")
    def asked_by(self, row: Promotion) -> SafeString:
        """Who."""
        return breakable(row.started_by)

    @admin.display(description=gettext_lazy("why"), ordering="reason")
    def why(self, row: Promotion) -> SafeString:
        """As whoever started it said."""
        return breakable(row.reason)

    @admin.display(description=gettext_lazy("ended"), ordering="ended_at")
    def ended(self, row: Promotion) -> SafeString:
        """When it was over."""
        return moment(row.ended_at, absent=_("not ended"))
