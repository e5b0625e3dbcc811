import threading

import pytest
from django.db import connection

from secrets_app.models import Secret
from tests.support.callers import Caller

RESOURCES = ["secrets", "orders", "containers", "consumers", "cas"]
UNLIMITED = dict.fromkeys(RESOURCES, -1)


@pytest.fixture
def admin(api):
    return api.other(project="service", user="root", roles=["admin"])


def limit(admin, **limits):
    response = admin.call("PUT", "/v1/project-quotas/p1", {"project_quotas": limits})
    assert response.status_code == 204, response.content


class TestQuotas:
    def test_nothing_is_limited_by_default(self, api):
        assert api.get("/v1/quotas").json() == {"quotas": UNLIMITED}

    def test_projects_own_limit_wins(self, api, admin, settings):
        settings.QUOTAS = {**settings.QUOTAS, "orders": 7}
        limit(admin, secrets=3)

        assert api.get("/v1/quotas").json()["quotas"] == UNLIMITED | {"secrets": 3, "orders": 7}


class TestProjectQuotas:
    def test_set_show_change_and_delete(self, api, admin):
        limit(admin, secrets=1)
        limit(admin, orders=2)

        shown = admin.get("/v1/project-quotas/p1").json()["project_quotas"]
        assert shown == dict.fromkeys(RESOURCES) | {"secrets": 1, "orders": 2}
        listed = admin.get("/v1/project-quotas").json()
        assert listed["project_quotas"] == [{"project_id": "p1", "project_quotas": shown}]
        assert admin.delete("/v1/project-quotas/p1").status_code == 204
        assert admin.delete("/v1/project-quotas/p1").status_code == 404
        assert admin.get("/v1/project-quotas/p1").status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"project_quotas": None},
            {"project_quotas": {"secrets": None}},
            {"project_quotas": {"secrets": "1"}},
            {"project_quotas": {"secrets": True}},
            {"project_quotas": {"secrets": 1.5}},
            {"project_quotas": {"secrets": 2**40}},
            {"project_quotas": {"secrets": 2.0**40}},
            {"project_quotas": {"unknown": 1}},
            {"project_quotas": {}, "other": 1},
        ],
        ids=str,
    )
    def test_bad_bodies_are_refused(self, admin, body):
        assert admin.call("PUT", "/v1/project-quotas/p1", body).status_code == 400

    def test_a_number_without_a_fraction_is_an_integer(self, admin):
        limit(admin, secrets=3.0)

        assert admin.get("/v1/project-quotas/p1").json()["project_quotas"]["secrets"] == 3

    def test_members_may_not(self, api):
        assert api.get("/v1/project-quotas").status_code == 403
        assert api.call("PUT", "/v1/project-quotas/p1", {"project_quotas": {}}).status_code == 403


class TestLimits:
    def test_the_one_above_is_403_and_room_comes_back_with_a_deletion(self, api, admin):
        limit(admin, secrets=1)
        first = api.store("hello")

        refused = api.post("/v1/secrets", {})

        assert refused.status_code == 403
        assert "quota" in refused.json()["description"]
        assert Secret.objects.count() == 1
        api.delete(first)
        assert api.post("/v1/secrets", {}).status_code == 201

    def test_bad_body_is_400_also_when_full(self, api, admin):
        limit(admin, secrets=0)

        assert api.post("/v1/secrets", {"bit_length": 0}).status_code == 400

    @pytest.mark.parametrize(
        ("resource", "path", "body"),
        [
            ("containers", "/v1/containers", {"type": "generic"}),
            ("orders", "/v1/orders", {"type": "key", "meta": {"algorithm": "aes", "bit_length": 256}}),
        ],
    )
    def test_zero_forbids_creation(self, api, admin, resource, path, body):
        limit(admin, **{resource: 0})

        assert api.post(path, body).status_code == 403

    def test_repeated_registration_of_a_consumer_needs_no_room(self, api, admin):
        secret = api.store("hello")
        use = {"service": "s", "resource_type": "t", "resource_id": "1"}
        limit(admin, consumers=1)

        assert api.post(f"{secret}/consumers", use).status_code == 200
        assert api.post(f"{secret}/consumers", use).status_code == 200
        assert api.post(f"{secret}/consumers", {**use, "resource_id": "2"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_callers_at_once_do_not_overshoot(mkek):
    api = Caller.make(project="p1")
    limit(Caller.make(project="service", user="root", roles=["admin"]), secrets=3)
    statuses = []

    def store():
        statuses.append(Caller(api.key).post("/v1/secrets", {}).status_code)
        connection.close()

    threads = [threading.Thread(target=store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [201] * 3 + [403] * 5
    assert Secret.objects.count() == 3


class TestProjectIds:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_one_that_no_project_can_have_is_404(self, api, method):
        admin = api.other(project="service", user="root", roles=["admin"])

        response = admin.call(method, f"/v1/project-quotas/{'p' * 256}", {"project_quotas": {"secrets": 1}})

        assert response.status_code == 404

    def test_a_number_without_a_fraction_is_an_integer(self, api):
        admin = api.other(project="service", user="root", roles=["admin"])

        body = {"project_quotas": {"secrets": 3.0}}
        assert admin.call("PUT", "/v1/project-quotas/p1", body).status_code == 204
        assert admin.get("/v1/project-quotas/p1").json()["project_quotas"]["secrets"] == 3
