"""Numbers and states of the dashboard as people read them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString

from keepsite.readonly import Tone, pill


def many(number: int, one: str, several: str) -> str:
    """A number and its noun."""
    return f"{intcomma(number)} {one if number == 1 else several}"


def mark(tone: Tone, *, good: str = "Well") -> SafeString:
    """How a part is, in a word."""
    return pill({Tone.BAD: "Trouble", Tone.WARNING: "Attention"}.get(tone, good), tone)
