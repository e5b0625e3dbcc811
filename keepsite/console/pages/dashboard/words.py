"""Numbers and states of the dashboard as people read them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.readonly import Tone, pill
from keepsite.translation import gettext_lazy


def many(number: int, words: str) -> str:
    """A number and its noun: ``words`` are those for this number, and say where its ``%(count)s`` stands."""
    return words % {"count": intcomma(number)}


def mark(tone: Tone, *, good: str = gettext_lazy("Well")) -> SafeString:
    """How a part is, in a word."""
    return pill({Tone.BAD: _("Trouble"), Tone.WARNING: _("Attention")}.get(tone, good), tone)
