"""Lists and pages with buttons, each for an act."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts.act import Act, Outcome, Rows
from keepsite.acts.exports import MEDIA_TYPES, exported
from keepsite.acts.forms import ReasonForm
from keepsite.acts.pages import ActPage, Button
from keepsite.acts.previews import Preview, name_of_choices
from keepsite.acts.recent_login import is_recent, prove
from keepsite.approvals import services as approvals
from keepsite.approvals.models import ActRequest
from keepsite.errors import KeepsiteError
from keepsite.readonly import Notice, ReadOnlyAdmin, Tone, detail_url, faults, list_url
from keepsite.translation import as_recorded, gettext_lazy

if TYPE_CHECKING:
    from django.db.models import QuerySet

MAX_ROWS = 100  # of one act; a list shows 50
SHOWN_REFUSALS = 5
PREVIEWED = Notice(
    tone=Tone.QUIET,
    message=gettext_lazy("Nothing is done yet. This is what it will touch, counted just now."),
)


class ActingAdmin(ReadOnlyAdmin):
    """A read-only list whose rows, and whose pages, offer what ``acts`` declare.

    Each act has a page under ``acts/NAME/``, of the list or of a row: GET shows what it
    would touch, POST does it.  Who lacks its permission is not offered it and gets 403.
    """

    acts: ClassVar[tuple[Act, ...]] = ()
    export_fields: ClassVar[Mapping[str, str]] = {}  # heading to look-up; never anything ``unseen``

    def get_urls(self) -> list[URLPattern]:
        """The read-only ones, and one of each act."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view(self.act_view)
        export = path("export/<str:kind>/", self._guarded(self.export_view), name=f"{name}_export")
        return [
            *([export] if self.export_fields else []),
            path("acts/<str:act_name>/", view, name=f"{name}_list_act"),
            path("<str:object_id>/acts/<str:act_name>/", view, name=f"{name}_act"),
            *super().get_urls(),
        ]

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # Any: template values
    ) -> HttpResponse:
        """The list, with what may be done to it and to ticked rows of it."""
        allowed = [act for act in self.acts if request.user.has_perm(act.permission)]
        buttons = {
            "list_acts": [self._button(act) for act in allowed if act.scope == "list"],
            "row_acts": [self._button(act) for act in allowed if act.scope == "many"],
            "exports": self._exports(request),
        }
        return super().changelist_view(request, {**(extra_context or {}), **buttons})

    def detail_context(
        self, request: HttpRequest, row: Any, *, now: datetime
    ) -> dict[str, Any]:  # Any: theirs
        """What may be done to this row, by this operator, now."""
        return {"acts": self.buttons_of(request, row, now=now)}

    def buttons_of(self, request: HttpRequest, row: Any, *, now: datetime) -> list[Button]:  # Any: theirs
        """Those of the acts that this operator may do to this row now."""
        return [
            self._button(act, row)
            for act in self.acts
            if act.scope != "list"
            and request.user.has_perm(act.permission)
            and act.is_open_to(request.user, row)
            and act.applies_to(row, now=now)
        ]

    def act_view(self, request: HttpRequest, act_name: str, object_id: str | None = None) -> HttpResponseBase:
        """Ask first, then do."""
        act = self._permitted_act(request, act_name, object_id)
        chosen = self._chosen(request, act, object_id)
        back_url = detail_url(self.model, unquote(object_id)) if object_id else list_url(self.model)
        if act.scope != "list" and not chosen:
            if object_id:
                raise Http404
            messages.warning(
                request, _("Tick at least one row, then choose %(label)s.") % {"label": act.label}
            )
            return HttpResponseRedirect(back_url)
        if not all(act.is_open_to(request.user, row) for row in chosen):
            raise PermissionDenied
        now = timezone.now()
        rows = [row for row in chosen if act.applies_to(row, now=now)]
        form = preview = None
        if not act.is_idle(rows):
            form = self._form(request, act, rows)
            if request.method == "POST" and form.is_valid():
                if form.wants_proof:
                    prove(request=request)
                preview = self._preview(request, act, rows, form)
                if preview is None and not form.errors:
                    answer = self._perform(request, act, rows, form, back_url=back_url)
                    if answer is not None:
                        return answer
        left_out = len(chosen) - len(rows)
        return self._page(request, act, rows, form, preview=preview, left_out=left_out, back_url=back_url)

    def _permitted_act(self, request: HttpRequest, act_name: str, object_id: str | None) -> Act:
        act = next((act for act in self.acts if act.name == act_name), None)
        if act is None or (act.scope == "list") != (object_id is None and act.scope != "many"):
            raise Http404
        if not (request.user.has_perm(act.permission) and self.has_view_permission(request)):
            raise PermissionDenied
        return act.for_page()

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """The whole list, as narrowed by search and filters, as a file."""
        if kind not in MEDIA_TYPES:
            raise Http404
        if not self._may_export(request):
            raise PermissionDenied
        changelist = self.get_changelist_instance(request)
        if faults(changelist):  # the list says which
            return HttpResponseRedirect(f"{list_url(self.model)}?{request.GET.urlencode()}")
        found = changelist.get_queryset(request)
        noun = str(self.opts.model_name)
        audit.record(
            f"{noun}.exported",
            actor=audit.ConsoleOperator(user_id=request.user.get_username()),
            subject=f"{noun} list",
            reason=request.GET.urlencode(),
        )
        response = StreamingHttpResponse(
            exported(found, self.export_fields, kind=kind), content_type=MEDIA_TYPES[kind]
        )
        name = f"keepsite-{noun}-{timezone.now():%Y%m%d-%H%M%S}.{kind}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _may_export(self, request: HttpRequest) -> bool:
        permission = f"{self.opts.app_label}.export_{self.opts.model_name}"
        return request.user.has_perm(permission) and self.has_view_permission(request)

    def _exports(self, request: HttpRequest) -> list[Button]:
        if not (self.export_fields and self._may_export(request)):
            return []
        view = f"admin:{self.opts.app_label}_{self.opts.model_name}_export"
        narrowed = request.GET.copy()
        narrowed.pop(PAGE_VAR, None)
        return [
            Button(
                label=kind.upper(),
                url=reverse(view, args=(kind,), query=narrowed or None),
                tone=Tone.QUIET,
            )
            for kind in MEDIA_TYPES
        ]

    def _button(self, act: Act, row: Any = None) -> Button:  # Any: a row of this admin's model
        view = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if row is None:
            url = reverse(f"{view}_list_act", args=(act.name,))
        else:
            url = reverse(f"{view}_act", args=(quote(str(row.pk)), act.name))
        return Button(label=act.label, url=url, tone=act.tone, name=act.name)

    def _chosen(self, request: HttpRequest, act: Act, object_id: str | None) -> list[Any]:  # Any: rows
        if act.scope == "list":
            return []
        ids = [unquote(object_id)] if object_id else _ids(request)
        rows: QuerySet[Any] = self.get_queryset(request)  # Any: this admin's model
        return list(rows.filter(pk__in=ids[:MAX_ROWS]).order_by("pk"))

    def _form(self, request: HttpRequest, act: Act, rows: Rows) -> ReasonForm:
        linked = {name: value for name, value in request.GET.items() if name in act.linked_fields}
        return act.form_class(
            request.POST if request.method == "POST" else None,
            initial=act.initial(rows) | linked,
            request=request,
            phrase=act.phrase(rows) if act.is_destructive else "",
            wants_proof=(act.is_destructive or act.needs_recent_login) and not is_recent(request),
        )

    def _preview(self, request: HttpRequest, act: Act, rows: Rows, form: ReasonForm) -> Preview | None:
        """What is to be seen before these choices are acted on; None if it was, or cannot be done at all."""
        choices = name_of_choices(form)
        if not act.previews or request.POST.get("previewed") == choices:
            return None
        actor = audit.ConsoleOperator(user_id=request.user.get_username())
        try:
            return Preview(choices=choices, facts=act.preview(rows, actor=actor, wanted=form.cleaned_data))
        except KeepsiteError as error:
            form.add_error(None, error.public)
            return None

    def _perform(
        self, request: HttpRequest, act: Act, rows: Rows, form: ReasonForm, *, back_url: str
    ) -> HttpResponseBase | None:
        actor = audit.ConsoleOperator(user_id=request.user.get_username())
        try:
            if self._needs_approval(act):
                return self._ask(request, act, rows, form, actor=actor)
            outcome = act.perform(rows, actor=actor, wanted=form.cleaned_data)
        except KeepsiteError as error:
            form.add_error(None, error.public)
            return None
        if outcome.template:
            return TemplateResponse(request, outcome.template, {**self._context(request), **outcome.context})
        _tell(request, outcome)
        if outcome.url:
            return HttpResponseRedirect(outcome.url)
        if len(rows) == 1 and not self.model._default_manager.filter(pk=rows[0].pk).exists():  # noqa: SLF001  # Django's
            back_url = list_url(self.model)
        return HttpResponseRedirect(back_url)

    def _needs_approval(self, act: Act) -> bool:
        return act.can_wait and approvals.needs_approval(self.opts.label_lower, act.name)

    def _label(self, act: Act, *, is_previewed: bool) -> str:
        if act.previews and not is_previewed:
            return _("Show what it touches")
        return _("Ask for approval") if self._needs_approval(act) else act.label

    def _notice(self, act: Act, left_out: int, *, is_asked_for: bool) -> Notice | None:
        if left_out:
            words = ngettext(
                "One of the chosen rows is left out: %(label)s makes no sense in the state it is in.",
                "%(count)s of the chosen rows are left out: %(label)s makes no sense in the state they are"
                " in.",
                left_out,
            )
            return Notice(tone=Tone.WARNING, message=words % {"count": left_out, "label": act.label})
        if is_asked_for and self._needs_approval(act):
            return Notice(
                tone=Tone.WAITING,
                message=_(
                    "Two persons are needed for this: you ask for it, and another operator approves it."
                ),
            )
        return None

    def _ask(
        self, request: HttpRequest, act: Act, rows: Rows, form: ReasonForm, *, actor: audit.Actor
    ) -> HttpResponseBase:
        with as_recorded():
            title = act.title(rows)
        asked = approvals.ask(
            noun=self.opts.label_lower,
            act=act.name,
            title=title,
            row_ids=[str(row.pk) for row in rows],
            form=form.sent(),
            reason=form.cleaned_data["reason"],
            actor=actor,
        )
        messages.success(
            request,
            _("Asked for: %(title)s. It is done when another operator approves it.") % {"title": asked.title},
        )
        return HttpResponseRedirect(detail_url(ActRequest, asked.pk))

    def _page(  # noqa: PLR0913  # all that the page shows
        self,
        request: HttpRequest,
        act: Act,
        rows: Rows,
        form: ReasonForm | None,
        *,
        preview: Preview | None,
        left_out: int,
        back_url: str,
    ) -> HttpResponse:
        page = ActPage(
            title=act.title(rows) if rows or act.scope == "list" else act.label,
            lead=act.lead(rows) if form else "",
            notice=PREVIEWED if preview else self._notice(act, left_out, is_asked_for=form is not None),
            facts=preview.facts if preview else act.facts(rows),
            table=act.table(rows) if rows else None,
            form=form,
            idle="" if form else act.idle_words(rows),
            ids=tuple(str(row.pk) for row in rows),
            previewed=preview.choices if preview else "",
            label=self._label(act, is_previewed=preview is not None),
            is_destructive=act.is_destructive,
            back_url=back_url,
        )
        context = {**self._context(request), "title": page.title, "page": page}
        return TemplateResponse(request, "console/act.html", context)

    def _context(self, request: HttpRequest) -> dict[str, Any]:  # Any: template values
        request.current_app = self.admin_site.name
        return {
            **self.admin_site.each_context(request),
            "list_title": self.title_plural,
            "list_url": list_url(self.model),
        }


def _ids(request: HttpRequest) -> list[str]:
    sent = request.POST if request.method == "POST" else request.GET
    return sent.getlist("id")


def _tell(request: HttpRequest, outcome: Outcome) -> None:
    if outcome.done:
        messages.success(request, outcome.done)
    for refusal in outcome.refused[:SHOWN_REFUSALS]:
        messages.warning(request, refusal)
    if len(outcome.refused) > SHOWN_REFUSALS:
        more = len(outcome.refused) - SHOWN_REFUSALS
        messages.warning(request, _("%(more)s more were left alone for reasons like these.") % {"more": more})
