import base64
import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from keepsite.console.admin import OperatorAdmin
from keepsite.console.navigation import GROUPS
from keepsite.identity.models import APIKey
from keepsite.keyring.models import MKEK, ProjectKEK
from keepsite.readonly import detail_url, list_url
from keepsite.readonly.lists import DayField
from secrets_app.models import Payload, Secret
from tests.console.pages import detail_pages, list_pages, models, rows

UNSEEN_COLUMNS = re.compile(r"ciphertext|canary|wrapped_pkek|sha256|[`\".]iv\b")


class TestEditing:
    @pytest.mark.parametrize("word", ["add", "change", "delete", "history"])
    def test_there_is_no_url_to_edit_with(self, store, console, word):
        before = rows()

        for model in models():
            pk = model.objects.first().pk
            for url in (f"{list_url(model)}{word}/", f"{detail_url(model, pk)}{word}/"):
                assert console.get(url).status_code == 404, url
                assert console.post(url, {"post": "yes"}).status_code in {403, 404}, url

        assert rows() == before

    def test_posting_to_pages_changes_nothing(self, store, console):
        before = rows()

        for url in [*list_pages(), *detail_pages()]:
            assert (
                console.post(url, {"name": "x", "action": "delete_selected", "_save": "1"}).status_code == 403
            )

        assert rows() == before

    def test_strangers_are_sent_to_the_log_in(self, store, client):
        for url in ["/admin/", *list_pages(), *detail_pages()[:3]]:
            answer = client.get(url)
            assert (answer.status_code, answer.url.split("?")[0]) == (302, "/admin/login/"), url

    def test_editable_pages_of_other_packages_stay_out(self):
        assert Group not in admin.site._registry
        assert isinstance(admin.site._registry[User], OperatorAdmin)

    def test_navigation_leads_everywhere(self):
        assert {model for _, group in GROUPS for model in group} == set(models())


class TestSecrecy:
    def test_key_material_is_in_no_page(self, store, console):
        hidden = [bytes(value) for value in Payload.objects.values_list("ciphertext", flat=True)]
        hidden += [
            bytes(value) for row in MKEK.objects.values_list("canary_wrapped", "canary_iv") for value in row
        ]
        hidden += [bytes(value) for value in ProjectKEK.objects.values_list("wrapped_pkek", flat=True)]
        texts = [
            *APIKey.objects.values_list("sha256", flat=True),
            *User.objects.values_list("password", flat=True),
        ]
        for value in filter(None, hidden):
            texts += [value.hex(), base64.b64encode(value).decode(), repr(value)]

        for url in ["/admin/", *list_pages(), *detail_pages()]:
            html = console.get(url).content.decode()
            assert not [text for text in texts if text in html], url

    def test_it_is_not_even_read(self, store, console):
        with CaptureQueriesContext(connection) as queries:
            for url in ["/admin/", *list_pages(), *detail_pages()]:
                console.get(url)

        read = [query["sql"] for query in queries if UNSEEN_COLUMNS.search(query["sql"])]
        assert read == []

    @pytest.mark.parametrize(
        "url",
        [
            "/admin/identity/apikey/?sha256__startswith=a",
            "/admin/auth/user/?password__startswith=p",
            "/admin/keyring/projectkek/?canary_iv__isnull=0",
            "/admin/secrets_app/secret/?payload__ciphertext__gt=0",
        ],
    )
    def test_no_column_can_be_probed_through_the_address(self, store, console, url):
        assert console.get(url).status_code == 400


class TestLists:
    def test_every_choice_of_every_filter_answers(self, store, console):
        for url in list_pages():
            for choice in console.get(url).context["page"].choices:
                is_typed = isinstance(choice, DayField)
                for value in ["2026-01-31"] if is_typed else [one.value for one in choice.options[1:]]:
                    assert console.get(url, {choice.name: value}).status_code == 200, (url, value)

    def test_every_column_sorts_both_ways(self, store, console):
        for url in list_pages():
            for number in range(len(console.get(url).context["page"].table.headings)):
                for order in (str(number), f"-{number}"):
                    assert console.get(url, {"o": order}).status_code == 200, (url, order)

    def test_a_pasted_ref_finds_its_secret(self, store, console):
        secret = Secret.objects.first()

        page = console.get(list_url(Secret), {"q": f"https://keys.example/v1/secrets/{secret.id}"}).context[
            "page"
        ]

        assert [row.url for row in page.table.rows] == [detail_url(Secret, secret.id)]

    def test_nothing_found_says_so(self, store, console):
        assert "Nothing matches" in console.get(list_url(Secret), {"q": "no such name"}).content.decode()

    def test_boxes_left_alone_narrow_nothing(self, store, console):
        page = console.get(
            list_url(Secret), {"q": "", "state": "", "secret_type": "", "created": ""}
        ).context["page"]

        assert page.table.rows
        assert not page.is_narrowed

    def test_a_choice_that_does_not_exist_finds_nothing(self, store, console):
        assert console.get(list_url(Secret), {"state": "imaginary"}).context["page"].table.rows == ()

    def test_markup_in_names_stays_text(self, store, console):
        secret = Secret.objects.first()
        Secret.objects.filter(id=secret.id).update(name="<script>alert(1)</script>")

        for url in (list_url(Secret, q="alert"), detail_url(Secret, secret.id)):
            assert "<script>alert" not in console.get(url).content.decode()

    @pytest.mark.parametrize(
        ("state", "word"), [("deleted", "Deleted"), ("expired", "Expired"), ("empty", "No payload")]
    )
    def test_rows_say_their_state_in_words(self, store, console, state, word):
        page = console.get(list_url(Secret, state=state)).context["page"]

        assert page.table.rows
        assert all(word in row.cells[0].value for row in page.table.rows)
