from collections.abc import Sequence

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
    word = {Tone.BAD: "Trouble", Tone.WARNING: "Attention"}.get(tone, "All well")
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
    words = many(stock.expiring_keys, "API key expires", "API keys expire")
    return [Trouble(tone=Tone.WARNING, sentence=f"{words} within two weeks.", part="projects")]


def _fine(stock: Stock, fleet: FleetFigures) -> str:
    said = [f"MKEK {stock.current_mkek} is current"]
    if fleet.members:
        said.append(many(len(fleet.members), "HSM member serves", "HSM members serve"))
    said += ["no order is stuck", "none failed in the last 24 hours"]
    return ", ".join(said) + "."
