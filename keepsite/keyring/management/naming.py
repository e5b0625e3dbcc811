from django.core.management.base import CommandError

from keepsite.keyring.models import MKEK


def mkek_labelled(label: str) -> MKEK:
    """The MKEK with this label.

    Raises:
        CommandError: there is none; lists those there are.
    """
    mkek = MKEK.objects.filter(label=label).first()
    if mkek is None:
        known = ", ".join(MKEK.objects.order_by("created_at").values_list("label", flat=True)) or "none"
        raise CommandError(f"There is no MKEK labelled {label!r}. Known: {known}.")
    return mkek
