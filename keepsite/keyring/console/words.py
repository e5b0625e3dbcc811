"""States, kinds and scopes of keys and runs, as the console says them."""

from datetime import timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString

from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.rotation.scope import Scope
from keepsite.readonly import Tone, missing, pill, written

# Each state as a word, and what it means.
MKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    MKEK.State.PENDING: ("Pending", Tone.WAITING, "On the token; it wraps nothing yet."),
    MKEK.State.CURRENT: ("Current", Tone.GOOD, "It wraps new pKEKs."),
    MKEK.State.PREVIOUS: ("Previous", Tone.WARNING, "It unwraps only, until its last pKEK is rewrapped."),
    MKEK.State.RETIRED: ("Retired", Tone.QUIET, "It unwraps nothing any more."),
}
PKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    ProjectKEK.State.ACTIVE: ("Active", Tone.GOOD, "It seals new payloads and opens its own."),
    ProjectKEK.State.DECRYPT_ONLY: (
        "Decrypt only",
        Tone.WARNING,
        "It opens its payloads until the last of them has moved to a newer generation.",
    ),
    ProjectKEK.State.RETIRED: ("Retired", Tone.QUIET, "It opens nothing any more."),
}
RUN_STATES: dict[str, tuple[str, Tone]] = {
    KEKRun.State.QUEUED: ("Queued", Tone.WAITING),
    KEKRun.State.RUNNING: ("Running", Tone.WAITING),
    KEKRun.State.PAUSED: ("Paused", Tone.WARNING),
    KEKRun.State.DONE: ("Done", Tone.GOOD),
    KEKRun.State.FAILED: ("Failed", Tone.BAD),
    KEKRun.State.CANCELLED: ("Cancelled", Tone.QUIET),
}
RUN_KINDS: dict[str, str] = {
    KEKRun.Kind.REWRAP: "Rewrap pKEKs",
    KEKRun.Kind.ROTATE: "Rotate pKEKs",
    KEKRun.Kind.REENCRYPT: "Re-encrypt payloads",
}
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def mkek_pill(mkek: MKEK) -> SafeString:
    """Its state."""
    word, tone, _ = MKEK_STATES[mkek.state]
    return pill(word, tone)


def pkek_pill(pkek: ProjectKEK) -> SafeString:
    """Its state."""
    word, tone, _ = PKEK_STATES[pkek.state]
    return pill(word, tone)


def scope_words(told: dict[str, object]) -> str:
    """What a run is about: "pKEKs of project p1, made before 2026-01-31"."""
    scope = Scope.read(told)
    words = [f"project {scope.project}" if scope.project else "all projects"]
    if scope.mkek:
        words.append(f"wrapped by {scope.mkek}")
    if scope.over_encryptions is not None:
        words.append(f"sealed more than {intcomma(scope.over_encryptions)}")
    if scope.created_before:
        words.append(f"made before {written(scope.created_before)}")
    return ", ".join(words)


def lasting(seconds: float | None) -> SafeString | str:
    """A stretch of time as people say it, in at most two units: "2 h 5 min"."""
    if seconds is None:
        return missing("not known")
    left = round(seconds)
    if left < 1:
        return "less than 1 s"
    parts = []
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s")):
        number, left = divmod(left, unit_s)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])


def between(duration: timedelta) -> SafeString | str:
    """How long something took."""
    return lasting(duration.total_seconds())


def rate_words(rate: float | None) -> str:
    """A limit of rows per second."""
    return "as fast as it goes" if rate is None else f"{rate:g} rows/s at most"


def speed_words(per_second: float) -> str:
    """How fast a run is."""
    return f"{per_second:.0f} rows/s" if per_second >= 10 else f"{per_second:.1f} rows/s"  # noqa: PLR2004  # two digits


def rows_words(number: int, noun: str) -> str:
    """A number of rows; of one, the plural loses its s."""
    return f"{intcomma(number)} {noun.removesuffix('s') if number == 1 else noun}"
