"""Runs: their history, and one run as it goes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q
from django.http import Http404, HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.acts import ActingAdmin
from keepsite.keyring.console.live import REFRESH_S, live_run, run_pill
from keepsite.keyring.console.starting import START_ACTS
from keepsite.keyring.console.steering import STEER_ACTS
from keepsite.keyring.console.words import (
    RUN_KINDS,
    RUN_STATES,
    between,
    lasting,
    rate_words,
    scope_words,
    speed_words,
)
from keepsite.keyring.models import KEKRun, KEKRunFailure, ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.readonly import (
    ChoiceFilter,
    CreatedFilter,
    Detail,
    EmptyState,
    Fact,
    Heading,
    Row,
    Section,
    StateFilter,
    Table,
    breakable,
    code,
    detail_url,
    missing,
    moment,
    relative,
    text,
    unbroken,
)
from keepsite.translation import gettext_lazy, lowercased

SHOWN_FAILURES = 100
FAILURE_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Row"),
        gettext_lazy("What it is"),
        gettext_lazy("Error"),
        gettext_lazy("What to do"),
        gettext_lazy("Failed"),
    )
)
ROW_KINDS = {
    "projectkek": gettext_lazy("pKEK"),
    "payload": gettext_lazy("payload of a secret"),
    "orderpassphrase": gettext_lazy("pass phrase of an order"),
}
ADVICE = {
    "IntegrityFailed": gettext_lazy(
        "The stored bytes are not what was written. Restore the row from a backup."
    ),
    "MKEKNotFound": gettext_lazy("No HSM member has its master key. Clone or import it, then try again."),
    "KeyNotFound": gettext_lazy("No HSM member has its master key. Clone or import it, then try again."),
    "CallRefused": gettext_lazy(
        "The HSM refused. Of every pKEK: the new MKEK is not marked as trusted, see ceremony.md."
    ),
    "CanaryMismatch": gettext_lazy("A member holds another key under this id. Remove it there, then clone."),
    "UnknownFormat": gettext_lazy("A newer release wrote it. Let that release run this."),
}
OTHER_ADVICE = gettext_lazy("The log names the cause, by the row's id.")


class KindFilter(ChoiceFilter):
    """What a run does."""

    title = gettext_lazy("kind")
    parameter_name = "kind"
    options = tuple(RUN_KINDS.items())


@admin.register(KEKRun)
class KEKRunAdmin(ActingAdmin):
    """Rotations: started, watched, paused, and what became of them."""

    title = gettext_lazy("Rotation run")
    title_plural = gettext_lazy("Rotation runs")
    lead = gettext_lazy(
        "Keys are replaced while traffic flows. Workers do it, a moment at a time; a run may be paused, and"
        " killed at any moment, without harm."
    )
    empty = EmptyState(
        sentence=gettext_lazy(
            "No key was ever replaced here. Start with what a button above offers: it shows what it"
            " would touch first."
        )
    )
    state_words: ClassVar = {
        "open": gettext_lazy("not ended"),
        **{state: lowercased(word) for state, (word, _tone) in RUN_STATES.items()},
        "stalled": gettext_lazy("stalled: no sign of life"),
    }
    list_display = ("created", "kind_shown", "state", "about", "progress", "started_by", "why", "duration")
    column_words: ClassVar = {"started_by": gettext_lazy("started by")}
    list_filter = (StateFilter, KindFilter, CreatedFilter)
    search_fields = ("=id", "started_by", "reason")
    search_help_text = gettext_lazy("Who, part of the reason, or a run's id")
    ordering = ("-created_at",)
    detail_template = "console/keyring/run.html"
    acts = (*START_ACTS, *STEER_ACTS)

    def get_urls(self) -> list[URLPattern]:
        """Also what the page of a run asks for while it is open."""
        live = path("<str:object_id>/live/", self._guarded(self.live_view), name="keyring_kekrun_live")
        return [live, *super().get_urls()]

    def states(self, now: datetime) -> Mapping[str, Q]:
        """By column; a run whose runner gives no sign is told apart."""
        silent = Q(heartbeat_at=None) | Q(heartbeat_at__lt=now - timedelta(seconds=runs.LOST_AFTER_S))
        return {
            "open": ~Q(state__in=runs.ENDED),
            **{state: Q(state=state) for state in RUN_STATES},
            "stalled": Q(state=KEKRun.State.RUNNING) & silent,
        }

    def detail(self, row: KEKRun, *, now: datetime) -> Detail:
        """What it is about; how far it is stands above."""
        return Detail(
            kind=self.title,
            title=RUN_KINDS[row.kind],
            state=format_html('<span data-live-part="state">{}</span>', run_pill(row, now=now)),
            sections=(
                Section(
                    title=_("What it is about"),
                    facts=(
                        Fact(label=_("Scope"), value=scope_words(row.scope)),
                        Fact(label=_("Pace"), value=rate_words(row.rate)),
                        Fact(
                            label=_("Batch"),
                            value=_("%(batch_rows)s rows of one transaction")
                            % {"batch_rows": row.batch_rows},
                        ),
                        Fact(
                            label=_("Done by"),
                            value=_("workers") if row.by_workers else _("the command that started it"),
                        ),
                    ),
                ),
                Section(
                    title=_("Who and when"),
                    facts=(
                        Fact(label=_("Started by"), value=text(row.started_by)),
                        Fact(label=_("Why"), value=text(row.reason)),
                        Fact(label=_("Asked for"), value=relative(row.created_at, now=now)),
                        Fact(
                            label=_("Taken up"), value=relative(row.started_at, now=now, absent=_("not yet"))
                        ),
                        Fact(label=_("Ended"), value=relative(row.ended_at, now=now, absent=_("not yet"))),
                        Fact(label=_("At work for"), value=lasting(row.busy_s)),
                        Fact(label=_("Run id"), value=code(row.id)),
                    ),
                ),
            ),
        )

    def detail_context(
        self, request: HttpRequest, row: KEKRun, *, now: datetime
    ) -> dict[str, Any]:  # Any: template values
        """How far it is, and what failed."""
        return {
            **super().detail_context(request, row, now=now),
            "live": live_run(row, now=now),
            "failures": (failures := _failures(row)),
            "failures_left_out": _left_out(row, failures),
            "live_url": reverse("admin:keyring_kekrun_live", args=(row.pk,)),
            "refresh_s": REFRESH_S,
        }

    def live_view(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """How far a run is: numbers, and the parts of its page that change with them."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        now = timezone.now()
        context = self.detail_context(request, row, now=now)
        live, progress = context["live"], runs.progress(row)
        return JsonResponse(
            {
                "state": row.state,
                "is_stalled": runs.is_lost(row, now=now),
                "is_over": live.is_over,
                "done": progress.done,
                "left": progress.left,
                "failed": progress.failed,
                "per_second": round(progress.per_second, 1),
                "eta_s": None if progress.eta_s is None else round(progress.eta_s),
                "parts": {
                    "state": live.state,
                    "acts": render_to_string("console/parts/_acts.html", context),
                    "notice": render_to_string("console/parts/_notice.html", {"notice": live.notice}),
                    "progress": render_to_string("console/keyring/parts/_progress.html", context),
                    "failures": render_to_string("console/keyring/parts/_failures.html", context),
                },
            }
        )

    @admin.display(description=gettext_lazy("asked for"), ordering="created_at")
    def created(self, run: KEKRun) -> SafeString:
        """When."""
        return moment(run.created_at)

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def kind_shown(self, run: KEKRun) -> str:
        """What it does."""
        return RUN_KINDS[run.kind]

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state(self, run: KEKRun) -> SafeString:
        """In a word."""
        return run_pill(run, now=timezone.now())

    @admin.display(description=gettext_lazy("about"))
    def about(self, run: KEKRun) -> SafeString:
        """Which keys."""
        return breakable(scope_words(run.scope))

    @admin.display(description=gettext_lazy("rows"), ordering="rows_done")
    def progress(self, run: KEKRun) -> SafeString:
        """Done, failed, left, and how fast; each stays on one line."""
        words = [_("%(rows_done)s done") % {"rows_done": text(run.rows_done)}]
        words += (
            [_("%(rows_failed)s failed") % {"rows_failed": text(run.rows_failed)}] if run.rows_failed else []
        )
        words += [_("%(rows_left)s left") % {"rows_left": text(run.rows_left)}] if run.rows_left else []
        per_second = runs.progress(run).per_second
        words += [speed_words(per_second)] if per_second else []
        return format_html_join(", ", "{}", ((unbroken(phrase),) for phrase in words))

    @admin.display(description=gettext_lazy("why"), ordering="reason")
    def why(self, run: KEKRun) -> SafeString:
        """As whoever started it said."""
        return breakable(run.reason) if run.reason else text("")  # type: ignore[return-value]  # a missing value is safe

    @admin.display(description=gettext_lazy("took"))
    def duration(self, run: KEKRun) -> SafeString | str:
        """From when it was taken up to its end."""
        if run.started_at is None or run.ended_at is None:
            return missing(_("not ended"))
        return unbroken(str(between(run.ended_at - run.started_at)))


