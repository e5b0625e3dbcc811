"""States, kinds and scopes of keys and runs, as the console says them."""

from datetime import timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.keyring.models import MKEK, KEKRun, ProjectKEK
from keepsite.keyring.rotation.scope import Scope
from keepsite.readonly import Tone, missing, pill, written
from keepsite.translation import gettext_lazy

# Each state as a word, and what it means.
MKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    MKEK.State.PENDING: (
        gettext_lazy("Pending"),
        Tone.WAITING,
        gettext_lazy("On the token; it wraps nothing yet."),
    ),
    MKEK.State.CURRENT: (gettext_lazy("Current"), Tone.GOOD, gettext_lazy("It wraps new pKEKs.")),
    MKEK.State.PREVIOUS: (
        gettext_lazy("Previous"),
        Tone.WARNING,
        gettext_lazy("It unwraps only, until its last pKEK is rewrapped."),
    ),
    MKEK.State.RETIRED: (gettext_lazy("Retired"), Tone.QUIET, gettext_lazy("It unwraps nothing any more.")),
}
PKEK_STATES: dict[str, tuple[str, Tone, str]] = {
    ProjectKEK.State.ACTIVE: (
        gettext_lazy("Active"),
        Tone.GOOD,
        gettext_lazy("It seals new payloads and opens its own."),
    ),
    ProjectKEK.State.DECRYPT_ONLY: (
        gettext_lazy("Decrypt only"),
        Tone.WARNING,
        gettext_lazy("It opens its payloads until the last of them has moved to a newer generation."),
    ),
    ProjectKEK.State.RETIRED: (
        gettext_lazy("Retired"),
        Tone.QUIET,
        gettext_lazy("It opens nothing any more."),
    ),
}
RUN_STATES: dict[str, tuple[str, Tone]] = {
    KEKRun.State.QUEUED: (gettext_lazy("Queued"), Tone.WAITING),
    KEKRun.State.RUNNING: (gettext_lazy("Running"), Tone.WAITING),
    KEKRun.State.PAUSED: (gettext_lazy("Paused"), Tone.WARNING),
    KEKRun.State.DONE: (gettext_lazy("Done"), Tone.GOOD),
    KEKRun.State.FAILED: (gettext_lazy("Failed"), Tone.BAD),
    KEKRun.State.CANCELLED: (gettext_lazy("Cancelled"), Tone.QUIET),
}
RUN_KINDS: dict[str, str] = {
    KEKRun.Kind.REWRAP: gettext_lazy("Rewrap pKEKs"),
    KEKRun.Kind.ROTATE: gettext_lazy("Rotate pKEKs"),
    KEKRun.Kind.REENCRYPT: gettext_lazy("Re-encrypt payloads"),
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
    words = [_("project %(project)s") % {"project": scope.project} if scope.project else _("all projects")]
    if scope.mkek:
        words.append(_("wrapped by %(mkek)s") % {"mkek": scope.mkek})
    if scope.over_encryptions is not None:
        words.append(
            _("sealed more than %(over_encryptions)s")
            % {"over_encryptions": intcomma(scope.over_encryptions)}
        )
    if scope.created_before:
        words.append(_("made before %(created_before)s") % {"created_before": written(scope.created_before)})
    return ", ".join(words)


def lasting(seconds: float | None) -> SafeString | str:
    """A stretch of time as people say it, in at most two units: "2 h 5 min"."""
    if seconds is None:
        return missing(_("not known"))
    left = round(seconds)
    if left < 1:
        return _("less than 1 s")
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
    return _("as fast as it goes") if rate is None else _("%(rate)s rows/s at most") % {"rate": f"{rate:g}"}


def speed_words(per_second: float) -> str:
    """How fast a run is."""
    speed = f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.1f}"  # noqa: PLR2004  # two digits
    return _("%(speed)s rows/s") % {"speed": speed}
