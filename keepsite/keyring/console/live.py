"""How far a run is, in words that say too what is wrong and what to do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keepsite.keyring.console.words import RUN_STATES, lasting, rate_words, speed_words
from keepsite.keyring.models import KEKRun
from keepsite.keyring.rotation import runs
from keepsite.readonly import TIME_OF_DAY, Notice, Tone, pill, written
from keepsite.translation import gettext_lazy

UNTAKEN = timedelta(seconds=45)  # the relay hands a queued run out anew every 15 s
REFRESH_S = 2
DONE = {
    KEKRun.Kind.ROTATE: gettext_lazy(
        "Done. New payloads are sealed under the new generations. Re-encrypt payloads next, so that what was"
        " stored before moves to them too."
    ),
    KEKRun.Kind.REWRAP: gettext_lazy(
        "Done. Every pKEK it was about is under the current MKEK; once none is left under the former one,"
        " that can be retired."
    ),
    KEKRun.Kind.REENCRYPT: gettext_lazy(
        "Done. Of what it was about, nothing is sealed under former generations any more."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """A run as its page shows it, refreshed while it is not over."""

    state: SafeString
    notice: Notice
    done: int
    total: int
    numbers: str
    pace: str
    is_over: bool


def live_run(run: KEKRun, *, now: datetime) -> LiveRun:
    """From the run's row alone."""
    progress = runs.progress(run)
    total = progress.done + progress.left
    is_going = run.state in {KEKRun.State.QUEUED, KEKRun.State.RUNNING} and not runs.is_lost(run, now=now)
    numbers = _("%(done)s of %(total)s rows done") % {
        "done": intcomma(progress.done),
        "total": intcomma(total),
    }
    if progress.failed:
        numbers = _("%(numbers)s, %(failed)s failed") % {
            "numbers": numbers,
            "failed": intcomma(progress.failed),
        }
    return LiveRun(
        state=run_pill(run, now=now),
        notice=_notice(run, now=now),
        done=progress.done if total else int(run.state == KEKRun.State.DONE),
        total=total or 1,
        numbers=numbers,
        pace=_pace(run, progress, is_going=is_going),
        is_over=run.state in runs.ENDED,
    )


def run_pill(run: KEKRun, *, now: datetime) -> SafeString:
    """Its state; of one whose runner has died, that."""
    if runs.is_lost(run, now=now):
        return pill(_("Stalled"), Tone.BAD)
    return pill(*RUN_STATES[run.state])


def _pace(run: KEKRun, progress: runs.Progress, *, is_going: bool) -> str:
    words = [rate_words(run.rate)]
    if progress.per_second:
        words.append(_("%(speed)s so far") % {"speed": speed_words(progress.per_second)})
    if is_going and progress.eta_s is not None and progress.left:
        words.append(_("about %(time_left)s to go") % {"time_left": lasting(progress.eta_s)})
    return ", ".join(words)


def _notice(run: KEKRun, *, now: datetime) -> Notice:
    tone, message = _state_of_things(run, now=now)
    return Notice(tone=tone, message=message)


def _state_of_things(run: KEKRun, *, now: datetime) -> tuple[Tone, str]:
    if runs.is_lost(run, now=now):
        return Tone.WARNING, _lost(run)
    if run.state == KEKRun.State.QUEUED:
        return _queued(run, now=now)
    return {
        KEKRun.State.RUNNING: (Tone.QUIET, _("It is at work. Readers and writers notice nothing.")),
        KEKRun.State.PAUSED: (
            Tone.WARNING,
            _("It is paused. What it did stays done; resume it whenever you like."),
        ),
        KEKRun.State.DONE: (Tone.GOOD, DONE[KEKRun.Kind(run.kind)]),
        KEKRun.State.CANCELLED: (
            Tone.QUIET,
            _("It was cancelled. What it did stays done, and nothing is half done."),
        ),
        KEKRun.State.FAILED: (Tone.BAD, _failed(run)),
    }[KEKRun.State(run.state)]


def _failed(run: KEKRun) -> str:
    if run.rows_failed:
        return _(
            "It has done what it could; the rows listed below could not be done. They are as they were."
            " Mend what stands beside each, then try them again."
        )
    return _(
        "It gave up (%(error)s): the HSM or the database was away, or refused. Nothing is half"
        " done. Look at the HSM's members, then try again."
    ) % {"error": run.last_error or _("no reason was noted")}


def _lost(run: KEKRun) -> str:
    since = written(run.heartbeat_at, TIME_OF_DAY) if run.heartbeat_at else _("its start")
    if run.by_workers:
        return _(
            "Whoever was at work has given no sign since %(since)s. Nothing is lost: another worker"
            " goes on by itself within a minute. If none does, see that workers and the order relay"
            " are running."
        ) % {"since": since}
    return _(
        "The command that was at work has given no sign since %(since)s. Nothing is lost: run"
        " the same command again, or pause the run here and resume it, so that workers go on with"
        " it."
    ) % {"since": since}


def _queued(run: KEKRun, *, now: datetime) -> tuple[Tone, str]:
    if run.last_error:
        return Tone.WARNING, (
            _(
                "The HSM or the database was away (%(last_error)s). Nothing is lost: workers try again"
                " every %(interval)s seconds until it is back."
            )
            % {"last_error": run.last_error, "interval": runs.HAND_OUT_AGAIN_S}
        )
    waits = now - (run.heartbeat_at or run.created_at)
    between_rows = timedelta(seconds=1 / run.rate) if run.rate else timedelta(0)
    if waits > UNTAKEN + between_rows:
        return Tone.WARNING, (
            _(
                "No worker has taken it for %(duration)s. See that workers and the order relay are"
                " running; nothing else needs to be done."
            )
            % {"duration": lasting(waits.total_seconds())}
        )
    return Tone.QUIET, _("It waits for a worker, which takes it within seconds.")
