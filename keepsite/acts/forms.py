"""The forms that stand between an operator and an act."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from keepsite.acts.proof import ProofForm
from keepsite.translation import gettext_lazy

if TYPE_CHECKING:
    from django.http import QueryDict

REASON_MAX_CHARS = 255
UNDER_THE_KEYBOARD = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
PROOFS = ("typed", "password", "code")


class ReasonForm(ProofForm):
    """Why it is done: stands in the audit record, for whoever asks later."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_MAX_CHARS,
        help_text=gettext_lazy("Kept in the audit trail. A ticket number helps whoever asks later."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order: Sequence[str] = ("reason", *PROOFS)

    def __init__(
        self,
        *args: Any,  # Any: Django's own
        phrase: str = "",
        **options: Any,  # Any: Django's own
    ) -> None:
        super().__init__(*args, **options)
        self._phrase = phrase
        if phrase:
            self.fields["typed"] = forms.CharField(
                label=_("Type “%(phrase)s” to confirm") % {"phrase": phrase},
                widget=forms.TextInput(attrs=UNDER_THE_KEYBOARD),
            )
        if self.wants_proof:
            self.fields["password"].help_text = _("Asked again because you logged in a while ago.")
        self.order_fields(self.field_order)

    def clean_typed(self) -> str:
        """Refuse anything but the phrase."""
        typed: str = self.cleaned_data["typed"]
        if typed != self._phrase:
            raise ValidationError(_("This is not the same as “%(phrase)s”.") % {"phrase": self._phrase})
        return typed

    def sent(self) -> dict[str, list[str]]:
        """What the act itself was sent, as it came and without proofs, to be sent again later."""
        data = cast("QueryDict", self.data)  # what a browser sends
        return {name: data.getlist(name) for name in self.fields if name in data and name not in PROOFS}
