import pytest

from secrets_app.models import Container, ContainerSecret


def refs(**named):
    return [{"name": name, "secret_ref": f"http://testserver{path}"} for name, path in named.items()]


@pytest.fixture
def secret(api):
    return api.store("hello", name="s")


def make(api, **body):
    response = api.post("/v1/containers", {"type": "generic", **body})
    assert response.status_code == 201, response.content
    return "/v1/containers/" + response.json()["container_ref"].rpartition("/")[2]


class TestCreate:
    def test_answers_the_ref_and_the_object_has_all_its_keys(self, api, secret):
        path = make(api, name="c", secret_refs=refs(x=secret))

        shown = api.get(path).json()

        assert {*shown} == {
            *("created", "updated", "status", "name", "type", "creator_id", "secret_refs", "consumers"),
            "container_ref",
        }  # fmt: skip
        assert shown["secret_refs"] == refs(x=secret)
        assert (shown["name"], shown["type"], shown["creator_id"], shown["status"]) == (
            "c",
            "generic",
            "u1",
            "ACTIVE",
        )

    @pytest.mark.parametrize("kind", ["generic", "rsa", "certificate"])
    def test_every_type_may_be_empty(self, api, kind):
        assert api.post("/v1/containers/", {"type": kind}).status_code == 201

    @pytest.mark.parametrize(
        ("kind", "names", "status"),
        [
            ("rsa", ["public_key", "private_key"], 201),
            ("rsa", ["public_key", "private_key", "private_key_passphrase"], 201),
            ("rsa", ["public_key"], 400),
            ("rsa", ["public_key", "private_key", "other"], 400),
            ("certificate", ["certificate"], 201),
            ("certificate", ["certificate", "private_key", "intermediates", "private_key_passphrase"], 201),
            ("certificate", ["private_key"], 400),
            ("certificate", ["certificate", "CERTIFICATE"], 400),
            ("generic", ["anything", "else"], 201),
        ],
        ids=str,
    )
    def test_a_type_says_which_names_it_takes_and_needs(self, api, kind, names, status):
        named = {name: api.store("hello") for name in names}

        assert api.post("/v1/containers", {"type": kind, "secret_refs": refs(**named)}).status_code == status

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"type": "dsa"},
            {"type": "RSA"},
            {"type": None},
            {"type": "generic", "secret_refs": None},
            {"type": "generic", "secret_refs": {}},
            {"type": "generic", "secret_refs": ["x"]},
            {"type": "generic", "secret_refs": [{"name": "x"}]},
            {"type": "generic", "secret_refs": [{"secret_ref": ""}]},
            {"type": "generic", "secret_refs": [{"secret_ref": 1}]},
            {"type": "generic", "name": "x" * 256},
        ],
        ids=str,
    )
    def test_bad_bodies_are_refused_and_nothing_is_written(self, api, body):
        assert api.post("/v1/containers", body).status_code == 400
        assert not Container.objects.exists()

    def test_a_name_or_a_secret_twice_is_refused(self, api, secret):
        other = api.store("hello")
        same_name = [*refs(x=secret), *refs(x=other)]
        unnamed = [{"secret_ref": secret}, {"secret_ref": other}]

        for wanted in (refs(x=secret, y=secret), same_name, unnamed):
            assert api.post("/v1/containers", {"type": "generic", "secret_refs": wanted}).status_code == 400

    def test_foreign_missing_and_malformed_secrets_are_404(self, api, secret):
        stranger = api.other(project="p2")

        for caller, ref in ((stranger, secret), (api, secret[:-4] + "0000"), (api, "/v1/secrets/nonsense")):
            assert (
                caller.post(
                    "/v1/containers", {"type": "generic", "secret_refs": [{"secret_ref": ref}]}
                ).status_code
                == 404
            )

    @pytest.mark.parametrize(
        "form", ["{id}", "https://other:1/v1/secrets/{id}", "http://testserver/v1/secrets/{id}/"]
    )
    def test_a_ref_counts_by_its_last_segment(self, api, secret, form):
        ref = form.format(id=secret.rpartition("/")[2])

        path = make(api, secret_refs=[{"name": "x", "secret_ref": ref}])

        assert api.get(path).json()["secret_refs"] == refs(x=secret)


