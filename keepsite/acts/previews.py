"""What an act would touch, shown for the choices of its form before it is done."""

import hashlib
import json
from dataclasses import dataclass

from keepsite.acts.forms import PROOFS, ReasonForm
from keepsite.readonly import Fact

NO_CHOICES = frozenset({"reason", *PROOFS})  # they change nothing that is touched


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Facts about what these ``choices`` would touch; the page sends their name along again."""

    choices: str
    facts: tuple[Fact, ...]


def name_of_choices(form: ReasonForm) -> str:
    """The same for the same choices of a valid form, and no other."""
    chosen = {name: str(value) for name, value in form.cleaned_data.items() if name not in NO_CHOICES}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
