import pytest

from secrets_app.models import SecretMetadatum


@pytest.fixture
def path(api):
    return api.store("hello") + "/metadata"


class TestWholeSet:
    def test_secret_without_any_shows_an_empty_object(self, api, path):
        assert api.get(path).json() == {"metadata": {}}

    def test_put_replaces_all_and_lowers_names(self, api, path):
        api.call("PUT", path, {"metadata": {"Old": "1"}})

        response = api.call("PUT", path, {"metadata": {"A": " b ", "c-1_D": ""}})

        assert response.status_code == 201
        assert response.json() == {"metadata_ref": f"http://testserver{path}"}
        assert api.get(path).json() == {"metadata": {"a": "b", "c-1_d": ""}}

    def test_empty_object_clears(self, api, path):
        api.call("PUT", path, {"metadata": {"a": "b"}})

        api.call("PUT", path, {"metadata": {}})

        assert api.get(path).json() == {"metadata": {}}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"metadata": None},
            {"metadata": []},
            {"metadata": {"a": 1}},
            {"metadata": {"a": None}},
            {"metadata": {"a b": "c"}},
            {"metadata": {"": "c"}},
            {"metadata": {"é": "c"}},
            {"metadata": {"a": "x" * 256}},
            {"metadata": {"a" * 256: "x"}},
        ],
        ids=str,
    )
    def test_what_it_cannot_hold_is_refused_and_nothing_is_written(self, api, path, body):
        assert api.call("PUT", path, body).status_code == 400
        assert not SecretMetadatum.objects.exists()


class TestOneNote:
    def test_post_adds_one_and_says_where(self, api, path):
        response = api.post(path, {"key": "Foo", "value": "bar"})

        assert response.status_code == 201
        assert response.json() == {"key": "foo", "value": "bar"}
        assert response["Location"] == f"http://testserver{path}/foo"

    def test_name_in_the_path_may_be_spelt_in_capitals(self, api, path):
        assert api.post(f"{path}/Foo", {"key": "Foo", "value": "bar"}).status_code == 201

        assert api.get(f"{path}/FOO").json() == {"key": "foo", "value": "bar"}

    def test_second_of_a_name_is_a_conflict_and_the_first_stays(self, api, path):
        api.post(path, {"key": "foo", "value": "1"})

        assert api.post(path, {"key": "FOO", "value": "2"}).status_code == 409
        assert api.get(f"{path}/foo").json()["value"] == "1"

    def test_put_changes_an_existing_one_only(self, api, path):
        assert api.call("PUT", f"{path}/foo", {"key": "foo", "value": "1"}).status_code == 404
        api.post(path, {"key": "foo", "value": "1"})

        assert api.call("PUT", f"{path}/foo", {"key": "foo", "value": "2"}).status_code == 200
        assert api.call("PUT", f"{path}/foo", {"key": "bar", "value": "2"}).status_code == 409
        assert api.get(f"{path}/foo").json()["value"] == "2"

    @pytest.mark.parametrize(
        "body",
        [{"key": "a"}, {"value": "a"}, {"key": "a", "value": "b", "c": 1}, {"key": "a b", "value": "c"},
         {"key": 1, "value": "c"}],
        ids=str,
    )  # fmt: skip
    def test_other_than_key_and_value_is_refused(self, api, path, body):
        assert api.post(path, body).status_code == 400

    def test_delete_answers_204_also_for_what_is_not_there(self, api, path):
        api.post(path, {"key": "foo", "value": "1"})

        assert api.delete(f"{path}/Foo").status_code == 204
        assert api.delete(f"{path}/foo").status_code == 204
        assert api.get(f"{path}/foo").status_code == 404

    @pytest.mark.parametrize(("method", "below"), [("DELETE", ""), ("PATCH", ""), ("PATCH", "/foo")])
    def test_other_methods_are_405(self, api, path, method, below):
        assert api.call(method, path + below).status_code == 405
