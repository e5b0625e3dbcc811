"""Django's translation for words that are written before there is a reader: in modules and classes.

All of it is typed as the text that it becomes, since whatever shows words takes these too.  What is
stored, sent or compared must be plain text: ``str()`` makes it so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import cast

from django.conf import settings
from django.utils import functional, text, timezone, translation


def gettext_lazy(message: str) -> str:
    """``message`` in the language of whoever reads it, found when it is shown."""
    return cast("str", translation.gettext_lazy(message))


def format_lazy(message: str, **values: object) -> str:
    """A lazy ``message`` with its ``{names}`` filled in, when it is shown."""
    return cast("str", text.format_lazy(message, **values))


@functional.keep_lazy_text
def lowercased(words: str) -> str:
    """Lazy ``words`` as they stand in a list of choices; lower case, when they are shown."""
    return words.lower()


@contextmanager
def as_recorded() -> Iterator[None]:
    """Make words as everybody reads them later, whoever acts: in English, with moments in UTC."""
    with translation.override(settings.LANGUAGE_CODE), timezone.override(UTC):
        yield
