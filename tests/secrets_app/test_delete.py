"""DELETE /v1/secrets/{id}: gone for clients at once, kept for the recovery window."""

import pytest

from secrets_app.models import Payload, Secret


class TestDelete:
    def test_success_is_204_and_again_is_404(self, api):
        path = api.store("x")

        response = api.delete(path)

        assert response.status_code == 204
        assert response.content == b""
        assert api.delete(path).status_code == 404

    def test_nothing_of_it_is_to_be_had_afterwards(self, api):
        path = api.store("x")
        api.delete(path)

        for gone in (path, f"{path}/payload", f"{path}/consumers"):
            assert api.get(gone).status_code == 404
        assert api.put(path, b"x").status_code == 404

    def test_row_and_sealed_payload_stay_for_recovery(self, api):
        api.delete(api.store("x"))

        assert Secret.objects.get().deleted_at is not None
        assert Payload.objects.count() == 1

    @pytest.mark.parametrize("accept", ["text/html", "image/png", ""])
    def test_accept_and_body_do_not_matter(self, api, accept):
        assert api.delete(api.store("x"), b"{", content_type="text/xml", Accept=accept).status_code == 204

    def test_others_are_untouched(self, api):
        kept, gone = api.store("kept"), api.store("gone")
        api.delete(gone)

        assert api.get(f"{kept}/payload").content == b"kept"

    def test_a_typed_container_left_incomplete_is_logged_and_a_generic_one_is_not(self, api, caplog):
        public, private, spare = (api.store(name) for name in ("public", "private", "spare"))
        refs = [
            {"name": name, "secret_ref": f"http://testserver{path}"}
            for name, path in (("public_key", public), ("private_key", private))
        ]
        pair = api.post("/v1/containers", {"type": "rsa", "secret_refs": refs}).json()["container_ref"]
        api.post("/v1/containers", {"type": "generic", "secret_refs": refs})
        caplog.set_level("INFO")

        assert api.delete(spare).status_code == 204
        assert "container.left_incomplete" not in caplog.text
        assert api.delete(private).status_code == 204

        (told,) = [record.msg for record in caplog.records if "left_incomplete" in str(record.msg)]
        assert told["container_ids"] == [pair.rpartition("/")[2]]
        assert told["secret_id"] == private.rpartition("/")[2]

    def test_without_a_token_it_still_works(self, api, shim):
        path = api.store("x")
        shim.answer(0x30)

        with shim.counting() as calls:
            assert api.delete(path).status_code == 204
        assert calls == {}


class TestForce:
    @pytest.mark.parametrize(
        "force", ["1", "t", "TRUE", "on", "y", "yes", "0", "f", "False", "off", "n", "no"]
    )
    def test_spellings_of_yes_and_no(self, api, force):
        assert api.delete(f"{api.store()}?force={force}").status_code == 204

    @pytest.mark.parametrize("force", ["maybe", "2", "-1", "yess", ""])
    def test_anything_else_is_400_even_without_consumers(self, api, force):
        path = api.store()

        assert api.delete(f"{path}?force={force}").status_code == 400
        assert api.get(path).status_code == 200

    def test_before_1_2_it_is_ignored(self, api):
        assert api.at("1.1").delete(f"{api.store()}?force=maybe").status_code == 204
