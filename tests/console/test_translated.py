"""Every word that the console shows can be translated: rendered in a language that brackets each message.

What stands outside of brackets must be data: what the database holds, a moment, a command, a name.
"""

import re
import struct
from html.parser import HTMLParser

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import CharField, JSONField, TextField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import trans_real

from keepsite.approvals.models import ActRequest
from keepsite.console.checks import languages_have_translations
from keepsite.console.zones import known_zones
from orders_app.wishes import ASYMMETRIC, SYMMETRIC
from secrets_app.models import Secret
from tests.console.pages import act_url, declared_acts, detail_pages, list_pages
from tests.console.plausible import fill

PSEUDO = "en-xa"
UNSEEN = frozenset({"script", "style", "svg"})
DATA = frozenset({"code", "pre", "time"})
SHOWN_ATTRIBUTES = ("aria-label", "placeholder", "alt", "data-label")
FROM_ELSEWHERE = re.compile(
    r"https?://\S+: \[Errno \d+\] [\w ]+|[a-z]+/[\w.+-]+"
)  # errors of sockets, media types
NAMES = {"Keepsite", "UTC", "CSV", "JSON", "ms", "min"}  # and units

ALGORITHMS = {re.sub(r"\d.*", "", name.upper()) for name in (*SYMMETRIC, *ASYMMETRIC)}


class Bracketing(trans_real.DjangoTranslation):
    """A catalogue that has every message, in brackets."""

    def gettext(self, message):
        return f"⟦{message.rpartition(trans_real.CONTEXT_SEPARATOR)[2]}⟧"

    def ngettext(self, singular, plural, number):
        return self.gettext(singular if number == 1 else plural)


class Words(HTMLParser):
    """What a page says to its reader: text, and attributes that are shown or read aloud."""

    VOID = frozenset({"input", "meta", "link", "br", "img", "wbr", "rect", "path", "hr"})

    def __init__(self):
        super().__init__()
        self.open, self.found, self.is_broken = [], [], False

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)
        self.is_broken = tag == "wbr"
        self.found += [value for name, value in attributes if name in SHOWN_ATTRIBUTES and value]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if UNSEEN.union(DATA).intersection(self.open):
            return
        if self.is_broken:  # one word, which a narrow column may break
            self.found[-1] += data
        else:
            self.found.append(data)
        self.is_broken = False


def outside_brackets(text):
    """The rest of ``text``, with a blank for each message."""
    rest, depth = [], 0
    for letter in text:
        depth += (letter == "⟦") - (letter == "⟧")
        rest.append(letter if depth == 0 and letter != "⟧" else " ")
    return "".join(rest)


def untranslated(html, known):
    """Words of a page that no catalogue could have translated and that are no data."""
    words = Words()
    words.feed(html)
    rest = FROM_ELSEWHERE.sub(" ", " ".join(outside_brackets(text) for text in words.found))
    return {word for word in re.findall(r"[^\W\d_]{2,}", rest) if word not in known}


def vocabulary():
    """Every word of the database's data; columns of fixed choices are none, since their values have words."""
    found = NAMES | ALGORITHMS
    for model in apps.get_models():
        free = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, CharField | TextField | JSONField) and not field.choices
        ]
        for values in model.objects.values_list(*free):
            found.update(re.findall(r"[^\W\d_]{2,}", " ".join(map(str, values))))
    return found


@pytest.fixture
def pseudo(settings, tmp_path):
    """The bracketing language, among those that a browser may ask for."""
    catalogue = tmp_path / "en_XA" / "LC_MESSAGES" / "django.mo"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_bytes(compiled({}))
    settings.LANGUAGES = [("en", "en"), (PSEUDO, PSEUDO)]
    settings.LOCALE_PATHS = [str(tmp_path)]
    trans_real._translations[PSEUDO] = Bracketing(PSEUDO)
    yield PSEUDO
    trans_real._translations.pop(PSEUDO, None)


def compiled(messages):
    """A catalogue as msgfmt writes it.

    Source: GNU gettext, the format of GNU MO files.
    """
    pairs = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **messages}.items())
    texts = [[text.encode() for text in column] for column in zip(*pairs, strict=True)]
    head = 7 * 4
    offset = head + 2 * 8 * len(pairs)
    tables = []
    for text in [*texts[0], *texts[1]]:
        tables.append((len(text), offset))
        offset += len(text) + 1
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), head, head + 8 * len(pairs), 0, 0)
    return (
        header
        + b"".join(struct.pack("<2I", *entry) for entry in tables)
        + b"".join(text + b"\0" for text in [*texts[0], *texts[1]])
    )


@pytest.fixture
def store(mkek):
    """Rows of every kind and state, few of each."""
    fill(projects=6, secrets=16, orders=12)


@pytest.fixture
def page_in(pseudo, console):
    """What a page says in the bracketing language."""

    def read(url, form=None):
        send = console.get if form is None else console.post
        answer = send(url, form, headers={"Accept-Language": pseudo}, follow=form is not None)
        if answer["Content-Type"] == "application/json":
            return "".join(answer.json()["parts"].values())
        return answer.content.decode()

    return read


