"""Orders and dead letters in a word, as the console says them."""

from keepsite.readonly import Tone
from keepsite.translation import gettext_lazy
from orders_app.models import DeadLetter, Order

STATUSES: dict[str, tuple[str, Tone]] = {
    Order.Status.PENDING: (gettext_lazy("Waiting"), Tone.WAITING),
    Order.Status.ACTIVE: (gettext_lazy("Fulfilled"), Tone.GOOD),
    Order.Status.ERROR: (gettext_lazy("Failed"), Tone.BAD),
}
TYPES: dict[str, str] = {
    Order.Type.KEY: gettext_lazy("Key"),
    Order.Type.ASYMMETRIC: gettext_lazy("Asymmetric"),
}
LETTER_STATES: dict[str, tuple[str, Tone]] = {
    DeadLetter.State.KEPT: (gettext_lazy("Kept"), Tone.BAD),
    DeadLetter.State.REPLAY: (gettext_lazy("To be replayed"), Tone.WAITING),
    DeadLetter.State.REPLAYED: (gettext_lazy("Replayed"), Tone.QUIET),
    DeadLetter.State.DISCARDED: (gettext_lazy("Discarded"), Tone.QUIET),
}
