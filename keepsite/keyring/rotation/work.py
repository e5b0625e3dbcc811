from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db.models import QuerySet

from keepsite.errors import KeepsiteError, Unavailable
from keepsite.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row that could not be done, and the class of what stopped it."""

    row_kind: str
    row_id: str
    error: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one page: rows done, rows that somebody else did first, rows that failed.

    ``unavailable`` if HSM or database went away on the way; what was done before counts.
    """

    done: int = 0
    lost: int = 0
    failures: list[Failure] = field(default_factory=list)
    unavailable: Unavailable | None = None

    @contextmanager
    def noting(self, row_kind: str, row_id: str) -> Iterator[None]:
        """Take what a row's own fault raises for its failure; what will pass goes on to the caller."""
        try:
            yield
        except Unavailable:
            raise
        except KeepsiteError as error:
            cause = error.__cause__ or error
            self.failures.append(Failure(row_kind=row_kind, row_id=row_id, error=type(cause).__name__))


class Work(ABC):
    """Rows that name an old key, and how each is moved to the new one."""

    noun: ClassVar[str]  # plural, as people read it

    @abstractmethod
    def left(self) -> int:
        """Return how many rows are left."""

    @abstractmethod
    def pages(self, size: int) -> Iterator[Sequence[Any]]:  # Any: rows of one kind
        """Return each row that is left once, page by page, beginning at a place of this round's own."""

    @abstractmethod
    def move(self, page: Sequence[Any]) -> Outcome:  # Any: rows of one kind
        """Do one page: ask the HSM, then commit once; rows that changed meanwhile are left alone.

        Raises:
            Unavailable: the database did not take it in time; a repeat is safe.
        """

    def finish(self) -> None:  # noqa: B027  # most have nothing to do here
        """Do what is due once nothing is left."""


def paged(
    rows: QuerySet[Any], size: int, *, after: str = ""
) -> Iterator[list[Any]]:  # Any: rows of one model
    """Go through ``rows`` by primary key, from ``after`` on."""
    while page := list(rows.filter(pk__gt=after).order_by("pk")[:size]):
        yield page
        after = page[-1].pk


def round_trip(rows: QuerySet[Any], size: int) -> Iterator[list[Any]]:  # Any: rows of one model
    """Go through ``rows`` from a random place and round to it: runs at once hardly meet."""
    start = new_id()
    yield from paged(rows, size, after=start)
    yield from paged(rows.filter(pk__lte=start), size)