def _failures(run: KEKRun) -> Table | None:
    """Rows that it could not do, newest first; None if there are none."""
    if not run.rows_failed:
        return None
    failed = list(run.failures.order_by("-failed_at", "id")[:SHOWN_FAILURES])
    urls = _urls(failed)
    return Table(
        caption=_("Rows that failed"),
        headings=FAILURE_HEADINGS,
        rows=tuple(
            Row.of(
                FAILURE_HEADINGS,
                urls.get(one.row_id, ""),
                code(one.row_id),
                ROW_KINDS.get(one.row_kind, one.row_kind),
                code(one.error),
                ADVICE.get(one.error, OTHER_ADVICE),
                moment(one.failed_at),
            )
            for one in failed
        ),
    )


def _left_out(run: KEKRun, shown: Table | None) -> str:
    """That there are more failures than ``shown``, and how many in all; empty where these are all."""
    if shown is None or len(shown.rows) < SHOWN_FAILURES:
        return ""
    total = run.failures.count()
    if total == len(shown.rows):
        return ""
    return _(
        "These are the newest %(shown)s of %(total)s. Trying again takes up all of them; what fails once more"
        " stands here again."
    ) % {"shown": intcomma(len(shown.rows)), "total": intcomma(total)}


def _urls(failed: Sequence[KEKRunFailure]) -> dict[str, str]:
    """The page of each row, where it has one: a payload's is its secret's."""
    payloads = [one.row_id for one in failed if one.row_kind == "payload"]
    secrets = apps.get_model("secrets_app.Payload").objects.filter(id__in=payloads) if payloads else None
    found = {} if secrets is None else dict(secrets.values_list("id", "secret_id"))
    model = apps.get_model("secrets_app.Secret")
    urls = {row_id: detail_url(model, secret_id) for row_id, secret_id in found.items()}
    pkeks = (one.row_id for one in failed if one.row_kind == "projectkek")
    return urls | {row_id: detail_url(ProjectKEK, row_id) for row_id in pkeks}
