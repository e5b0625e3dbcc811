"""HSM members as the console says them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from hsm.member import State
from keepsite.fleet.figures import MemberFigures
from keepsite.readonly import Tone, missing, pill
from keepsite.translation import gettext_lazy

MS_PER_S = 1_000
NBSP = "\N{NO-BREAK SPACE}"
ERRORS = {  # by hsm.faults.Kind, which says what each leads to
    "data": gettext_lazy("Stored bytes did not open: data, not the token, is at fault."),
    "ambiguous": gettext_lazy("Data or token: a canary was asked which."),
    "handle": gettext_lazy("A cached pKEK was gone; it was unwrapped again."),
    "mkek_handle": gettext_lazy("The MKEK was gone; it was searched again."),
    "session": gettext_lazy("A session was lost; another one was opened."),
    "login": gettext_lazy("The login was lost; it was renewed."),
    "resource": gettext_lazy("The token had no room; cached pKEKs were dropped."),
    "member": gettext_lazy("The token was away; the member went down and was probed."),
    "credentials": gettext_lazy("The PIN was refused or is locked; the member is in quarantine."),
    "programming": gettext_lazy("The token refused the request: profile or code is wrong."),
}
OTHER_ERROR = gettext_lazy("A class that this release does not know.")
STATES: dict[State, tuple[str, Tone, str]] = {
    State.UP: (gettext_lazy("Up"), Tone.GOOD, gettext_lazy("It serves.")),
    State.SUSPECT: (
        gettext_lazy("Suspect"),
        Tone.WARNING,
        gettext_lazy("It serves if no other member is up."),
    ),
    State.STARTING: (gettext_lazy("Starting"), Tone.WAITING, gettext_lazy("A process logs in to it.")),
    State.RECOVERING: (
        gettext_lazy("Recovering"),
        Tone.WARNING,
        gettext_lazy("A process logs in to it anew."),
    ),
    State.DOWN: (
        gettext_lazy("Down"),
        Tone.BAD,
        gettext_lazy("It is away; it is probed every 15 seconds or more often."),
    ),
    State.QUARANTINED: (
        gettext_lazy("Quarantined"),
        Tone.BAD,
        gettext_lazy("Only an operator can mend it; it is not probed."),
    ),
}


def state_pill(state: State) -> SafeString:
    """A state."""
    word, tone, _ = STATES[state]
    return pill(word, tone)


def member_pill(member: MemberFigures) -> SafeString:
    """The state that needs somebody most; that it is a standby, where nothing is wrong."""
    if member.worst is State.UP and member.is_standby:
        return pill(_("Up, standby"), Tone.GOOD)
    return state_pill(member.worst)


def seen_by(member: MemberFigures, state: State) -> str:
    """How many processes see it so."""
    return _("%(count)s of %(processes)s processes") % {
        "count": intcomma(member.states.get(state, 0)),
        "processes": intcomma(member.processes),
    }


def of_room(used: int, room: int | None) -> str:
    """So many, and of how many, if that is known."""
    return (
        intcomma(used)
        if room is None
        else _("%(used)s of %(room)s") % {"used": intcomma(used), "room": intcomma(room)}
    )


def latency(seconds: float | None) -> SafeString | str:
    """Two digits, in ms or s."""
    if seconds is None:
        return missing(_("no calls"))
    if seconds < 1:
        ms = seconds * MS_PER_S
        return f"{ms:.1f}{NBSP}ms" if ms < 10 else f"{ms:.0f}{NBSP}ms"  # noqa: PLR2004  # two digits
    return f"{seconds:.1f}{NBSP}s"


def rate(per_second: float | None) -> SafeString | str:
    """So many in each second."""
    if per_second is None:
        return missing(_("not known yet"))
    if per_second == 0:
        return f"0{NBSP}/s"
    return f"{per_second:.2g}{NBSP}/s" if per_second < 10 else f"{intcomma(round(per_second))}{NBSP}/s"  # noqa: PLR2004  # as above


def percent(share: float | None) -> SafeString | str:
    """Of a hundred."""
    if share is None:
        return missing(_("no calls"))
    return f"100{NBSP}%" if share == 100 else f"{share:.3g}{NBSP}%"  # noqa: PLR2004  # all of them
