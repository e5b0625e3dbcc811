from collections.abc import Sequence

from django.http import QueryDict

from keepsite.errors import InvalidInput

TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


def is_true(text: str, *, name: str) -> bool:
    """What a yes-or-no query parameter says.

    Raises:
        InvalidInput: neither yes nor no.
    """
    value = text.strip().lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise InvalidInput(f"{name} must be yes or no, written as one of {', '.join(sorted(TRUE | FALSE))}.")


def chosen(query: QueryDict, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Which of these parameters ``query`` gives, and how; empty ones count as not given."""
    return tuple((name, text) for name in names if (text := query.get(name)))
