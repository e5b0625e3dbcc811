"""The zone in which an operator reads dates: what it is, and choosing another."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _

from keepsite import writes
from keepsite.console.models import Preference
from keepsite.console.zones import DEFAULT, zone_of_browser, zones_by_region
from keepsite.errors import KeepsiteError
from keepsite.readonly import TO_THE_SECOND, Fact, written
from keepsite.translation import gettext_lazy


class ZoneForm(forms.Form):
    """One of the zones that exist; or none, which leaves it to the browser."""

    zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)

    def __init__(self, request: HttpRequest, chosen: str) -> None:
        super().__init__(request.POST if request.method == "POST" else None, initial={"zone": chosen})
        by_itself = _("As the browser says: %(zone)s") % {"zone": zone_of_browser(request)}
        field = self.fields["zone"]
        field.choices = [("", by_itself), (DEFAULT, DEFAULT), *zones_by_region()]  # type: ignore[attr-defined]  # it is a choice


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePage:
    """What time it is, as the console shows it, and the form that changes how."""

    facts: tuple[Fact, ...]
    form: ZoneForm


def time_zone_page(request: HttpRequest, *, now: datetime) -> ZonePage | None:
    """What to show; None once a choice was sent, which is durable then."""
    user = User.objects.get(username=request.user.get_username())
    chosen = Preference.objects.filter(user=user).values_list("zone", flat=True).first()
    form = ZoneForm(request, chosen or "")
    if request.method == "POST" and form.is_valid():
        wanted = form.cleaned_data["zone"]
        own = Preference.objects.filter(user=user)
        try:
            writes.commit(
                lambda: Preference.objects.update_or_create(user=user, defaults={"zone": wanted}),
                committed=own.filter(zone=wanted).exists,
            )
        except KeepsiteError as error:
            form.add_error(None, error.public)
        else:
            return None
    in_utc = now.astimezone(UTC).strftime(TO_THE_SECOND)
    fact = Fact(
        label=_("Now"),
        value=written(now, TO_THE_SECOND),
        note=_("That is %(moment)s in UTC.") % {"moment": in_utc},
    )
    return ZonePage(facts=(fact,), form=form)
