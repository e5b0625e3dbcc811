"""Times on the wire: ISO 8601 in UTC, and never a zone, which Go clients cannot parse."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from keepsite.api.fields import moment_text, parse_moment

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")


def times(value):
    """Every text in a JSON value that looks like a time, however deep."""
    if isinstance(value, dict):
        return [found for name in value for found in times(value[name])]
    if isinstance(value, list):
        return [found for item in value for found in times(item)]
    return [value] if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) else []


class TestMomentText:
    def test_six_digits_of_fraction_or_none(self):
        assert moment_text(datetime(2030, 1, 2, 3, 4, 5, 6, UTC)) == "2030-01-02T03:04:05.000006"
        assert moment_text(datetime(2030, 1, 2, 3, 4, 5, 0, UTC)) == "2030-01-02T03:04:05"

    def test_another_zone_becomes_utc(self):
        assert (
            moment_text(datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2029-12-31T23:00:00"
        )

    def test_none_stays_none(self):
        assert moment_text(None) is None


class TestParseMoment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2030", "2030-01-01T00:00:00"),
            ("2030-05", "2030-05-01T00:00:00"),
            ("2030-01-01", "2030-01-01T00:00:00"),
            ("20300101", "2030-01-01T00:00:00"),
            ("20300101T000000Z", "2030-01-01T00:00:00"),
            ("2030-01-01T10:00", "2030-01-01T10:00:00"),
            ("2030-01-01 10:00:00", "2030-01-01T10:00:00"),
            ("2030-01-01T10:00:00.5", "2030-01-01T10:00:00.500000"),
            ("2030-01-01T10:00:00+02:00", "2030-01-01T08:00:00"),
            ("2030-01-01T10:00:00-0330", "2030-01-01T13:30:00"),
            ("9999-12-31T23:59:59", "9999-12-31T23:59:59"),
        ],
    )
    def test_accepted_forms(self, text, expected):
        assert moment_text(parse_moment(text)) == expected

    @pytest.mark.parametrize(
        "text", ["", "xx", "2030-13-01", "2030-02-30", "2030-01-01T25:00", "tomorrow", "0000", "10000-01-01"]
    )
    def test_refused_forms(self, text):
        with pytest.raises(ValueError, match=r".*"):
            parse_moment(text)

    def test_a_zone_that_leaves_the_calendar_is_refused(self):
        with pytest.raises(ValueError, match="calendar"):
            parse_moment("0001-01-01T00:00:00+10:00")


class TestNeverAZone:
    def test_no_answer_has_one(self, api):
        path = api.store("x", expiration="2031-01-01T00:00:00+02:00")
        api.post(f"{path}/consumers", {"service": "s", "resource_type": "t", "resource_id": "i"})
        meta = {"algorithm": "aes", "bit_length": 256, "expiration": "2031-01-01T00:00:00Z"}
        order = api.post("/v1/orders", {"type": "key", "meta": meta}).json()["order_ref"]

        answers = [
            "/v1/secrets",
            path,
            f"{path}/consumers",
            "/v1/orders",
            order.removeprefix("http://testserver"),
        ]
        found = [time for answer in answers for time in times(api.get(answer).json())]

        assert len(found) >= 12
        assert all(FORM.fullmatch(time) for time in found), found

    def test_an_orders_expiration_always_has_six_digits(self, api):
        meta = {"algorithm": "aes", "bit_length": 256, "expiration": "2031-01-01"}
        api.post("/v1/orders", {"type": "key", "meta": meta})

        (order,) = api.get("/v1/orders").json()["orders"]
        assert order["meta"]["expiration"] == "2031-01-01T00:00:00.000000"