def rows_for(model, act):
    """A row that the act makes sense for, and one that it does not."""
    found = {}
    for row in admin.site.get_model_admin(model).get_queryset(HttpRequest()).order_by("pk")[:60]:
        found.setdefault(act.applies_to(row, now=timezone.now()), row.pk)
    return found.values()


class TestEveryPage:
    def test_says_nothing_that_cannot_be_translated(self, store, page_in):
        known = vocabulary()
        acts = [
            act_url(model, act.name, pk)
            for model, act in declared_acts()
            for pk in ([None] if act.scope == "list" else rows_for(model, act))
        ]
        own = ["/admin/second-factor/", "/admin/password_change/", "/admin/nothing/", "/admin/search/?q="]
        urls = ["/admin/", "/admin/live/", *own, *list_pages(), *detail_pages()[::2], *acts]

        assert {url: words for url in urls if (words := untranslated(page_in(url), known))} == {}

    def test_the_choice_of_zones_has_their_names_besides(self, page_in):
        names = re.findall(r"[^\W\d_]{2,}", " ".join(known_zones()))

        assert untranslated(page_in("/admin/time-zone/"), {*NAMES, *names, "olga"}) == set()

    def test_what_is_wrong_and_what_was_done(self, store, page_in):
        secret = Secret.objects.filter(deleted_at=None, expires_at=None).first()
        url = act_url(Secret, "withdraw", secret.pk)
        known = vocabulary()

        wrong = page_in(url, {"reason": "", "typed": str(secret)})
        done = page_in(url, {"reason": "r", "typed": str(secret)})

        assert Secret.objects.get(pk=secret.pk).deleted_at
        assert "⟦This field is required.⟧" in wrong
        assert "⟦The secret" in done
        assert untranslated(wrong, known) | untranslated(done, known) == set()

    def test_logging_in(self, pseudo, client, operator):
        asked = client.get("/admin/", headers={"Accept-Language": pseudo}, follow=True)
        refused = client.post(
            "/admin/login/", {"username": "olga", "password": "x"}, headers={"Accept-Language": pseudo}
        )

        assert "⟦This name and password" in refused.content.decode()
        for answer in (asked, refused):
            assert untranslated(answer.content.decode(), NAMES) == set()


class TestTheTestItself:
    def test_finds_what_is_not_translated(self):
        html = '<p title="x">⟦A %s⟧ vault <b aria-label="Close">⟦it⟧</b> <code>key</code></p>'

        assert untranslated(html, {"vault"}) == {"Close"}
        assert untranslated(html, set()) == {"Close", "vault"}


class TestCatalogues:
    def test_a_site_brings_its_own(self, settings, tmp_path, console):
        catalogue = tmp_path / "de" / "LC_MESSAGES" / "django.mo"
        catalogue.parent.mkdir(parents=True)
        catalogue.write_bytes(compiled({"Overview": "Übersicht", "secrets": "Geheimnisse"}))
        settings.LOCALE_PATHS = [str(tmp_path)]
        settings.LANGUAGES = [("en", "en"), ("de", "de")]

        answer = console.get("/admin/", headers={"Accept-Language": "de-AT,de;q=0.8,en;q=0.5"})

        assert "<h1>Übersicht</h1>" in answer.content.decode()
        assert '<html lang="de"' in answer.content.decode()
        assert answer["Content-Language"] == "de"
        assert "Accept-Language" in answer["Vary"]

    def test_one_that_is_missing_is_said_by_check(self, settings, tmp_path):
        settings.LOCALE_PATHS = [str(tmp_path)]
        settings.LANGUAGES = [("en", "en"), ("pt-br", "pt-br")]

        (found,) = languages_have_translations(None)

        assert "'pt-br'" in found.msg
        assert "pt_BR/LC_MESSAGES/django.mo" in found.hint

    def test_without_one_everything_is_english(self, console):
        answer = console.get("/admin/", headers={"Accept-Language": "de"})

        assert "<h1>Overview</h1>" in answer.content.decode()
        assert '<html lang="en' in answer.content.decode()


class TestElsewhere:
    def test_the_api_stays_english(self, api, pseudo):
        answer = api.post("/v1/orders", {"type": "nonsense"}, HTTP_ACCEPT_LANGUAGE=pseudo)

        assert answer.status_code == 400
        assert "⟦" not in answer.content.decode()

    def test_requests_for_approval_and_their_outcomes_are_kept_in_english(
        self, settings, store, page_in, audited
    ):
        settings.TWO_PERSON_ACTS = ["secret.withdraw"]
        secret = Secret.objects.filter(deleted_at=None, expires_at=None).first()
        page_in(act_url(Secret, "withdraw", secret.pk), {"reason": "r", "typed": str(secret)})
        request = ActRequest.objects.get(act="withdraw")
        ActRequest.objects.filter(pk=request.pk).update(requested_by=_another_operator())

        page_in(act_url(ActRequest, "approve", request.pk), {"reason": "r", "typed": "approve"})

        request.refresh_from_db()
        assert request.title == f"Delete the secret {secret}"
        assert request.state == ActRequest.State.DONE
        assert request.outcome.startswith(f"The secret {secret} is deleted")
        records = audited("act.requested") + audited("act.carried_out") + audited("secret.deleted")
        assert "⟦" not in str(records)
        assert len(records) == 3


def _another_operator():
    return User.objects.create_superuser("nadja").username