class TestList:
    def test_filters_by_name_and_type_and_links_keep_them(self, api):
        for number in range(3):
            make(api, name="web", type="certificate")
            make(api, name=f"other {number}")

        page = api.get("/v1/containers?type=certificate&name=web&limit=2").json()

        assert page["total"] == 3
        following = api.get(page["next"].removeprefix("http://testserver")).json()
        assert len(following["containers"]) == 1
        assert following["containers"][0]["type"] == "certificate"

    def test_other_projects_containers_are_not_shown(self, api):
        make(api)

        assert api.other(project="p2").get("/v1/containers").json() == {"containers": [], "total": 0}


class TestDelete:
    def test_secrets_stay_and_a_second_time_is_404(self, api, secret):
        path = make(api, secret_refs=refs(x=secret))

        assert api.delete(path).status_code == 204
        assert api.delete(path).status_code == 404
        assert api.get(secret).status_code == 200

    def test_deleted_secret_leaves_the_container_that_held_it(self, api, secret):
        path = make(api, secret_refs=refs(x=secret))

        api.delete(secret)

        assert api.get(path).json()["secret_refs"] == []

    def test_put_is_405_with_what_is_allowed(self, api):
        response = api.call("PUT", make(api), {})

        assert (response.status_code, response["Allow"]) == (405, "DELETE, GET")


class TestSecretsOf:
    def test_remove_and_add_again_works(self, api, secret):
        path = make(api)
        place = refs(x=secret)[0]

        assert api.post(f"{path}/secrets", place).status_code == 201
        assert api.post(f"{path}/secrets", place).status_code == 409
        assert api.delete(f"{path}/secrets", place).status_code == 204
        assert api.delete(f"{path}/secrets", place).status_code == 404
        assert api.post(f"{path}/secrets", place).status_code == 201

    def test_same_secret_under_another_name_and_without_one(self, api, secret):
        path = make(api, secret_refs=refs(x=secret))

        assert api.post(f"{path}/secrets", {"secret_ref": secret, "name": "y"}).status_code == 201
        assert api.post(f"{path}/secrets", {"secret_ref": secret}).status_code == 201
        assert {place["name"] for place in api.get(path).json()["secret_refs"]} == {"x", "y", None}

    def test_typed_containers_take_none_but_give_back(self, api, secret):
        path = make(api, type="certificate", secret_refs=refs(certificate=secret))

        assert api.post(f"{path}/secrets", refs(private_key=secret)[0]).status_code == 400
        assert api.delete(f"{path}/secrets", refs(certificate=secret)[0]).status_code == 204

    @pytest.mark.parametrize(
        "ref", ["nonsense", "http://x/v1/secrets/", "/v1/secrets/00000000-0000-4000-8000-000000000000"]
    )
    def test_no_such_secret_is_404(self, api, ref):
        assert api.post(make(api) + "/secrets", {"secret_ref": ref}).status_code == 404
        assert not ContainerSecret.objects.exists()

    def test_get_is_405(self, api):
        assert api.get(make(api) + "/secrets").status_code == 405


class TestConsumers:
    USE = {"name": "lb", "URL": "https://lb/1"}  # noqa: RUF012

    def test_register_is_idempotent_and_answers_the_container(self, api):
        path = make(api)

        for _ in range(2):
            response = api.post(f"{path}/consumers", self.USE)
            assert response.status_code == 200
            assert response.json()["consumers"] == [self.USE]
            assert response["Location"] == f"http://testserver{path}/consumers"

        listed = api.get(f"{path}/consumers").json()
        assert listed["total"] == 1
        assert {*listed["consumers"][0]} == {"created", "updated", "status", "name", "URL"}

    def test_removed_one_comes_back_and_a_second_removal_is_404(self, api):
        path = make(api)
        api.post(f"{path}/consumers", self.USE)

        assert api.delete(f"{path}/consumers", self.USE).json()["consumers"] == []
        assert api.delete(f"{path}/consumers", self.USE).status_code == 404
        assert api.post(f"{path}/consumers", self.USE).json()["consumers"] == [self.USE]

    @pytest.mark.parametrize(
        "body",
        [{}, {"name": "x"}, {"name": "x", "url": "y"}, {"name": "", "URL": "y"}, {"name": 1, "URL": "y"}],
        ids=str,
    )
    def test_both_texts_are_needed(self, api, body):
        assert api.post(make(api) + "/consumers", body).status_code == 400

    def test_they_never_stand_in_the_way_of_deletion(self, api):
        path = make(api)
        api.post(f"{path}/consumers", self.USE)

        assert api.delete(path).status_code == 204
