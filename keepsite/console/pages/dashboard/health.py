from collections.abc import Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite.console.pages.dashboard.counting import Stock
from keepsite.console.pages.dashboard.shapes import Health, HealthMark, Part, Trouble
from keepsite.console.pages.dashboard.words import many
from keepsite.fleet.figures import FleetFigures
from keepsite.readonly import Tone, pill


def health(
    troubles: Sequence[Trouble], parts: Sequence[Part], *, stock: Stock, fleet: FleetFigures
) -> Health:
    """The worst first; what else there is follows as remarks."""
    ordered = sorted(troubles, key=lambda trouble: trouble.tone is not Tone.BAD)
    tone = ordered[0].tone if ordered else Tone.GOOD
    word = {Tone.BAD: _("Trouble"), Tone.WARNING: _("Attention")}.get(tone, _("All well"))
    return Health(
        state=pill(word, tone),
        tone=tone,
        sentence=ordered[0].sentence if ordered else _fine(stock, fleet),
        remarks=tuple(ordered[1:]),
        marks=tuple(HealthMark(title=part.title, name=part.name, state=part.state) for part in parts),
    )


def expiring_keys(stock: Stock) -> list[Trouble]:
    """API keys whose clients will stand outside."""
    if not stock.expiring_keys:
        return []
    words = many(
        stock.expiring_keys,
        ngettext(
            "%(count)s API key expires within two weeks.",
            "%(count)s API keys expire within two weeks.",
            stock.expiring_keys,
        ),
    )
    return [Trouble(tone=Tone.WARNING, sentence=words, part="projects")]


def _fine(stock: Stock, fleet: FleetFigures) -> str:
    said = [_("MKEK %(current_mkek)s is current") % {"current_mkek": stock.current_mkek}]
    if fleet.members:
        said.append(
            many(
                len(fleet.members),
                ngettext("%(count)s HSM member serves", "%(count)s HSM members serve", len(fleet.members)),
            )
        )
    said += [_("no order is stuck"), _("none failed in the last 24 hours")]
    return ", ".join(said) + "."
