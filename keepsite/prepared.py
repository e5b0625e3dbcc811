"""Look-ups of the request path whose SQL is written once and run many times.

Django writes a queryset's SQL anew each time, which takes longer than the database
needs to answer: three quarters of a warm read.  A ``Prepared`` look-up keeps the text
and the way from a row to models, and only puts in fresh values.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)
Value = str | datetime
# What stands for a value while the SQL is written; nothing else in a statement equals one of these.
_SAMPLE_TEXT = "\x00prepared:{}"
_SAMPLE_MOMENT = datetime.fromisoformat("1970-01-02T03:04:05.067089+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """SQL with its parameters, and what turns its row into models."""

    sql: str
    parameters: tuple[Any, ...]  # Any: what the driver takes; a _Slot where a value goes
    converters: tuple[tuple[int, list[Callable[..., Any]], Any], ...]  # Any: Django's expressions
    model: type[Model]
    names: list[str]
    columns: slice
    annotations: dict[str, int]
    populators: list[Any]  # Any: Django's own, for select_related


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str


class Prepared(Generic[M]):
    """The first row of ``build(**values)``, found without writing its SQL again.

    ``build`` is called once per process and database engine, with samples; its
    queryset may filter by each value, join, and load related rows, and must have the
    same shape whatever the values.  ``texts`` and ``moments`` name the values.
    """

    def __init__(
        self, build: Callable[..., QuerySet[M]], *, texts: tuple[str, ...], moments: tuple[str, ...] = ()
    ) -> None:
        self._build = build
        self._texts = texts
        self._moments = moments
        self._statements: dict[str, _Statement] = {}
        self._writing = threading.Lock()

    def first(self, **values: Value) -> M | None:
        """The row that ``values`` select, as ``build(**values).first()`` would return it."""
        statement = self._statements.get(connection.vendor) or self._write()
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, [self._filled(part, values) for part in statement.parameters])
            row = cursor.fetchone()
        if row is None:
            return None
        fields = list(row)
        for position, converters, expression in statement.converters:
            for convert in converters:
                fields[position] = convert(fields[position], expression, connection)
        found: M = statement.model.from_db(connection.alias, statement.names, fields[statement.columns])  # type: ignore[assignment]  # build's model
        for populator in statement.populators:
            populator.populate(fields, found)
        for name, position in statement.annotations.items():
            setattr(found, name, fields[position])
        return found

    def _filled(self, part: Any, values: dict[str, Value]) -> Any:  # Any: what the driver takes
        if not isinstance(part, _Slot):
            return part
        value = values[part.name]
        return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value

    def _write(self) -> _Statement:
        with self._writing:
            samples: dict[str, Value] = {name: _SAMPLE_TEXT.format(name) for name in self._texts}
            samples |= dict.fromkeys(self._moments, _SAMPLE_MOMENT)
            compiler = self._build(**samples).order_by()[:1].query.get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            slots = {self._filled(_Slot(name), samples): _Slot(name) for name in samples}
            filled = tuple(slots.get(part, part) if isinstance(part, Value) else part for part in parameters)
            missing = {*samples} - {part.name for part in filled if isinstance(part, _Slot)}
            if missing or compiler.klass_info is None:
                raise TypeError(
                    f"this look-up cannot be prepared: {', '.join(sorted(missing))} not in its SQL"
                )
            first, *_, last = compiler.klass_info["select_fields"]
            columns = slice(first, last + 1)
            converters = compiler.get_converters(column[0] for column in compiler.select)
            statement = _Statement(
                sql=sql,
                parameters=filled,
                converters=tuple(
                    (position, list(functions), expression)
                    for position, (functions, expression) in converters.items()
                ),
                model=compiler.klass_info["model"],
                names=[column[0].target.attname for column in compiler.select[columns]],
                columns=columns,
                annotations=dict(compiler.annotation_col_map or {}),
                populators=get_related_populators(  # type: ignore[call-arg]  # the stubs describe a later Django
                    compiler.klass_info, compiler.select, connection.alias
                ),
            )
            self._statements[connection.vendor] = statement
            return statement
