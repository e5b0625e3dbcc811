from django.utils.translation import gettext as _

from hsm.member import State
from keepsite.console.pages.dashboard.shapes import Part, Trouble
from keepsite.console.pages.dashboard.words import mark
from keepsite.fleet.figures import FleetFigures, MemberFigures
from keepsite.fleet.models import HSMMember
from keepsite.fleet.words import STATES, latency, member_pill, of_room, percent, rate, seen_by
from keepsite.readonly import Heading, Row, Table, Tone, breakable, detail_url, missing, text
from keepsite.translation import gettext_lazy

NAME = "hsm"
HEADINGS = (
    Heading(label=gettext_lazy("Member")),
    Heading(label=gettext_lazy("State")),
    Heading(label=gettext_lazy("Processes")),
    Heading(label="p50", is_number=True),
    Heading(label="p99", is_number=True),
    Heading(label=gettext_lazy("Calls"), is_number=True),
    Heading(label=gettext_lazy("Cache hits"), is_number=True),
    Heading(label=gettext_lazy("Session objects"), is_number=True),
    Heading(label=gettext_lazy("Errors now"), is_number=True),
)


def part(fleet: FleetFigures) -> Part:
    """Each member as all processes that report see it."""
    return Part(
        name=NAME,
        title=_("HSM members"),
        state=mark(_tone(fleet), good=_("Well") if fleet.members else _("No figures")),
        table=Table(
            caption=_("HSM members"), headings=HEADINGS, rows=tuple(_row(member) for member in fleet.members)
        )
        if fleet.members
        else None,
        note=_("Latency is of encrypt and decrypt. All figures are of the last five minutes.")
        if fleet.members
        else "",
        empty=""
        if fleet.members
        else _("No process has told of its HSM lately. Each node does ten seconds after its start."),
        is_wide=True,
    )


def troubles(fleet: FleetFigures) -> list[Trouble]:
    """Members out of service; all of them is worst."""
    found = []
    if fleet.members and not any(member.serving for member in fleet.members):
        words = _("No HSM member serves: payloads can be neither stored nor read.")
        found.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
    for member in fleet.members:
        if member.worst is State.QUARANTINED:
            words = _("HSM member %(name)s is in quarantine: an operator must mend it and release it.") % {
                "name": member.name
            }
            found.append(Trouble(tone=Tone.BAD, sentence=words, part=NAME))
        elif member.worst is not State.UP:
            words = _("HSM member %(name)s is %(worst)s for %(seen_by)s.") % {
                "name": member.name,
                "worst": STATES[member.worst][0].lower(),
                "seen_by": seen_by(member, member.worst),
            }
            found.append(Trouble(tone=Tone.WARNING, sentence=words, part=NAME))
    return found


def _tone(fleet: FleetFigures) -> Tone:
    if not fleet.members:
        return Tone.QUIET
    tones = [trouble.tone for trouble in troubles(fleet)]
    return Tone.BAD if Tone.BAD in tones else Tone.WARNING if tones else Tone.GOOD


def _row(member: MemberFigures) -> Row:
    return Row.of(
        HEADINGS,
        detail_url(HSMMember, member.name),
        breakable(member.name),
        member_pill(member),
        _("serves %(serving)s of %(processes)s") % {"serving": member.serving, "processes": member.processes},
        latency(member.p50_s),
        latency(member.p99_s),
        rate(member.calls_per_second),
        percent(member.cache_hit_percent),
        of_room(member.keys, member.objects_allowed),
        text(member.errors_now) if member.errors_now else missing(_("none")),
    )
