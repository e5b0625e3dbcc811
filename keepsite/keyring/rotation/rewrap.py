from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from hsm.keys import UnwrapTemplate
from keepsite import writes
from keepsite.errors import Conflict, Unavailable
from keepsite.keyring.errors import NoCurrentMKEK, translating
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.keyring.proven import proven_hsm
from keepsite.keyring.querysets import current_mkek, needed_pkeks
from keepsite.keyring.rotation.scope import Scope
from keepsite.keyring.rotation.work import Outcome, Work, round_trip


class Rewrap(Work):
    """pKEKs that an MKEK other than the current one wraps: the same key, under the current one.

    Seven PKCS#11 calls each; handles that processes have cached stay good, since the key
    stays the same.
    """

    noun = "pKEKs"

    def __init__(self, scope: Scope) -> None:
        """Take the current MKEK for the goal, for as long as this lives.

        Raises:
            NoCurrentMKEK: there is none.
            Conflict: keys under a strict MKEK cannot be rewrapped.
        """
        current = current_mkek()
        if current is None:
            raise NoCurrentMKEK
        self._current: MKEK = current
        self._scope = scope
        strict = self._rows().filter(mkek__unwrap_template=UnwrapTemplate.STRICT).select_related("mkek")
        if (held := strict.first()) is not None:
            raise Conflict(
                f"{held.mkek.label} is strict: its pKEKs never leave the token, so they cannot be rewrapped."
                f" Run pkek_rotate --mkek {held.mkek.label}, then pkek_reencrypt."
            )

    def left(self) -> int:
        """How many pKEKs other MKEKs wrap."""
        return self._rows().count()

    def pages(self, size: int) -> Iterator[list[ProjectKEK]]:
        """Those pKEKs with their project and MKEK."""
        return round_trip(self._rows().select_related("project", "mkek"), size)

    def move(self, page: Sequence[ProjectKEK]) -> Outcome:
        """Rewrap a page."""
        outcome = Outcome()
        wrapped: dict[str, bytes] = {}
        try:
            for pkek in page:
                with outcome.noting("projectkek", pkek.id), translating("rewrap", pkek_id=pkek.id):
                    wrapped[pkek.id] = proven_hsm(self._current).rewrap(
                        pkek.wrapped_key, mkek_id=bytes.fromhex(self._current.cka_id)
                    )
        except Unavailable as error:
            outcome.unavailable = error
        self._swap([pkek for pkek in page if pkek.id in wrapped], wrapped, outcome)
        return outcome

    def _swap(self, page: Sequence[ProjectKEK], wrapped: dict[str, bytes], outcome: Outcome) -> None:
        def swap() -> None:
            outcome.done = sum(
                ProjectKEK.objects.filter(
                    id=pkek.id, mkek_id=pkek.mkek_id, wrapped_pkek=bytes(pkek.wrapped_pkek)
                ).update(mkek=self._current, wrapped_pkek=wrapped[pkek.id])
                for pkek in page
            )

        if not page:
            return
        ours = ProjectKEK.objects.filter(id__in=wrapped, mkek=self._current)
        writes.commit(swap, committed=lambda: ours.count() == len(wrapped))
        outcome.lost = len(page) - outcome.done

    def _rows(self) -> QuerySet[ProjectKEK]:
        rows = needed_pkeks().exclude(mkek=self._current)
        narrowed: dict[str, Any] = {  # Any: values of look-ups
            "project__external_id": self._scope.project,
            "mkek__label": self._scope.mkek,
        }
        return rows.filter(**{name: value for name, value in narrowed.items() if value is not None})
