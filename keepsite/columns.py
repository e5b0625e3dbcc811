from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class ExactCharField(models.CharField):  # type: ignore[type-arg]  # generic for type checkers only
    """Text that is equal only to itself, on every database.

    MariaDB's usual collations take ``ABC`` for ``abc`` and drop blanks at the end:
    two projects of the identity service would be one.  So ids and names that other
    systems gave us are compared by code point there; SQLite does so anyway.

    Source: MariaDB's documentation of NO PAD and binary collations.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:  # Any: Django's signature
        """The column's type, with a collation where the default is not exact."""
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_nopad_bin"
        return parameters


class FoldedCharField(models.CharField):  # type: ignore[type-arg]  # generic for type checkers only
    """Text that is compared, searched and sorted without regard to case, on every database.

    MariaDB's usual collation does that by itself.  SQLite's does it for LIKE alone, and then
    no index of the column can serve it; with this collation one can.  It folds ASCII only.

    Source: SQLite's documentation of the LIKE optimization and of collating sequences.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:  # Any: Django's signature
        """The column's type, with a collation where the default regards case."""
        parameters: dict[str, Any] = dict(super().db_parameters(connection))
        if connection.vendor == "sqlite":
            parameters["collation"] = "nocase"
        return parameters
