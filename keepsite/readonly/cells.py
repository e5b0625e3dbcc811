"""How single values look, in lists and on pages alike."""

from enum import StrEnum

from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.translation import gettext_lazy

KIB_BYTES = 1024
SHORT_ID_CHARS = 8
CHUNK_CHARS = 16


class Tone(StrEnum):
    """How a state is meant; the word beside it says the same, so colour is never alone."""

    GOOD = "good"
    WAITING = "waiting"
    WARNING = "warning"
    BAD = "bad"
    QUIET = "quiet"


def pill(word: str, tone: Tone) -> SafeString:
    """A state as a word with a coloured mark."""
    return render_to_string("console/parts/_status_pill.html", {"word": word, "tone": tone})


def text(value: object) -> SafeString | str:
    """Any value as a person reads it; what is absent says so."""
    match value:
        case None | "":
            return missing()
        case SafeString():
            return value
        case int():
            return intcomma(value)
        case _:
            return str(value)


def missing(word: str = gettext_lazy("none")) -> SafeString:
    """The absence of a value, set apart from a value that reads the same."""
    return format_html('<span class="missing">{}</span>', word)


def breakable(name: str) -> SafeString:
    """A name that a narrow column may break, also where it is one long word; copied, it is unbroken."""
    if all(len(word) <= CHUNK_CHARS for word in name.replace("-", " ").split()):
        return format_html("{}", name)
    chunks = (name[start : start + CHUNK_CHARS] for start in range(0, len(name), CHUNK_CHARS))
    return format_html_join(mark_safe("<wbr>"), "{}", ((chunk,) for chunk in chunks))


def short_id(value: str) -> SafeString:
    """The beginning of an id, which tells rows of one list apart; its page has the whole."""
    return format_html('<code title="{}">{}…</code>', value, value[:SHORT_ID_CHARS])


def unbroken(words: str) -> SafeString:
    """Words that stay on one line."""
    return format_html('<span class="unbroken">{}</span>', words)


def code(value: str | None) -> SafeString:
    """An identifier, in a face that tells 0 from O; one click selects it all."""
    return format_html('<code class="identifier">{}</code>', value) if value else missing()


def link(url: str, label: object) -> SafeString:
    """A link to another page of the console."""
    return format_html('<a href="{}">{}</a>', url, label)


def data_size(size_bytes: int | None, absent: str = gettext_lazy("none")) -> SafeString | str:
    """A number of bytes with its unit; past 10 KiB in KiB too, since exact bytes matter near a limit."""
    if size_bytes is None:
        return missing(absent)
    words = ngettext("%(count)s byte", "%(count)s bytes", size_bytes) % {"count": intcomma(size_bytes)}
    exact = words.replace(" ", "\N{NO-BREAK SPACE}")
    if size_bytes < 10 * KIB_BYTES:
        return exact
    return _("%(exact)s (%(number)s KiB)") % {"exact": exact, "number": f"{size_bytes / KIB_BYTES:.1f}"}


def bits(bit_length: int | None, absent: str = gettext_lazy("not said")) -> SafeString | str:
    """A key length as its owner gave it."""
    if bit_length is None:
        return missing(absent)
    words = ngettext("%(count)s bit", "%(count)s bits", bit_length) % {"count": bit_length}
    return words.replace(" ", "\N{NO-BREAK SPACE}")
