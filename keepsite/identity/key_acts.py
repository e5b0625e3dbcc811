"""What operators do with API keys in the console."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome, ReasonForm, one_by_one
from keepsite.identity import api_keys
from keepsite.identity.models import APIKey
from keepsite.identity.principal import PROJECT_ID_MAX_CHARS
from keepsite.ids import new_id
from keepsite.readonly import Heading, Row, Table, Tone, breakable, detail_url, moment
from keepsite.translation import gettext_lazy

DEFAULT_DAYS = 365
ROLES = {
    "secure": gettext_lazy("reader, member or admin"),
    "legacy": gettext_lazy("observer, creator, audit or admin"),
    "both": gettext_lazy("reader, member or admin; or observer, creator, audit"),
}
KEY_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Name"),
        gettext_lazy("Project"),
        gettext_lazy("User"),
        gettext_lazy("Last used"),
        gettext_lazy("Expires"),
    )
)
_signer = Signer(salt="keepsite.api-key-id")


class NewKeyForm(ReasonForm):
    """Whose key it is, what it may, how long.

    It carries the id of the key to be made, so that sending it twice makes one key.
    """

    name = forms.CharField(
        label=gettext_lazy("What it is for"),
        max_length=PROJECT_ID_MAX_CHARS,
        help_text=gettext_lazy("For you and your colleagues."),
    )
    project = forms.CharField(
        label=gettext_lazy("Project id"),
        max_length=PROJECT_ID_MAX_CHARS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "The project's secrets are all that the key opens. A new id makes a new project."
        ),
    )
    user = forms.CharField(
        label=gettext_lazy("User id"),
        max_length=PROJECT_ID_MAX_CHARS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=gettext_lazy("Stands as creator on what the key makes, and in the audit trail."),
    )
    roles = forms.CharField(label=gettext_lazy("Roles"), initial="member")
    expires_on = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("Empty: never. A key that expires limits the harm of one that leaks."),
    )
    key_id = forms.CharField(widget=forms.HiddenInput)
    field_order = ("name", "project", "user", "roles", "expires_on", "reason", "key_id")

    def __init__(self, *args: Any, **options: Any) -> None:  # Any: Django's own
        super().__init__(*args, **options)
        zone = timezone.get_current_timezone_name()
        self.fields["expires_on"].label = _("Expires at the end of (day in %(zone)s)") % {"zone": zone}
        self.fields["roles"].help_text = _("Separated by commas: %(roles)s.") % {
            "roles": ROLES[settings.ROLE_SET]
        }

    def clean_roles(self) -> list[str]:
        """Each by itself."""
        roles = [role.strip() for role in self.cleaned_data["roles"].split(",") if role.strip()]
        if not roles:
            raise ValidationError(_("Name at least one role, such as member or reader."))
        return roles

    def clean_expires_on(self) -> datetime | None:
        """The end of that day."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        try:
            midnight = datetime.combine(day + timedelta(days=1), time())
        except OverflowError as error:
            raise ValidationError(_("There is no day after this one. Choose an earlier one.")) from error
        end = timezone.make_aware(midnight).astimezone(UTC)  # of the operator's zone
        if end <= timezone.now():
            raise ValidationError(_("This day is over. Choose a later one."))
        return end

    def clean_key_id(self) -> str:
        """The id that the page was given."""
        try:
            return _signer.unsign(self.cleaned_data["key_id"])
        except BadSignature as error:
            raise ValidationError(_("This form is damaged. Open it anew.")) from error


class CreateKey(Act):
    """Make a key and show it, this once."""

    name = "create"
    label = gettext_lazy("Make an API key")
    permission = "identity.add_apikey"
    scope = "list"
    form_class = NewKeyForm
    can_wait = False

    def title(self, rows: object) -> str:  # noqa: ARG002  # there are none
        """What the page asks."""
        return _("Make an API key")

    def lead(self, rows: object) -> str:  # noqa: ARG002
        """How it goes on."""
        return _("The next page shows the key, once. Have the place ready where it will be kept.")

    def initial(self, rows: object) -> dict[str, Any]:  # noqa: ARG002
        """A year, and an id for this very key."""
        last_day = timezone.localdate() + timedelta(days=DEFAULT_DAYS)
        return {"key_id": _signer.sign(new_id()), "expires_on": last_day}

    def perform(
        self,
        rows: object,  # noqa: ARG002
        *,
        actor: audit.Actor,
        wanted: dict[str, Any],  # Any: form values
    ) -> Outcome:
        """The key is in the answer to this POST alone, which no cache may keep."""
        key, text_of_key = api_keys.create_api_key(
            project_id=wanted["project"],
            user_id=wanted["user"],
            roles=wanted["roles"],
            name=wanted["name"],
            expires_at=wanted["expires_on"],
            reason=wanted["reason"],
            key_id=wanted["key_id"],
            actor=actor,
        )
        return Outcome(
            done="",
            template="console/api_keys/made.html",
            context={
                "title": _("Your new API key"),
                "key": key,
                "text_of_key": text_of_key,
                "detail_url": detail_url(APIKey, key.id),
                "another_url": reverse("admin:identity_apikey_list_act", args=(self.name,)),
            },
        )


class RevokeKey(Act):
    """End keys at once, everywhere."""

    name = "revoke"
    label = gettext_lazy("Revoke")
    permission = "identity.revoke_apikey"
    scope = "many"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: APIKey, *, now: datetime) -> bool:  # noqa: ARG002  # also what has expired
        """A key ends once."""
        return row.revoked_at is None

    def title(self, rows: Any) -> str:  # Any: API keys
        """What the page asks."""
        return (
            _("Revoke the API key %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Revoke %(count)s API keys", "Revoke %(count)s API keys", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Any) -> str:  # noqa: ARG002  # Any: API keys
        """What that means."""
        return _(
            "From the next request on, no node accepts it. This cannot be taken back; what was stored with it"
            " stays. Its client needs another key."
        )

    def table(self, rows: Any) -> Table:  # Any: API keys
        """Who will be locked out, and whether anybody would notice."""
        return Table(
            caption=_("API keys to revoke"),
            headings=KEY_HEADINGS,
            rows=tuple(
                Row.of(
                    KEY_HEADINGS,
                    detail_url(APIKey, key.id),
                    breakable(key.name),
                    breakable(str(key.project)),
                    breakable(key.user_id),
                    moment(key.last_used_at),
                    moment(key.expires_at),
                )
                for key in rows
            ),
        )

    def perform(self, rows: Any, *, actor: audit.Actor, wanted: dict[str, Any]) -> Outcome:  # Any: API keys
        """Each by itself."""
        done, refused = one_by_one(
            rows, lambda key: api_keys.revoke_api_key(key, actor=actor, reason=wanted["reason"])
        )
        words = (
            _("The API key %(row)s is revoked on every node.") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext(
                "%(count)s API key is revoked on every node.",
                "%(count)s API keys are revoked on every node.",
                done,
            )
            % {"count": done}
        )
        return Outcome(done=words if done else "", refused=refused)
