"""Every word that the console shows can be translated: rendered in a language that brackets each message.

What stands outside of brackets must be data: what the database holds, a moment, a command, a name.
"""

import json
import re
import struct
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import CharField, JSONField, TextField
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone, translation
from django.utils.translation import trans_real

from keepsite import audit
from keepsite.approvals.models import ActRequest
from keepsite.console.checks import languages_have_translations
from keepsite.console.zones import known_zones
from keepsite.fleet.models import HSMMember, NodeReport
from keepsite.nodes.models import Node
from keepsite.operators import second_factor
from keepsite.projects.models import Project, ProjectQuota
from orders_app.models import Order
from secrets_app.models import Secret
from tests.console.pages import act_url, declared_acts, detail_pages, list_pages, models
from tests.console.plausible import fill
from tests.console.test_second_factor import Phone, log_in

PSEUDO = "en-xa"
UNSEEN = frozenset({"script", "style", "svg"})
DATA = frozenset({"code", "pre", "time"})
SHOWN_ATTRIBUTES = ("aria-label", "placeholder", "alt", "data-label")
FROM_ELSEWHERE = re.compile(
    r"https?://\S+: \[Errno \d+\] [\w ]+|[a-z]+/[\w.+-]+"
)  # errors of sockets, media types
WORD = re.compile(r"[^\W\d_]{2,}")
NAMES = {"Keepsite", "UTC", "CSV", "JSON", "ms", "min"}  # and units
# What pages say by themselves, so that it is found though some reason or title in the database says it too.
COMMON = frozenset(
    re.findall(
        r"\w+",
        "all an and any are as at back by for from good has have if in is it its left more never no nobody"
        " none not nothing now of off on one only open or other since some that the then they this to under"
        " until up was well were what who will with within without yes yet",
    )
)


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
    """The rest of ``text``, with a blank for each message; brackets must match, or one hid the rest."""
    rest, depth = [], 0
    for letter in text:
        depth += (letter == "⟦") - (letter == "⟧")
        assert depth >= 0, text
        rest.append(letter if depth == 0 and letter != "⟧" else " ")
    assert depth == 0, text
    return "".join(rest)


def untranslated(html, known, sentences=()):
    """Words of a page that no catalogue could have translated and that are no data."""
    words = Words()
    words.feed(html)
    rest = FROM_ELSEWHERE.sub(" ", outside_brackets(" ".join(words.found)))
    for sentence in sentences:
        rest = rest.replace(sentence, " ")
    return {word for word in WORD.findall(rest) if word not in known}


class Data:
    """What the database holds: its words, but for common ones, and its texts of several words as they are.

    Columns of fixed choices are none of it, since their values have words.
    """

    def __init__(self):
        texts = {text for model in apps.get_models() for text in self._texts(model)}
        self.words = {word for text in texts for word in WORD.findall(text)} - COMMON | NAMES
        self.sentences = sorted((text for text in texts if " " in text), key=len, reverse=True)

    def lacks(self, html):
        """The words of a page that are neither translated nor data."""
        return untranslated(html, self.words, self.sentences)

    def _texts(self, model):
        free = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, CharField | TextField | JSONField) and not field.choices
        ]
        for values in model.objects.values_list(*free):
            for value in values:
                yield from self._strings(value)

    def _strings(self, value):
        match value:
            case str() if value.startswith("{"):  # a line of an audit file
                yield from self._strings(json.loads(value))
            case str():
                yield " ".join(value.split())
            case dict():
                for inner in value.values():
                    yield from self._strings(inner)
            case list():
                for inner in value:
                    yield from self._strings(inner)


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
    """Rows of every kind and state, few of each, and an act that was done in an emergency."""
    fill(projects=6, secrets=16, orders=12)
    ActRequest.objects.create(
        noun="secrets_app.secret",
        act="purge",
        title="Purge",
        requested_by="olivia",
        expires_at=timezone.now(),
        state=ActRequest.State.DONE,
    )


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


