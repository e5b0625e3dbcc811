"""Connections to MariaDB that are kept between requests."""

import os
import socket

import pytest
from django.db import OperationalError, connection, connections

from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(connection.vendor != "mysql", reason="about connections to MariaDB"),
    pytest.mark.django_db,
]


@pytest.fixture
def kept():
    """A connection of its own that is between two requests."""
    wrapper = connections.create_connection("default")
    wrapper.ensure_connection()
    yield wrapper
    wrapper.close()


def one(wrapper, statement):
    with wrapper.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def bytes_received(wrapper):
    return int(one(wrapper, "SHOW SESSION STATUS LIKE 'Bytes_received'")[1])


class TestKeptConnection:
    def test_is_used_again_without_a_question_to_the_server(self, kept):
        before = bytes_received(kept)
        one_question = bytes_received(kept) - before

        assert kept.is_usable()

        assert bytes_received(kept) - before == 2 * one_question

    def test_that_the_server_closed_is_replaced_before_the_next_request(self, kept):
        (ended,) = one(kept, "SELECT CONNECTION_ID()")
        with connection.cursor() as cursor:
            cursor.execute(f"KILL {ended}")
        wait_until(lambda: not kept.is_usable())

        kept.close_if_unusable_or_obsolete()

        (mine,) = one(kept, "SELECT CONNECTION_ID()")
        assert mine != ended

    def test_on_which_a_statement_failed_is_asked(self, kept):
        (ended,) = one(kept, "SELECT CONNECTION_ID()")
        with connection.cursor() as cursor:
            cursor.execute(f"KILL {ended}")
        with pytest.raises(OperationalError):
            wait_until(lambda: one(kept, "SELECT 1") is None)
        number = kept.connection.fileno()
        other, end = socket.socketpair()
        with other, end:
            os.dup2(
                other.fileno(), number
            )  # as the system gives a free number to the next who opens something

            assert not kept.is_usable()
