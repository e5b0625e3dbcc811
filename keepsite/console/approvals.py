"""What waits for a second person: the list, a page for each request, and deciding on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts import Act, ActingAdmin, Outcome
from keepsite.acts.act import Rows
from keepsite.approvals import commands, services
from keepsite.approvals.models import ActRequest
from keepsite.errors import Conflict, KeepsiteError, NotAllowed
from keepsite.readonly import (
    ChoiceFilter,
    Detail,
    EmptyState,
    Fact,
    Section,
    StateFilter,
    Table,
    Tone,
    breakable,
    code,
    missing,
    moment,
    pill,
    relative,
    text,
    written,
)
from keepsite.translation import as_recorded, gettext_lazy

UNKNOWN = gettext_lazy("This release does not know the act. Refuse it.")
COMMAND = gettext_lazy(
    "Approving does nothing by itself: it lets who asked run this command once, on the host where they are"
    " logged in, with these very arguments and before it expires. Make sure that who asked, by the name of"
    " that log-in, is somebody else than you."
)
GONE = gettext_lazy(
    "What this is about has changed since it was asked for. Refuse it; ask anew if it is still wanted."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The act that a request names, and the rows it names as they are now."""

    act: Act
    rows: Rows
    is_complete: bool  # all rows are there, and the act makes sense for each

    @classmethod
    def of(cls, request: ActRequest) -> "Asked":
        """What ``request`` is about.

        Raises:
            Conflict: this release has no such act.
        """
        model_admin, act = _act(request)
        empty = HttpRequest()  # lists of the console are the same for all who may see them
        chosen = list(model_admin.get_queryset(empty).filter(pk__in=request.row_ids).order_by("pk"))
        now = timezone.now()
        rows = [row for row in chosen if act.applies_to(row, now=now)]
        return cls(act=act, rows=rows, is_complete=len(rows) == len(request.row_ids))

    @classmethod
    def known(cls, request: ActRequest) -> "Asked | None":
        """The same; None where this release has no such act."""
        try:
            return cls.of(request)
        except Conflict:
            return None

    def carry_out(
        self, request: ActRequest, *, approver: str, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Do it in the name of who asked, with both names in the audit trail.

        Raises:
            KeepsiteError: nothing was done, and its words say why.
        """
        actor = audit.ConsoleOperator(user_id=request.requested_by, approved_by=approver)
        return self.act.perform(self.rows, actor=actor, wanted=wanted)

    def wanted(self, request: ActRequest) -> dict[str, Any]:  # Any: form values
        """What the act's form makes of what it was sent when it was asked for.

        Raises:
            Conflict: it would not be taken any more.
        """
        sent = QueryDict(mutable=True)
        for name, values in request.form.items():
            sent.setlist(name, values)
        form = self.act.form_class(sent, initial=self.act.initial(self.rows), request=HttpRequest())
        if not form.is_valid():
            raise Conflict(_("What was filled in is not accepted any more. Refuse it, and ask anew."))
        return form.cleaned_data


class OwnFilter(ChoiceFilter):
    """What the reader asked for."""

    title = gettext_lazy("yours")
    parameter_name = "own"
    options = (
        ("all", gettext_lazy("asked for by you")),
        ("settled", gettext_lazy("settled in 24 hours")),
    )

    def __init__(
        self, request: HttpRequest, params: Any, model: Any, model_admin: Any
    ) -> None:  # Any: Django's
        self._username = request.user.get_username()
        super().__init__(request, params, model, model_admin)

    def chosen(self, rows: QuerySet[Any], choice: str) -> QuerySet[Any]:  # Any: requests
        """By name; what they decided themselves is no news to them."""
        own = rows.filter(requested_by=self._username)
        return own.filter(services.is_settled_lately(timezone.now())) if choice == "settled" else own


class _Deciding(Act):
    """What approving and refusing have in common: the permission is that of the act itself."""

    permission = "approvals.view_actrequest"
    can_wait = False

    def applies_to(self, row: ActRequest, *, now: datetime) -> bool:
        """What is decided or over stays so."""
        return row.state == ActRequest.State.WAITING and row.expires_at > now

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Who wants what and why, and what it would touch now."""
        if not rows:
            return ()
        (request,) = rows
        asked = Asked.known(request)
        about = asked.act.facts(asked.rows) if asked and asked.is_complete else ()
        return (
            Fact(label=_("Asked for by"), value=breakable(request.requested_by)),
            Fact(label=_("Reason given"), value=request.reason),
            Fact(label=_("Expires"), value=relative(request.expires_at, now=timezone.now())),
            *_filled_in(request),
            *about,
        )

    def table(self, rows: Rows) -> Table | None:
        """The rows it is about, as they are now."""
        asked = Asked.known(rows[0])
        return asked.act.table(asked.rows) if asked and asked.rows else None

    def _require_permission(self, request: ActRequest, user: User | None) -> None:
        """Return if this operator may do the act.

        Raises:
            NotAllowed: they may not, or not any more.
        """
        if user is None or not (user.is_staff and _may_do(request, user)):
            raise NotAllowed(_("You may not do this yourself, so you cannot decide on it."))


class Approve(_Deciding):
    """Have the act carried out, now, by this very request."""

    name = "approve"
    label = gettext_lazy("Approve")
    tone = Tone.BAD
    is_destructive = True

    def is_open_to(self, user: Any, row: ActRequest) -> bool:  # Any: Django's user
        """Those who could do the act themselves, but not who asked for it."""
        return bool(user.get_username() != row.requested_by) and _may_do(row, user)

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Approve: %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:
        """What that means."""
        asked = Asked.known(rows[0])
        if commands.is_about_command(rows[0]):
            return COMMAND
        if asked is None:
            return UNKNOWN
        return asked.act.lead(asked.rows) if asked.is_complete else GONE

    def phrase(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What must be typed."""
        return "approve"

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Carried out at most once: whoever moves the request on carries it out."""
        (request,) = rows
        self._require_permission(request, _operator(actor.user_id))
        if commands.is_about_command(request):
            services.approve(request, actor=actor, reason=wanted["reason"])
            words = _("Approved: %(requested_by)s may run it once, until %(expires_at)s.")
            told = {"requested_by": request.requested_by, "expires_at": written(request.expires_at)}
            return Outcome(done=words % told)
        requester = _operator(request.requested_by)
        if requester is None or not _may_do(request, requester):
            raise Conflict(
                _("%(requested_by)s may not do this any more. Refuse it.")
                % {"requested_by": request.requested_by}
            )
        asked = Asked.of(request)
        if not asked.is_complete:
            raise Conflict(GONE)
        form = asked.wanted(request)
        services.approve(request, actor=actor, reason=wanted["reason"])
        with as_recorded():
            try:
                outcome = asked.carry_out(request, approver=str(actor.user_id), wanted=form)
            except KeepsiteError as error:
                services.finish(request, is_done=False, outcome=str(error.public), actor=actor)
                raise
            words = " ".join((outcome.done, *outcome.refused)).strip()
            services.finish(request, is_done=True, outcome=words, actor=actor)
        return outcome


class Refuse(_Deciding):
    """End a request without the act; who asked withdraws it so."""

    name = "refuse"
    label = gettext_lazy("Refuse")

    def is_open_to(self, user: Any, row: ActRequest) -> bool:  # Any: Django's user
        """Those who could do the act themselves, who asked for it among them."""
        return bool(user.get_username() == row.requested_by) or _may_do(row, user)

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return _("Refuse: %(row)s") % {"row": rows[0]}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _("It is not done. Whoever still wants it asks anew; who asked for it withdraws it so.")

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Durable on return."""
        (request,) = rows
        if actor.user_id != request.requested_by:
            self._require_permission(request, _operator(actor.user_id))
        services.refuse(request, actor=actor, reason=wanted["reason"])
        return Outcome(done=_("Refused: %(request)s.") % {"request": request})


@admin.register(ActRequest)
class ActRequestAdmin(ActingAdmin):
    """Acts that operators asked for, those that wait first."""

    title = gettext_lazy("Approval")
    title_plural = gettext_lazy("Approvals")
    lead = gettext_lazy("Acts that two persons must want: one asks for it, another approves it.")
    empty = EmptyState(
        sentence=gettext_lazy(
            "Nobody has asked for anything. KEEPSITE_TWO_PERSON_ACTS says which acts need two persons."
        )
    )
    state_words: ClassVar = {
        "waiting": gettext_lazy("waiting for approval"),
        "granted": gettext_lazy("approved, to be run by command"),
        "done": gettext_lazy("approved and done"),
        "emergency": gettext_lazy("done without approval"),
        "failed": gettext_lazy("approved, and failed"),
        "unknown": gettext_lazy("approved, end not known"),
        "refused": gettext_lazy("refused or withdrawn"),
        "expired": gettext_lazy("expired"),
    }
    acts = (Approve(), Refuse())
    list_display = ("asked", "shown_state", "asked_by", "asked_at", "until", "decided")
    list_filter = (StateFilter, OwnFilter)
    search_fields = ("=id", "title", "requested_by", "decided_by")
    search_help_text = gettext_lazy("Part of what was asked for, or a name")
    ordering = ("-requested_at", "id")

    def states(self, now: datetime) -> Mapping[str, Q]:
        """Where requests stand."""
        state = ActRequest.State
        return {
            "waiting": services.is_waiting(now),
            "granted": _GRANTED & Q(expires_at__gt=now),
            "done": Q(state=state.DONE) & ~Q(decided_by=""),
            "emergency": services.was_emergency(),
            "failed": Q(state=state.FAILED),
            "unknown": Q(state=state.APPROVED) & ~_GRANTED,
            "refused": Q(state=state.REFUSED),
            "expired": (Q(state=state.WAITING) | _GRANTED) & Q(expires_at__lte=now),
        }

    def detail(self, row: ActRequest, *, now: datetime) -> Detail:
        """What was asked, and what was decided."""
        asked = Section(
            title=_("Asked for"),
            facts=(
                Fact(label=_("By"), value=breakable(row.requested_by)),
                Fact(label=_("Reason"), value=row.reason),
                Fact(label=_("When"), value=relative(row.requested_at, now=now)),
                Fact(label=_("Expires"), value=relative(row.expires_at, now=now)),
                *_filled_in(row),
                Fact(
                    label=_("Id"), value=code(row.pk), note=_("Stands in the audit trail beside both names.")
                ),
            ),
        )
        decided = Section(
            title=_("Decided"),
            facts=(
                Fact(label=_("By"), value=row.decided_by or missing(_nobody(row))),
                Fact(label=_("Reason"), value=text(row.decision_reason)),
                Fact(label=_("When"), value=relative(row.decided_at, now=now, absent=_("not yet"))),
                Fact(label=_("What came of it"), value=text(row.outcome)),
            ),
            note=_note(row),
        )
        return Detail(
            kind=self.title, title=row.title, state=self.shown_state(row), sections=(asked, decided)
        )

    @admin.display(description=gettext_lazy("state"))
    def shown_state(self, row: ActRequest) -> SafeString:
        """In a word."""
        is_open = row.state == ActRequest.State.WAITING or _is_granted(row)
        if is_open and row.expires_at <= timezone.now():
            return pill(_("Expired"), Tone.QUIET)
        if _is_granted(row):
            return pill(_("To be run"), Tone.WAITING)
        if row.state == ActRequest.State.DONE and not row.decided_by:
            return pill(_("Emergency"), Tone.BAD)
        return _PILLS[ActRequest.State(row.state)]()

    @admin.display(description=gettext_lazy("asked for"), ordering="title")
    def asked(self, row: ActRequest) -> SafeString:
        """What is wanted."""
        return breakable(row.title)

    @admin.display(description=gettext_lazy("asked for by"), ordering="requested_by")
    def asked_by(self, row: ActRequest) -> SafeString:
        """Who wants it."""
        return breakable(row.requested_by)

    @admin.display(description=gettext_lazy("asked for"), ordering="requested_at")
    def asked_at(self, row: ActRequest) -> SafeString:
        """Since when."""
        return moment(row.requested_at)

    @admin.display(description=gettext_lazy("expires"), ordering="expires_at")
    def until(self, row: ActRequest) -> SafeString:
        """How long it may be decided."""
        return moment(row.expires_at)

    @admin.display(description=gettext_lazy("decided by"), ordering="decided_by")
    def decided(self, row: ActRequest) -> SafeString | str:
        """Who decided."""
        return row.decided_by or missing(_nobody(row))


_GRANTED = Q(state=ActRequest.State.APPROVED, noun=commands.NOUN)
_PILLS = {
    ActRequest.State.WAITING: lambda: pill(_("Waiting"), Tone.WAITING),
    ActRequest.State.APPROVED: lambda: pill(_("End not known"), Tone.WARNING),
    ActRequest.State.DONE: lambda: pill(_("Done"), Tone.GOOD),
    ActRequest.State.FAILED: lambda: pill(_("Failed"), Tone.BAD),
    ActRequest.State.REFUSED: lambda: pill(_("Refused"), Tone.QUIET),
}


def _is_granted(row: ActRequest) -> bool:
    """Whether a command may be run."""
    return row.state == ActRequest.State.APPROVED and commands.is_about_command(row)


def _nobody(row: ActRequest) -> str:
    return _("nobody") if row.state == ActRequest.State.DONE else _("nobody yet")


def _note(row: ActRequest) -> str:
    if _is_granted(row):
        return _("It has not been run yet.")
    if row.state == ActRequest.State.APPROVED:
        return _("Its process ended while carrying it out: look at what it is about, and ask anew if needed.")
    return ""


def _act(request: ActRequest) -> tuple[ActingAdmin, Act]:
    try:
        model_admin = admin.site.get_model_admin(apps.get_model(request.noun))
    except (LookupError, NotRegistered) as error:
        raise Conflict(UNKNOWN) from error
    for act in getattr(model_admin, "acts", ()):
        if isinstance(model_admin, ActingAdmin) and act.name == request.act:
            return model_admin, act.for_page()
    raise Conflict(UNKNOWN)


def _may_do(request: ActRequest, user: Any) -> bool:  # Any: Django's user
    """Whether ``user`` has the permission of the act; of one that is gone, only who has all rights."""
    if commands.is_about_command(request):
        command = commands.GUARDED.get(request.act)
        return bool(user.is_superuser if command is None else user.has_perms(command.permissions))
    try:
        permission = _act(request)[1].permission
    except Conflict:
        return bool(user.is_superuser)
    return bool(user.has_perm(permission))


def _operator(username: str | None) -> User | None:
    return User.objects.filter(username=username or "", is_active=True).first()


def _filled_in(request: ActRequest) -> tuple[Fact, ...]:
    """What was filled in besides the reason, as it was sent."""
    return tuple(
        Fact(label=name.replace("_", " ").capitalize(), value=text(", ".join(values)))
        for name, values in request.form.items()
        if name != "reason"
    )