def report(now, members, *, node="api1", failed=0):
    """What a green node told: its requests of this minute, and its processes' HSM member."""
    Node.objects.create(name=node, version="1", address="x", colour="green", heartbeat_at=now)
    HSMMember.objects.get_or_create(name="rack1")
    minute = int(now.timestamp() // 60)
    told = {"in_flight": 0, "sessions": 1, "keys": 1, "errors": {}, "last_canary_at": None, "minutes": []}
    NodeReport.objects.create(
        node=node,
        told_at=now,
        began_at=now - timedelta(hours=1),
        requests=[[minute, 1, failed, [100, *[0] * 12]]],
        members={"rack1": told | {"states": members}},
    )


def rows_for(model, act):
    """A row that the act makes sense for, and one that it does not."""
    found = {}
    for row in admin.site.get_model_admin(model).get_queryset(HttpRequest()).order_by("pk")[:60]:
        found.setdefault(act.applies_to(row, now=timezone.now()), row.pk)
    return found.values()


class TestEveryPage:
    def test_says_nothing_that_cannot_be_translated(self, store, page_in):
        data = Data()
        acts = [
            act_url(model, act.name, pk)
            for model, act in declared_acts()
            for pk in ([None] if act.scope == "list" else rows_for(model, act))
        ]
        own = ["/admin/second-factor/", "/admin/password_change/", "/admin/nothing/", "/admin/search/?q="]
        urls = ["/admin/", "/admin/live/", *own, *list_pages(), *detail_pages()[::2], *acts]

        assert {url: words for url in urls if (words := data.lacks(page_in(url)))} == {}

    def test_the_choice_of_zones_has_their_names_besides(self, page_in):
        names = WORD.findall(" ".join(known_zones()))

        assert untranslated(page_in("/admin/time-zone/"), {*NAMES, *names, "olga"}) == set()

    def test_what_is_wrong_and_what_was_done(self, store, page_in):
        secret = Secret.objects.filter(deleted_at=None, expires_at=None).first()
        url = act_url(Secret, "withdraw", secret.pk)
        data = Data()

        wrong = page_in(url, {"reason": "", "typed": str(secret)})
        done = page_in(url, {"reason": "r", "typed": str(secret)})

        assert Secret.objects.get(pk=secret.pk).deleted_at
        assert "⟦This field is required.⟧" in wrong
        assert "⟦The secret" in done
        assert data.lacks(wrong) | data.lacks(done) == set()

    def test_logging_in(self, pseudo, client, operator):
        asked = client.get("/admin/", headers={"Accept-Language": pseudo}, follow=True)
        refused = client.post(
            "/admin/login/", {"username": "olga", "password": "x"}, headers={"Accept-Language": pseudo}
        )

        assert "⟦This name and password" in refused.content.decode()
        for answer in (asked, refused):
            assert untranslated(answer.content.decode(), NAMES) == set()

    def test_logging_in_with_a_second_factor(self, pseudo, client, operator):
        secret = second_factor.new_secret()
        actor = audit.ConsoleOperator(user_id="olga")
        second_factor.enrol(operator, secret=secret, code=Phone(secret).shows(), actor=actor)
        log_in(client)

        asked = client.get("/admin/login/code/", headers={"Accept-Language": pseudo})

        assert "⟦Code⟧ · Keepsite" in asked.content.decode()
        assert untranslated(asked.content.decode(), {*NAMES, "olga"}) == set()


class TestOverview:
    """Of the states that a store of everything never has."""

    def test_when_all_is_well(self, mkek, page_in):
        report(timezone.now(), {"up": 4})

        page = page_in("/admin/")

        assert "⟦All well⟧" in page
        assert Data().lacks(page) == set()

    def test_when_nothing_has_been_set_up(self, db, page_in):
        assert Data().lacks(page_in("/admin/")) == set()

    def test_when_much_is_wrong(self, mkek, page_in):
        report(timezone.now(), {"suspect": 4}, failed=50)
        report(timezone.now() - timedelta(hours=1), {"up": 4}, node="gone")
        near = Project.objects.create(external_id="near")
        ProjectQuota.objects.create(project=near, orders=10)
        Order.objects.bulk_create(
            Order(project=near, type="key", meta={}, created_at=timezone.now() - timedelta(minutes=9))
            for _ in range(9)
        )

        page = page_in("/admin/")

        assert "⟦⟦Orders⟧ of near⟧" in page
        assert Data().lacks(page) == set()


class TestFilters:
    def test_choices_mean_the_same_in_every_language(self, store, operator, pseudo):
        """What is sent for a choice is no word of the reader's language."""

        def found(model, language, **query):
            request = RequestFactory().get("/", query)
            request.user = operator
            with translation.override(language):
                return admin.site.get_model_admin(model).get_changelist_instance(request)

        def choices(model, language):
            return {
                spec.parameter_name: [str(value) for value, _ in spec.lookup_choices]
                for spec in found(model, language).filter_specs
            }

        for model in models():
            assert choices(model, pseudo) == choices(model, "en")
            for name, values in choices(model, "en").items():
                for value in values:
                    counts = {found(model, one, **{name: value}).result_count for one in ("en", pseudo)}
                    assert len(counts) == 1, (model, name, value)


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
