import sqlite3
import threading

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction

from keepsite import writes
from keepsite.errors import Conflict, Unavailable
from keepsite.ids import new_id
from keepsite.projects.models import Project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def impatient(monkeypatch):
    """A database that refuses to wait for a lock, and a wrapper that gives up after a while."""
    monkeypatch.setattr(writes, "BUDGET_S", 3.0)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout = 20")
        else:
            cursor.execute("SET innodb_lock_wait_timeout = 1")
    yield
    connection.close()


class Locker:
    """Another client of the database that holds what a write needs."""

    def __init__(self, project):
        if connection.vendor == "sqlite":
            self._other = sqlite3.connect(settings.DATABASES["default"]["NAME"], check_same_thread=False)
            self._other.execute("BEGIN IMMEDIATE")
            return
        import MySQLdb

        server = connection.settings_dict
        self._other = MySQLdb.connect(
            host=server["HOST"], port=int(server["PORT"]), user=server["USER"],
            password=server["PASSWORD"], database=server["NAME"],
        )  # fmt: skip
        self._other.cursor().execute("SELECT id FROM projects_project WHERE id = %s FOR UPDATE", [project.id])

    def release(self):
        self._other.rollback()
        self._other.close()


@pytest.fixture
def project():
    return Project.objects.create(external_id="before")


def rename(project):
    return lambda: Project.objects.filter(id=project.id).update(external_id="after")


def never():
    return False


@pytest.fixture(params=[writes.commit, writes.commit_statement])
def commit(request):
    """Either way to write."""
    return request.param


class TestCommit:
    def test_write_is_repeated_until_the_lock_is_gone(self, impatient, project, commit):
        tries = []
        locker = Locker(project)

        def work():
            tries.append(1)
            rename(project)()

        timer = threading.Timer(1.3, locker.release)
        timer.start()
        commit(work, committed=never)
        timer.join()

        project.refresh_from_db()
        assert project.external_id == "after"
        assert len(tries) > 1 or connection.vendor == "sqlite"  # SQLite refuses at BEGIN, before the work

    def test_lock_that_stays_is_unavailable_and_nothing_is_written(self, impatient, project):
        locker = Locker(project)
        try:
            with pytest.raises(Unavailable):
                writes.commit(rename(project), committed=never)
        finally:
            locker.release()

        project.refresh_from_db()
        assert project.external_id == "before"

    def test_write_that_had_committed_after_all_is_not_done_twice(self, project, commit):
        done = []

        def lost_answer():
            done.append(1)
            raise (
                OperationalError(1180, "COMMIT while the node left")
                if connection.vendor == "mysql"
                else (OperationalError("database is locked"))
            )

        commit(lost_answer, committed=lambda: bool(done))

        assert done == [1]

    def test_domain_errors_fly_and_roll_back(self, project):
        def refuse():
            rename(project)()
            raise Conflict

        with pytest.raises(Conflict):
            writes.commit(refuse, committed=never)

        project.refresh_from_db()
        assert project.external_id == "before"

    def test_errors_that_no_repetition_mends_fly(self, project):
        with pytest.raises(DatabaseError):
            writes.commit(lambda: connection.cursor().execute("SELECT * FROM no_such_table"), committed=never)

    def test_a_transaction_around_it_is_refused(self, project, commit):
        with transaction.atomic(), pytest.raises(RuntimeError):
            commit(lambda: Project(id=new_id(), external_id="x").save(), committed=never)
