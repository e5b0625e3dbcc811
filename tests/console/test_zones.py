"""Dates in the zone of whoever reads them: on the console's pages, and nowhere else."""

import re
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from keepsite.console.models import Preference
from keepsite.console.zones import COOKIE, known_zones
from keepsite.identity.models import APIKey
from keepsite.readonly import detail_url, list_url, relative, written
from secrets_app.models import Secret
from tests.console.pages import detail_pages, list_pages

ZONE = "/admin/time-zone/"
SUMMER, WINTER = (datetime(2026, month, 6, 22, 30, 5, tzinfo=UTC) for month in (7, 1))


@pytest.fixture
def secret(store):
    """One that was made on a summer's night."""
    secret = Secret.objects.order_by("pk").first()
    Secret.objects.filter(pk=secret.pk).update(created_at=SUMMER)
    return secret


def created(client, secret):
    """What its page says: the element, with tags inside it taken out."""
    html = client.get(detail_url(Secret, secret.pk)).content.decode()
    return next(
        re.sub(r"<[^>]+>", "", found[1])
        for found in re.finditer(r"<time datetime=\"([^>]*>.*?)</time>", html)
        if found[1].startswith("2026-07-06T22:30:05+00:00")
    ).partition('">')[2]


class TestWhichZone:
    def test_nothing_known_is_utc(self, console, secret):
        assert created(console, secret) == "2026-07-06 22:30:05 UTC"

    def test_the_browsers(self, console, secret):
        console.cookies[COOKIE] = "Europe/Berlin"

        assert created(console, secret) == "2026-07-07 00:30:05 CEST"

    @pytest.mark.parametrize(
        "bad",
        [
            "Nowhere/At_all",
            "../../etc/passwd",
            "localtime",
            "/etc/localtime",
            "Europe/Berlin\x00",
            '"Europe/Berlin\\000"',
            "x" * 4000,
            "Ü",
        ],
        ids=repr,
    )
    def test_one_that_does_not_exist_is_utc(self, console, secret, bad):
        others = "; ".join(f"{name}={cookie.value}" for name, cookie in console.cookies.items())
        console.defaults["HTTP_COOKIE"] = f"{others}; {COOKIE}={bad}"  # as it comes: cookiejars refuse some

        assert created(console, secret) == "2026-07-06 22:30:05 UTC"

    def test_the_chosen_one_comes_before_the_browsers(self, console, secret):
        console.cookies[COOKIE] = "Europe/Berlin"
        console.post(ZONE, {"zone": "America/New_York"})

        assert created(console, secret) == "2026-07-06 18:30:05 EDT"

    def test_the_choice_is_taken_back(self, console, secret):
        console.cookies[COOKIE] = "Europe/Berlin"
        console.post(ZONE, {"zone": "America/New_York"})
        console.post(ZONE, {"zone": ""})

        assert created(console, secret) == "2026-07-07 00:30:05 CEST"

    def test_each_operator_has_their_own(self, console, console_of, secret):
        console.post(ZONE, {"zone": "America/New_York"})

        assert created(console_of("viewer"), secret) == "2026-07-06 22:30:05 UTC"

    def test_one_that_is_gone_since_is_the_browsers(self, console, operator, secret):
        Preference.objects.create(user=operator, zone="Europe/Atlantis")

        assert created(console, secret) == "2026-07-06 22:30:05 UTC"

    def test_the_log_in_has_one_and_leaves_none_behind(self, client, db):
        client.cookies[COOKIE] = "Europe/Berlin"
        client.get("/admin/login/")

        assert timezone.get_current_timezone_name() == "UTC"


class TestPage:
    def test_offers_those_that_exist_and_names_the_browsers(self, console):
        console.cookies[COOKIE] = "Europe/Berlin"

        html = console.get(ZONE).content.decode()

        assert "As the browser says: Europe/Berlin" in html
        assert '<option value="America/Argentina/Buenos_Aires">Argentina/Buenos Aires</option>' in html
        assert "localtime" not in html

    @pytest.mark.parametrize("bad", ["Nowhere/At_all", "localtime", "../UTC"])
    def test_takes_no_other(self, console, bad):
        answer = console.post(ZONE, {"zone": bad})

        assert answer.context["page"].form.errors
        assert not Preference.objects.exists()

    def test_every_page_leads_there_and_says_which(self, console):
        console.cookies[COOKIE] = "Asia/Kathmandu"

        assert "Asia/Kathmandu</a>" in console.get("/admin/").content.decode()

    def test_zones_come_with_the_product(self):
        """A bare Debian has none of its own: the tzdata package is a dependency."""
        assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Calcutta"} <= known_zones()


class TestEveryPage:
    def test_every_date_names_its_zone_and_tells_utc(self, store, console):
        console.cookies[COOKIE] = "Asia/Kathmandu"

        for url in ["/admin/", *list_pages(), *detail_pages()[::4]]:
            html = console.get(url).content.decode()
            assert "(UTC)" not in html, url
            for attributes, inside in re.findall(r"<time ([^>]*)>(.*?)</time>", html, re.DOTALL):
                assert re.search(r'title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"', attributes), url
                if ":" in inside:
                    assert inside.endswith('<span class="zone">UTC+0545</span>'), url
            assert not re.search(r"\d\d:\d\d:\d\d(\.\d+)?\+00:00(?!\" title)", html.replace("&quot;", "")), (
                url
            )


class TestWords:
    def test_zones_with_and_without_letters(self):
        with timezone.override("Europe/Berlin"):
            assert [written(SUMMER), written(WINTER)] == ["2026-07-07 00:30 CEST", "2026-01-06 23:30 CET"]
        with timezone.override("America/Sao_Paulo"):
            assert written(SUMMER) == "2026-07-06 19:30 UTC-03"

    def test_distances_do_not_change_with_the_zone(self):
        distances = set()
        for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
            with timezone.override(zone):
                distances.add(relative(WINTER, now=SUMMER).partition("aside")[2])
        assert len(distances) == 1


class TestElsewhere:
    def test_exports_stay_in_utc(self, console, secret):
        console.cookies[COOKIE] = "Europe/Berlin"

        answer = console.get(f"{list_url(Secret)}export/json/?q={secret.pk}")

        assert b"2026-07-06T22:30:05+00:00" in answer.getvalue()

    def test_the_api_does_not_know_it(self, api):
        api.post("/v1/secrets", {"name": "s", "payload": "p", "payload_content_type": "text/plain"})
        Secret.objects.update(created_at=SUMMER)

        (secret,) = api.get("/v1/secrets", HTTP_COOKIE=f"{COOKIE}=Europe/Berlin").json()["secrets"]

        assert secret["created"] == "2026-07-06T22:30:05"

    def test_a_day_that_is_typed_is_one_of_the_operators_zone(self, console, mkek, audited):
        from tests.console.test_api_keys import CREATE, filled

        console.cookies[COOKIE] = "Asia/Kathmandu"
        html = console.get(CREATE).content.decode()
        console.post(CREATE, filled(console, expires_on="2100-01-31"))

        assert "Expires at the end of (day in Asia/Kathmandu)" in html
        assert APIKey.objects.get().expires_at == datetime(2100, 1, 31, 18, 15, tzinfo=UTC)
        (record,) = audited("api_key.created")
        assert record["after"]["expires_at"].startswith("2100-01-31T18:15:00")
        assert record["after"]["expires_at"].endswith("+00:00")
