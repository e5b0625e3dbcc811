"""Secret consumers: registered once, listed, removed, and in the way of deletion from 1.2 on.

Source: spec/barbican-api.md §8, §2.3.
"""

import pytest

from secrets_app.models import SecretConsumer
from tests.support.rows import written_rows

NOVA = {"service": "nova", "resource_type": "instance", "resource_id": "i-1"}
FRAGMENT = "Secret cannot be deleted as it has consumers."


@pytest.fixture
def path(api):
    return api.store("x")


@pytest.fixture
def consumers(path):
    return f"{path}/consumers"


class TestRegister:
    def test_the_answer_is_the_secret_with_its_consumers(self, api, path, consumers):
        response = api.post(consumers, NOVA)

        assert response.status_code == 200
        assert response.json() == api.get(path).json()
        assert response.json()["consumers"] == [NOVA]
        assert response["Location"] == f"http://testserver{consumers}"

    def test_at_1_0_the_answer_shows_them_too(self, api, path, consumers):
        assert api.at("1.0").post(consumers, NOVA).json()["consumers"] == [NOVA]
        assert "consumers" not in api.at("1.0").get(path).json()

    def test_again_is_no_error_and_no_second_entry(self, api, consumers):
        api.post(consumers, NOVA)

        assert api.post(consumers, NOVA).json()["consumers"] == [NOVA]
        assert SecretConsumer.objects.count() == 1

    def test_a_removed_one_is_revived(self, api, consumers):
        api.post(consumers, NOVA)
        api.delete(consumers, NOVA)

        assert api.post(consumers, NOVA).json()["consumers"] == [NOVA]
        assert SecretConsumer.objects.count() == 1

    def test_the_secret_counts_as_updated(self, api, path, consumers):
        before = api.get(path).json()["updated"]
        api.post(consumers, NOVA)

        assert api.get(path).json()["updated"] > before

    @pytest.mark.parametrize("field", NOVA)
    @pytest.mark.parametrize("value", [None, "", "  ", 1, True, [], {}, "x" * 256], ids=repr)
    def test_bad_values_are_400_and_nothing_is_written(self, api, consumers, field, value):
        before = written_rows()

        response = api.post(consumers, NOVA | {field: value})

        assert response.status_code == 400
        assert field in response.json()["description"]
        assert written_rows() == before

    @pytest.mark.parametrize("field", NOVA)
    def test_every_field_is_required(self, api, consumers, field):
        assert api.post(consumers, {name: NOVA[name] for name in NOVA if name != field}).status_code == 400

    def test_255_characters_are_kept_whole(self, api, consumers):
        wide = dict.fromkeys(NOVA, "\U0001f511" * 255)

        assert api.post(consumers, wide).json()["consumers"] == [wide]

    def test_other_keys_are_ignored(self, api, consumers):
        assert api.post(consumers, NOVA | {"extra": 1}).json()["consumers"] == [NOVA]

    def test_triples_that_join_to_the_same_text_are_different(self, api, consumers):
        first = {"service": "ab", "resource_type": "c", "resource_id": "d"}
        second = {"service": "a", "resource_type": "bc", "resource_id": "d"}
        api.post(consumers, first)

        assert api.post(consumers, second).json()["consumers"] == [first, second]

    def test_not_json_is_415(self, api, consumers):
        assert api.post(consumers, "{}", content_type="text/plain").status_code == 415


class TestList:
    def test_items_have_exactly_these_keys(self, api, consumers):
        api.post(consumers, NOVA)

        body = api.get(consumers).json()

        (item,) = body["consumers"]
        assert item == NOVA | {"status": "ACTIVE", "created": item["created"], "updated": item["updated"]}
        assert body["total"] == 1

    def test_pages_in_the_order_of_registration(self, api, consumers):
        for number in range(5):
            api.post(consumers, NOVA | {"resource_id": str(number)})

        page = api.get(f"{consumers}?limit=2&offset=2").json()

        assert [item["resource_id"] for item in page["consumers"]] == ["2", "3"]
        assert page["next"] == f"http://testserver{consumers}?limit=2&offset=4"
        assert page["previous"] == f"http://testserver{consumers}?limit=2&offset=0"

    def test_none_is_an_empty_list(self, api, consumers):
        assert api.get(consumers).json() == {"consumers": [], "total": 0}


class TestRemove:
    def test_the_answer_is_the_secret_and_again_is_404(self, api, consumers):
        api.post(consumers, NOVA)

        response = api.delete(consumers, NOVA)

        assert response.status_code == 200
        assert response.json()["consumers"] == []
        assert api.delete(consumers, NOVA).status_code == 404

    def test_others_stay(self, api, consumers):
        api.post(consumers, NOVA)
        api.post(consumers, NOVA | {"resource_id": "i-2"})

        assert api.delete(consumers, NOVA).json()["consumers"] == [NOVA | {"resource_id": "i-2"}]

    @pytest.mark.parametrize("body", [b"", b"{", "[]", "{}"])
    def test_a_bad_body_is_400(self, api, consumers, body):
        assert api.delete(consumers, body).status_code == 400

    def test_not_json_is_415(self, api, consumers):
        assert api.delete(consumers, "{}", content_type="text/plain").status_code == 415

    def test_update_time_stays(self, api, path, consumers):
        api.post(consumers, NOVA)
        before = api.get(path).json()["updated"]
        api.delete(consumers, NOVA)

        assert api.get(path).json()["updated"] == before


class TestDeletionOfTheSecret:
    @pytest.fixture(autouse=True)
    def _used(self, api, consumers):
        api.post(consumers, NOVA)

    @pytest.mark.parametrize("version", ["1.0", "1.1", None])
    def test_before_1_2_consumers_do_not_block_it(self, api, path, version):
        assert api.at(version).delete(path).status_code == 204

    @pytest.mark.parametrize("query", ["", "?force=0", "?force=false"])
    def test_from_1_2_on_they_do(self, api, path, query):
        response = api.delete(path + query)

        assert response.status_code == 400
        assert FRAGMENT in response.json()["description"]
        assert api.get(f"{path}/payload").content == b"x"

    @pytest.mark.parametrize("force", ["1", "true", "YES"])
    def test_force_overrides_them(self, api, path, force):
        assert api.delete(f"{path}?force={force}").status_code == 204
        assert not SecretConsumer.objects.filter(deleted_at=None).exists()

    def test_once_removed_they_no_longer_block(self, api, path, consumers):
        api.delete(consumers, NOVA)

        assert api.delete(path).status_code == 204

    def test_more_than_a_page_of_them_all_go(self, api, path, consumers):
        for number in range(12):
            api.post(consumers, NOVA | {"resource_id": str(number)})

        assert api.delete(f"{path}?force=1").status_code == 204
        assert not SecretConsumer.objects.filter(deleted_at=None).exists()
