"""First stores of a project at the same moment: one pKEK, and every payload opens."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from keepsite.keyring import services
from keepsite.keyring.models import ProjectKEK
from keepsite.projects.models import Project
from tests.support.callers import path_of
from tests.support.waiting import wait_until

AT_ONCE = 4


def at_once(work, count=AT_ONCE):
    """The answers of ``count`` threads that start ``work(number)`` together."""
    start = threading.Barrier(count)

    def run(number):
        start.wait()
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
class TestFirstStores:
    def store(self, api, number):
        body = {"payload": f"payload {number}", "payload_content_type": "text/plain"}
        return api.post("/v1/secrets", body)

    def test_several_at_once_make_one_pkek_and_all_are_readable(self, api):
        answers = at_once(lambda number: self.store(api, number))

        assert [answer.status_code for answer in answers] == [201] * AT_ONCE
        assert ProjectKEK.objects.filter(active_marker=True).count() == ProjectKEK.objects.count() == 1
        for number, answer in enumerate(answers):
            path = path_of(answer.json()["secret_ref"])
            assert api.get(f"{path}/payload").content == f"payload {number}".encode()

    def test_all_have_made_a_key_and_one_rows_wins(self, api, shim):
        """Held inside the token, every caller has seen that there is no pKEK yet."""
        with ThreadPoolExecutor(1) as together:
            with shim.holding("C_GenerateKey"):
                answers = together.submit(at_once, lambda number: self.store(api, number))
                wait_until(lambda: shim.held >= 2)
            assert [answer.status_code for answer in answers.result()] == [201] * AT_ONCE

        assert ProjectKEK.objects.count() == 1
        for number, answer in enumerate(answers.result()):
            path = path_of(answer.json()["secret_ref"])
            assert api.get(f"{path}/payload").content == f"payload {number}".encode()

    def test_a_new_project_is_one_row(self, mkek):
        ids = at_once(lambda _: services.sealing_key("brand new").project_id)

        assert len({*ids}) == 1
        assert Project.objects.filter(external_id="brand new").count() == 1


@pytest.mark.django_db(transaction=True)
class TestSecondSteps:
    def test_of_several_payloads_at_once_one_is_stored(self, api):
        path = api.store()

        answers = at_once(lambda number: api.put(path, f"payload {number}".encode()).status_code)

        assert sorted(answers) == [204] + [409] * (AT_ONCE - 1)
        winner = answers.index(204)
        assert api.get(f"{path}/payload").content == f"payload {winner}".encode()


@pytest.mark.django_db(transaction=True)
class TestConsumers:
    def test_the_same_registration_at_once_is_one_entry(self, api):
        path = api.store()
        usage = {"service": "s", "resource_type": "t", "resource_id": "i"}

        answers = at_once(lambda _: api.post(f"{path}/consumers", usage).status_code)

        assert answers == [200] * AT_ONCE
        assert api.get(f"{path}/consumers").json()["total"] == 1


@pytest.mark.django_db(transaction=True)
class TestDeletes:
    def test_of_several_at_once_one_succeeds(self, api):
        path = api.store("x")

        answers = at_once(lambda _: api.delete(path).status_code)

        assert sorted(answers) == [204] + [404] * (AT_ONCE - 1)
