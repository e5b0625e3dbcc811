"""A product's database, seen and locked from outside."""

import contextlib
import sqlite3
from urllib.parse import unquote, urlsplit

import MySQLdb


class ProductRows:
    """Counts a product's rows, and holds its writers where a test wants them.

    ``database_url`` is that of another server of the product's cluster.
    """

    def __init__(self, product, database_url=None):
        self._url = urlsplit(database_url or product.environment["KEEPSITE_DATABASE_URL"])

    def _connect(self):
        if self._url.scheme == "sqlite":
            return sqlite3.connect(self._url.path, timeout=20, isolation_level=None)
        return MySQLdb.connect(
            host=self._url.hostname, port=self._url.port, user=self._url.username,
            password=unquote(self._url.password), database=self._url.path.strip("/"), autocommit=True,
            init_command="SET SESSION wsrep_sync_wait = 1",  # on Galera: what all have committed
        )  # fmt: skip

    def count(self, table, where="1 = 1"):
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT COUNT(*) FROM {table} WHERE {where}")
            return cursor.fetchone()[0]

    @contextlib.contextmanager
    def holding_writes_to(self, table):
        """Let nobody commit a row of ``table`` (SQLite: of any) until the block ends; reading goes on."""
        with contextlib.closing(self._connect()) as connection:
            sqlite = self._url.scheme == "sqlite"
            connection.cursor().execute("BEGIN IMMEDIATE" if sqlite else f"LOCK TABLES {table} READ")
            yield
            connection.cursor().execute("ROLLBACK" if sqlite else "UNLOCK TABLES")

    def somebody_waits(self):
        """Whether a writer waits for the held table; taken for granted on SQLite, which does not tell."""
        if self._url.scheme == "sqlite":
            return True
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"
            )
            return cursor.fetchone()[0] > 0
