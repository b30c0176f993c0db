"""A time means one instant, however it is spelled; what means none is refused, never guessed."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from target_mixpanel.mapping.refusal import UnmappableError
from target_mixpanel.mapping.times import refuse_outside_window, time_reader
from target_mixpanel.mapping.written_times import parse_iso
from target_mixpanel.specs.spec import Times
from tests.mapping.making import NOW_MS, properties_of, stream_schema_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

INSTANTS = st.datetimes(datetime(1971, 1, 2), datetime(2026, 9, 20), timezones=st.just(UTC))  # noqa: DTZ001
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
JSON_NUMBERS = (
    st.integers()
    | st.decimals()
    | st.floats()
    | st.integers(-(10**9), 10**9).map(lambda exponent: Decimal(f"7E{exponent}"))
)
UNITS = ("auto", "s", "ms", "us", "ns")
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def ms_of(value, unit="auto", zone=UTC, form=None):
    return time_reader(Times(unit, zone, form), "at")(value, NOW_MS)


def ms(*parts, zone=UTC):
    return (datetime(*parts, tzinfo=zone) - EPOCH) // timedelta(milliseconds=1)


def reason(value, unit="auto", zone=UTC):
    with pytest.raises(UnmappableError) as refusal:
        ms_of(value, unit, zone)
    return refusal.value.flaw.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-09-01T10:00:00", ms(2026, 9, 1, 10), id="59-naive-is-utc"),
        pytest.param("2026-09-01T10:00:00Z", ms(2026, 9, 1, 10), id="59-z"),
        pytest.param("2026-09-01 10:00:00Z", ms(2026, 9, 1, 10), id="59-blank-for-t"),
        pytest.param("2026-09-01T10:00:00+05:30", ms(2026, 9, 1, 4, 30), id="59-offset"),
        pytest.param("2026-09-01T10:00:00+0530", ms(2026, 9, 1, 4, 30), id="59-compact-offset"),
        pytest.param("2026-09-01T10:00:00-08", ms(2026, 9, 1, 18), id="59-offset-of-hours"),
        pytest.param("2026-09-01", ms(2026, 9, 1), id="59-date-alone-is-midnight"),
        pytest.param("20260901", ms(2026, 9, 1), id="59-eight-digits-are-a-date"),
        pytest.param("20260901T100000Z", ms(2026, 9, 1, 10), id="59-compact"),
        pytest.param("2026-W36-2", ms(2026, 9, 1), id="59-week-and-day"),
        pytest.param("2026W362T10:00", ms(2026, 9, 1, 10), id="59-compact-week"),
        pytest.param("2026-W36", ms(2026, 8, 31), id="59-week-is-its-monday"),
        pytest.param("2026-09-01T10:00", ms(2026, 9, 1, 10), id="59-without-seconds"),
        pytest.param("2026-09-01T10:00:00.1Z", ms(2026, 9, 1, 10, 0, 0, 100_000), id="59-tenth"),
        pytest.param("2026-09-01T10:00:00,25Z", ms(2026, 9, 1, 10, 0, 0, 250_000), id="59-comma"),
        pytest.param(
            "2026-09-01T10:00:00.123456789Z",
            ms(2026, 9, 1, 10, 0, 0, 123_000),
            id="59-nanoseconds-are-cut",
        ),
        pytest.param(
            "2026-09-01T10:00:00.999999999Z",
            ms(2026, 9, 1, 10, 0, 0, 999_000),
            id="59-nanoseconds-never-round-up",
        ),
        pytest.param("2016-12-31T23:59:60Z", ms(2017, 1, 1), id="60-leap-second"),
        pytest.param(
            "2016-12-31T23:59:60.5Z", ms(2017, 1, 1, 0, 0, 0, 500_000), id="60-within-leap-second"
        ),
        pytest.param("2016-12-31 23:59:60", ms(2017, 1, 1), id="60-naive-leap-second"),
        pytest.param("20161231T235960Z", ms(2017, 1, 1), id="60-compact-leap-second"),
        pytest.param("2017-01-01T05:29:60+05:30", ms(2017, 1, 1), id="60-leap-second-elsewhere"),
        pytest.param("2026-08-31T24:00:00Z", ms(2026, 9, 1), id="60-midnight-as-24"),
        pytest.param("2026-08-31T24:00:00.000Z", ms(2026, 9, 1), id="60-midnight-as-24-with-ms"),
        pytest.param("2026-08-31T24:00", ms(2026, 9, 1), id="60-24-without-seconds"),
        pytest.param("2026-12-31T24", ms(2027, 1, 1), id="60-24-without-minutes"),
        pytest.param("2026-08-31T24:00+02:00", ms(2026, 8, 31, 22), id="60-24-with-offset"),
    ],
)
def test_a_text_is_the_instant_that_iso_8601_says(text, expected):
    assert expected == ms_of(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(" ", id="blank"),
        pytest.param("2026-02-30T00:00:00Z", id="30-february"),
        pytest.param("2026-02-29", id="29-february-of-no-leap-year"),
        pytest.param("0000-01-01T00:00:00Z", id="year-0"),
        pytest.param("10000-01-01T00:00:00Z", id="year-10000"),
        pytest.param("2026-13-01", id="month-13"),
        pytest.param("2026-09-01T25:00:00Z", id="25-hours"),
        pytest.param("2026-09-01T24:00:01Z", id="second-after-24"),
        pytest.param("2026-09-01T24:30", id="half-past-24"),
        pytest.param("2026-09-01T10:60:00Z", id="minute-60"),
        pytest.param("2026-09-01T10:00:61Z", id="second-61"),
        pytest.param("9999-12-31T24:00:00Z", id="beyond-the-calendar"),
        pytest.param("2016-12-31T23:59:60Zulu", id="words-behind-a-leap-second"),
        pytest.param("2026-09", id="month"),
        pytest.param("2026", id="year"),
        pytest.param("yesterday", id="words"),
        pytest.param("1712013000123Z", id="epoch-with-z"),
        pytest.param("1e9", id="exponent"),
        pytest.param("0x66000000", id="hexadecimal"),
        pytest.param("9" * 41, id="too-long"),
        pytest.param("nan", id="nan"),
    ],
)
def test_what_is_no_instant_is_refused(text):
    """Fault 60: the same on every Python, whatever its fromisoformat takes."""
    assert reason(text) == "invalid_time"


NOON = ms(2026, 10, 1, 12)


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01 12:00:00 UTC",
        "2026-10-01 12:00:00 utc",
        "2026-10-01T12:00:00GMT",
        "2026-10-01t12:00:00z",
        "  2026-10-01T12:00:00Z\n",
        "2026-10-01T12:00:00 +0000",
        "2026-10-01  12:00:00.000+00",
        "2026-10-01T14:00:00 +02:00",
        "2026-10-01T12:00:00.000Z[UTC]",
        "2026-10-01T14:00+02:00[Europe/Berlin]",
        "20261001T120000 UTC",
        " 20261001t120000z",
        "2026-09-30T24:00 -12:00",
        "2026-10-01 11:59:60 UTC",
    ],
)
def test_times_as_people_and_databases_write_them(text):
    assert ms_of(text, zone=BERLIN) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01 -05",
        "2026-10-01T12:00[Europe/Berlin]",
        "2026-10-01 12:00:00 CEST",
        "2026-10-01 12:00:00 UTC+2",
        "Thu, 01 Oct 2026 12:00:00 GMT",
        "10/01/2026 12:00",
        "0001-12-31 23:40:28+00 BC",
        "2026-10-1T12:00:00Z",
        "2026-275",
        "1" * 100_000 + " 12:00",
        " " * 100_000,
    ],
)
def test_what_no_rule_reads_is_refused_and_the_remedy_named(text):
    with pytest.raises(UnmappableError) as refusal:
        ms_of(text)

    assert refusal.value.flaw.field == "at"
    assert text.isspace() or "time_format" in refusal.value.flaw.detail


@pytest.mark.parametrize("as_type", [str, int, Decimal, float])
@pytest.mark.parametrize(
    ("digits", "form"),
    [
        ("202610011230", "%Y%m%d%H%M"),
        ("2026100112", "%Y%m%d%H"),
        ("20261001123045", "%Y%m%d%H%M%S"),
    ],
)
def test_a_number_that_reads_as_a_date_is_not_guessed(digits, form, as_type):
    """Milliseconds of the year 1976, some would say."""
    with pytest.raises(UnmappableError) as refusal:
        ms_of(as_type(digits))

    assert f'time_format: "{form}"' in refusal.value.flaw.detail
    moment = datetime.strptime(digits, form).replace(tzinfo=BERLIN)
    expected = (moment - EPOCH) // timedelta(milliseconds=1)
    assert expected == ms_of(as_type(digits), form=form, zone=BERLIN)
    assert ms_of(as_type(digits), "ms") == int(digits)


def test_a_number_of_eight_digits_needs_a_format_a_text_does_not():
    assert ms_of("20261001") == ms_of(20261001, form="%Y%m%d") == ms(2026, 10, 1)
    with pytest.raises(UnmappableError) as refusal:
        ms_of(20261001)

    assert 'time_format: "%Y%m%d"' in refusal.value.flaw.detail


@pytest.mark.parametrize("value", ["1712013000", 1712013000, 1712013000123, "1601010101"])
def test_numbers_that_are_no_dates_are_times(value):
    assert ms_of(f" {value} ") == ms_of(value) == int(f"{value}000"[:13])


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("01/10/2026 12:00", "%d/%m/%Y %H:%M", NOON),
        ("1/10/2026 12:00", "%d/%m/%Y %H:%M", NOON),
        (" 01/10/2026 12:00 ", "%d/%m/%Y %H:%M", NOON),
        ("2026-10-01T12:00:00Z", "%d/%m/%Y %H:%M", NOON),
        ("Thu, 01 Oct 2026 12:00:00 GMT", "%a, %d %b %Y %H:%M:%S GMT", NOON),
        ("01.10.2026 14:00 +0200", "%d.%m.%Y %H:%M %z", NOON),
        ("01102026", "%d%m%Y", ms(2026, 10, 1)),
        (1102026, "%d%m%Y", "invalid_time"),
        ("1788256800", "%d/%m/%Y", ms(2026, 9, 1, 10)),
        (1788256800, "%Y%m%d%H%M", ms(2026, 9, 1, 10)),
        ("soon", "%d/%m/%Y", "invalid_time"),
        ("32/10/2026", "%d/%m/%Y", "invalid_time"),
    ],
)
def test_a_format_reads_what_is_not_iso_8601(text, form, expected):
    try:
        found = ms_of(text, form=form)
    except UnmappableError as refusal:
        found = refusal.flaw.reason

    assert expected == found


@pytest.mark.parametrize("as_type", [str, int, float, Decimal])
@pytest.mark.parametrize("unit", ["auto", "ms"])
def test_an_epoch_number_is_never_taken_for_a_compact_date(as_type, unit):
    """datetime.fromisoformat reads "1712013000000" as 1712-01-30."""
    assert ms_of(as_type(1_712_013_000_000), unit) == 1_712_013_000_000
    assert parse_iso("1712013000000") is None


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        pytest.param(1_712_013_000, "auto", 1_712_013_000_000, id="s"),
        pytest.param(1_712_013_000_123, "auto", 1_712_013_000_123, id="ms"),
        pytest.param(1_712_013_000_123_456, "auto", 1_712_013_000_123, id="us"),
        pytest.param(1_712_013_000_123_456_789, "auto", 1_712_013_000_123, id="ns"),
        pytest.param(1_712_013_000.5, "auto", 1_712_013_000_500, id="float-s"),
        pytest.param(1_712_013_000.123, "s", 1_712_013_000_123, id="float-keeps-its-decimals"),
        pytest.param(Decimal("1712013000.123999"), "auto", 1_712_013_000_123, id="decimal-s"),
        pytest.param(Decimal("1.712013E+9"), "auto", 1_712_013_000_000, id="decimal-exponent"),
        pytest.param("1712013000", "auto", 1_712_013_000_000, id="text-s"),
        pytest.param("1712013000.5", "auto", 1_712_013_000_500, id="text-s-decimals"),
        pytest.param("+1712013000", "auto", 1_712_013_000_000, id="text-plus"),
        pytest.param("1712013000123456789", "auto", 1_712_013_000_123, id="text-ns"),
        pytest.param(31_536_000, "auto", 31_536_000_000, id="first-second-of-1971"),
        pytest.param("99999999", "s", 99_999_999_000, id="eight-digits-where-a-unit-is-said"),
        pytest.param(100_000_000, "ms", 100_000_000, id="explicit-unit-wins"),
        pytest.param(-1, "s", -1_000, id="negative-where-a-unit-is-said"),
        pytest.param(-1, "us", -1, id="negative-rounds-down"),
        pytest.param(
            Decimal("1712013000.000" + "9" * 200),
            "s",
            1_712_013_000_000,
            id="many-digits-never-round-up",
        ),
    ],
)
def test_a_number_counts_from_the_epoch(value, unit, expected):
    """Fault 61."""
    assert expected == ms_of(value, unit)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        pytest.param(True, "auto", id="true"),
        pytest.param(False, "s", id="false"),
        pytest.param(0, "auto", id="zero"),
        pytest.param(-1_712_013_000, "auto", id="negative"),
        pytest.param(31_535_999, "auto", id="before-1971-in-seconds-no-unit-fits"),
        pytest.param(9_999_999_999, "auto", id="between-seconds-and-ms"),
        pytest.param(10**21, "auto", id="beyond-ns"),
        pytest.param(Decimal("1E+400"), "s", id="huge-decimal"),
        pytest.param(Decimal("1E+9999999"), "auto", id="decimal-beyond-arithmetic"),
        pytest.param(Decimal("NaN"), "s", id="nan"),
        pytest.param(float("inf"), "s", id="infinity"),
        pytest.param([1_712_013_000], "auto", id="list"),
        pytest.param({"$date": 1}, "auto", id="object"),
        pytest.param("1712013", "auto", id="seven-digits"),
    ],
)
def test_a_number_that_fits_no_unit_is_refused(value, unit):
    """Fault 61: "auto" is no guess."""
    assert reason(value, unit) == "invalid_time"


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        pytest.param(31_536_000_000, None, id="first-ms-of-1971"),
        pytest.param(31_535_999_999, "time_before_1971", id="ms-before"),
        pytest.param(NOW_MS + 3_600_000, None, id="an-hour-ahead"),
        pytest.param(NOW_MS + 3_600_001, "time_in_future", id="ms-more"),
    ],
)
def test_times_that_import_would_refuse_are_refused_here(time_ms, expected):
    """Fault 62."""
    try:
        refuse_outside_window(time_ms, NOW_MS, "at")
    except UnmappableError as refusal:
        assert (expected, "limit") == (refusal.flaw.reason, refusal.flaw.stage)  # noqa: PT017
    else:
        assert expected is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2026-03-29T01:59:59", ms(2026, 3, 29, 0, 59, 59), id="before-the-gap"),
        pytest.param("2026-03-29T02:30:00", ms(2026, 3, 29, 1, 30), id="in-the-gap"),
        pytest.param("2026-03-29T03:00:00", ms(2026, 3, 29, 1), id="after-the-gap"),
        pytest.param("2026-10-25T02:30:00", ms(2026, 10, 25, 0, 30), id="fold-is-the-first"),
        pytest.param("2026-10-25T02:30:00+01:00", ms(2026, 10, 25, 1, 30), id="own-offset-wins"),
        pytest.param("2026-07-01", ms(2026, 6, 30, 22), id="midnight-there"),
    ],
)
def test_a_time_without_offset_is_the_timezones(text, expected):
    assert expected == ms_of(text, zone=BERLIN)


@settings(max_examples=150, deadline=None)
@given(INSTANTS, OFFSETS, st.sampled_from(["T", " "]))
def test_equal_instants_are_equal_in_every_spelling(instant, offset, separator):
    """Fault 59, and promise 2: the same ms and, as a key, the same $insert_id."""
    there = instant.astimezone(offset)
    spellings = {
        instant.isoformat(separator).replace("+00:00", "Z"),
        instant.replace(tzinfo=None).isoformat(separator),
        there.isoformat(separator),
        there.strftime(f"%Y%m%d{separator}%H%M%S.%f%z"),
        there.strftime(f"%G-W%V-%u{separator}%H:%M:%S,%f%z"),
        instant.isoformat(separator, "microseconds").replace("+00:00", "000Z"),
    }

    assert {ms_of(text) for text in spellings} == {
        (instant - EPOCH) // timedelta(milliseconds=1),
    }
    assert len({_id_of_time(text) for text in spellings}) == 1


@settings(max_examples=150, deadline=None)
@given(INSTANTS, st.sampled_from(sorted(PER_SECOND)))
def test_an_epoch_number_is_the_text_of_the_same_instant(instant, unit):
    microseconds = (instant - EPOCH) // timedelta(microseconds=1)
    number = Decimal(microseconds) * PER_SECOND[unit] / 10**6
    spellings = [number, format(number, "f"), f"+{number:f}"]
    if number == number.to_integral_value():
        spellings += [int(number), str(int(number))]

    assert {ms_of(value, unit) for value in spellings} == {microseconds // 1_000}


@settings(max_examples=400, deadline=None)
@given(
    st.text() | st.from_regex(r"[0-9TWZ:.,+ -]{0,30}", fullmatch=True) | JSON_NUMBERS | st.none(),
    st.sampled_from(UNITS),
    st.sampled_from([UTC, BERLIN]),
)
@example("0001-01-01T00:00:00+14:00", "auto", BERLIN)
@example("9999-12-31T23:59:59-14:00", "auto", BERLIN)
@example("0001-01-01", "auto", BERLIN)
@example("9999-12-31T23:59:59", "auto", BERLIN)
@example("9999-12-31T23:59:60", "auto", BERLIN)
@example(Decimal("1E-999999999"), "ns", UTC)
@example(Decimal("-1E-999999999"), "ns", UTC)
def test_whatever_a_tap_sends_is_an_integer_or_refused(value, unit, zone):
    try:
        assert type(ms_of(value, unit, zone)) is int
    except UnmappableError as refusal:
        assert refusal.flaw.stage == "map"  # noqa: PT017 (some are times)


@settings(max_examples=200, deadline=None)
@given(st.integers(31_536_000, NOW_MS // 1_000), st.integers(0, 999_999_999))
@example(202_610_011, 230 * 10**6)
def test_auto_finds_the_unit_of_every_time_there_is(second, nanosecond):
    """But for the few that read as a date as well, of the seventies, which are refused."""
    numbers = {
        (second * 10**9 + nanosecond) // (10**9 // per_second) for per_second in PER_SECOND.values()
    }
    calendar = {number for number in numbers if reads_as_a_date(number)}

    assert {ms_of(number) // 1_000 for number in numbers - calendar} == {second}
    assert {reason(number) for number in calendar} <= {"invalid_time"}


def reads_as_a_date(number):
    """Say whether *number* is the digits of a day of our times, its hour and so on."""
    text = str(number)
    if len(text) not in {10, 12, 14} or not text.startswith(("19", "20")):
        return False
    parts = [text[:4], *(text[place : place + 2] for place in range(4, len(text), 2))]
    try:
        return 1970 <= datetime(*map(int, parts)).year < 2100  # noqa: DTZ001 (only if it is one)
    except ValueError:
        return False


def test_a_long_text_is_refused_at_once():
    """No pattern here goes back and forth over a hostile text."""
    assert reason("2026-01-01T" + "T" * 1_000_000 + "24") == "invalid_time"


def _id_of_time(text):
    stream_schema = stream_schema_of({"at": {"type": "string", "format": "date-time"}}, key=["at"])
    record = {"at": text}
    return properties_of(record, {"time": "at", "distinct_id": {"value": ""}}, stream_schema)[
        "$insert_id"
    ]
