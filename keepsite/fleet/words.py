"""HSM members as the console says them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.safestring import SafeString

from hsm.member import State
from keepsite.fleet.figures import MemberFigures
from keepsite.readonly import Tone, missing, pill

MS_PER_S = 1_000
NBSP = "\N{NO-BREAK SPACE}"
ERRORS = {  # by hsm.faults.Kind, which says what each leads to
    "data": "Stored bytes did not open: data, not the token, is at fault.",
    "ambiguous": "Data or token: a canary was asked which.",
    "handle": "A cached pKEK was gone; it was unwrapped again.",
    "mkek_handle": "The MKEK was gone; it was searched again.",
    "session": "A session was lost; another one was opened.",
    "login": "The login was lost; it was renewed.",
    "resource": "The token had no room; cached pKEKs were dropped.",
    "member": "The token was away; the member went down and was probed.",
    "credentials": "The PIN was refused or is locked; the member is in quarantine.",
    "programming": "The token refused the request: profile or code is wrong.",
}
OTHER_ERROR = "A class that this release does not know."
STATES: dict[State, tuple[str, Tone, str]] = {
    State.UP: ("Up", Tone.GOOD, "It serves."),
    State.SUSPECT: ("Suspect", Tone.WARNING, "It serves if no other member is up."),
    State.STARTING: ("Starting", Tone.WAITING, "A process logs in to it."),
    State.RECOVERING: ("Recovering", Tone.WARNING, "A process logs in to it anew."),
    State.DOWN: ("Down", Tone.BAD, "It is away; it is probed every 15 seconds or more often."),
    State.QUARANTINED: ("Quarantined", Tone.BAD, "Only an operator can mend it; it is not probed."),
}


def state_pill(state: State) -> SafeString:
    """A state."""
    word, tone, _ = STATES[state]
    return pill(word, tone)


def member_pill(member: MemberFigures) -> SafeString:
    """The state that needs somebody most; that it is a standby, where nothing is wrong."""
    if member.worst is State.UP and member.is_standby:
        return pill("Up, standby", Tone.GOOD)
    return state_pill(member.worst)


def seen_by(member: MemberFigures, state: State) -> str:
    """How many processes see it so."""
    return f"{intcomma(member.states.get(state, 0))} of {intcomma(member.processes)} processes"


def of_room(used: int, room: int | None) -> str:
    """So many, and of how many, if that is known."""
    return intcomma(used) if room is None else f"{intcomma(used)} of {intcomma(room)}"


def latency(seconds: float | None) -> SafeString | str:
    """Two digits, in ms or s."""
    if seconds is None:
        return missing("no calls")
    if seconds < 1:
        ms = seconds * MS_PER_S
        return f"{ms:.1f}{NBSP}ms" if ms < 10 else f"{ms:.0f}{NBSP}ms"  # noqa: PLR2004  # two digits
    return f"{seconds:.1f}{NBSP}s"


def rate(per_second: float | None) -> SafeString | str:
    """So many in each second."""
    if per_second is None:
        return missing("not known yet")
    if per_second == 0:
        return f"0{NBSP}/s"
    return f"{per_second:.2g}{NBSP}/s" if per_second < 10 else f"{intcomma(round(per_second))}{NBSP}/s"  # noqa: PLR2004  # as above


def percent(share: float | None) -> SafeString | str:
    """Of a hundred."""
    if share is None:
        return missing("no calls")
    return f"100{NBSP}%" if share == 100 else f"{share:.3g}{NBSP}%"  # noqa: PLR2004  # all of them
