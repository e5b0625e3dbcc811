"""Every row that a request could write, seen from beside the product."""

import contextlib

from django.apps import apps

# Left out: API keys, whose last use is noted whatever the answer, and what is not the API's to write.
APPS = ("projects", "idempotency", "keyring", "secrets_app", "orders_app")


def tables():
    """The tables of our apps."""
    models = (model for label in APPS for model in apps.get_app_config(label).get_models())
    return sorted(model._meta.db_table for model in models)


class Rows:
    """Reads all of them through ``connection``, which sees what others have committed."""

    def __init__(self, connection):
        self._connection = connection
        self._tables = tables()

    def all(self):
        """Table by table, every row with every column: equal before and after if nothing was written."""
        return {table: self._rows_of(table) for table in self._tables}

    def _rows_of(self, table):
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            return sorted(map(repr, cursor.fetchall()))


def changed(before, after):
    """The tables that differ, with what is new and what is gone."""
    return {
        table: {"new": [*{*after[table]} - {*before[table]}], "gone": [*{*before[table]} - {*after[table]}]}
        for table in before
        if before[table] != after[table]
    }
