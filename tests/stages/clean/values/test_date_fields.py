"""The date of a field: ISO 8601, nothing guessed."""

import re
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values.date_fields import ERAS, is_date, iso_date
from stages.clean.values.unusable import Unusable


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2019-03-07", "2019-03-07"),
        ("07/03/2019", "2019-03-07"),
        ("07-03-2019", "2019-03-07"),
        ("7 March 2019", "2019-03-07"),
        ("7th March 2019", "2019-03-07"),
        ("7. March 2019", "2019-03-07"),
        ("Mar 7, 2019", "2019-03-07"),
        ("March 7, 2019.", "2019-03-07"),
        ("7th of March, 2019", "2019-03-07"),
        ("20190307", "2019-03-07"),
        ("2019年3月7日", "2019-03-07"),
        ("2019年3月7號", "2019-03-07"),
        ("7.3.2019", "2019-03-07"),
        ("07MAR2019", "2019-03-07"),
        ("2019-Mar-07", "2019-03-07"),
        ("2019-03", "2019-03"),
        ("March 2019", "2019-03"),
        ("Sept. 2019", "2019-09"),
        ("03-2019", "2019-03"),
        ("03.2019", "2019-03"),
        ("2019‐03‐07", "2019-03-07"),
        ("2019", "2019"),
        ("2019年", "2019"),
        ("7 March 0812", "0812-03-07"),
    ],
)
def test_dates(written: str, expected: str) -> None:
    assert iso_date(written, day_first=True) == expected
    assert iso_date(expected, day_first=True) == expected


def test_day_and_month_are_a_setting() -> None:
    assert iso_date("07/03/2019", day_first=False) == "2019-07-03"
    assert iso_date("07-03-2019 9:15", day_first=False) == "2019-07-03"
    assert iso_date("07.03.2019", day_first=False) == "2019-03-07"


@pytest.mark.parametrize(
    "written",
    [
        "2019-03-07T18:37:13Z",
        "2019-03-07 18:37:13.000",
        "2019-03-07T23:15:05+00:00",
        "2019-03-07T23:15:05.123456789+01:00[Europe/Berlin]",
        "2019-03-07T18:37Z",
        "2019-03-07T18",
        "2019-03-07T18+08:00",
        "2019-03-07 at 18:37",
        "2019-03-07 - 18:37",
        "2019:03:07 18:37:13",
        "7/3/2019 8:05",
        "7/3/2019, 8:05 p.m.",
        "March 7, 2019 8:05 PM",
        "8:05, 7 March 2019",
        "Thu, 7 Mar 2019 18:37:13 +0000",
        "Thu Mar  7 18:37:13 CET 2019",
        "07/Mar/2019:18:37:13 +0100",
        "Thursday, March 7, 2019",
        "2019年3月7日 18:37",
        "2019年3月7日18时37分",
        "2019年3月7日（星期四）上午9点",
        "2019年3月7日 周四 下午3:20",
        "2019-3-7 上午10:25",
    ],
)
def test_the_time_and_the_weekday_are_left_out(written: str) -> None:
    assert iso_date(written, day_first=True) == "2019-03-07"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20190307111514-0500", "2019-03-07"),
        ("20190307111514.0000+0800", "2019-03-07"),
        ("20190307111514", "2019-03-07"),
        ("201903071115", "2019-03-07"),
        ("2019030711-0500", "2019-03-07"),
        ("20190307111514+08", "2019-03-07"),
        ("20190307T111514Z", "2019-03-07"),
        ("20190307 11:15", "2019-03-07"),
        ("201907", "2019-07"),
        ("199807", "1998-07"),
    ],
)
def test_digits_as_hl7_writes_them(written: str, expected: str) -> None:
    assert iso_date(written, day_first=True) == expected


@pytest.mark.parametrize(
    "written",
    [
        "1583020800",  # 2020-03-01 in seconds
        "1583020800000",
        "1583020800000000",
        "1583020800.25",
        "-1583020800",
        "2019030711",  # the hour of a day, or seconds
        "20190307251500",
        "20190307111",
    ],
)
def test_a_count_of_seconds_is_no_year(written: str) -> None:
    message = re.escape(
        f"{written!r} may be a count of seconds since 1970, or something else; "
        "write it as a date in the source"
    )
    with pytest.raises(Unusable, match=message) as caught:
        iso_date(written, day_first=True)
    assert caught.value.reason == "bad_date"


@given(st.integers(10**8, 2 * 10**9), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_no_count_since_1970_is_a_date(seconds: int, unit: int) -> None:
    written = str(seconds * unit)
    if len(written) in (12, 14):  # nobody counts tenths or hundreds of seconds
        return
    assert not is_date(written, day_first=True)


@pytest.mark.parametrize(
    "written",
    [
        "31/02/2020",
        "2020-13-01",
        "2019-02-29",
        "2020-00-10",
        "0000-00-00",
        "soon",
        "17x6",
        "300 BC",
        "190",
        "2019-03-07 noon",
        "2019-02-30T10:00",
        "2019-03-07T24:61",
        "2019-03-07T25",
        "2019-03-07T25:00",
        "99999999",
        "01021203",
        "201012",  # October 2010, or the 12th of October 2020
        "43531",  # a day as spreadsheets count it
        "43531.5",
        "7-Mar-19",  # which century
        "07/03/19",
        "19-03-07",
        "Mar-19",
        "'19",
        "Friday, March 7, 2019",  # it was a Thursday
        "Thu Fri 2019-03-07",
        "Thursday, March 2019",
        "v1.2.2003",
        "192.168.2003.1",
        "555-2003",
        "3/4",
        "2003-2005",
        "2003–04",
        "3.2019",
        "2003年3月5日-8日",
        "3月5日至8日",
        "March 5-8, 2003",
        "5–8 March 2003",
        "2003/3/5-8",
        "2019-03-07/2019-03-09",
        "2019-03-07 23:00 - 2019-03-08 01:00",
        "昭和65年1月1日",
        "平成31年5月1日",
        "10:30",
        "",
    ],
)
def test_dates_that_are_none(written: str) -> None:
    with pytest.raises(Unusable, match="is not a date that can be read in one way only") as caught:
        iso_date(written, day_first=True)
    assert caught.value.reason == "bad_date"
    assert not is_date(written, day_first=True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("民国92年3月5日", "2003-03-05"),
        ("民國一〇二年", "2013"),
        ("令和元年5月1日", "2019-05-01"),
        ("平成30年4月", "2018-04"),
        ("昭和64年1月7日", "1989-01-07"),
        ("平成元年", "1989"),
    ],
)
def test_years_of_an_era(written: str, expected: str) -> None:
    assert iso_date(written, day_first=True) == expected


@given(st.sampled_from(sorted(ERAS)), st.dates(date(1868, 1, 25), date(2099, 12, 31)))
def test_a_day_has_the_year_of_its_own_era_only(name: str, day: date) -> None:
    first, last = ERAS[name]
    number = day.year - first.year + 1
    written = f"{name}{number}年{day.month}月{day.day}日"
    if first <= day <= last:
        assert iso_date(written, day_first=True) == day.isoformat()
    else:
        assert not is_date(written, day_first=True)


def test_a_long_text_is_no_date() -> None:
    assert iso_date("2019-03-07" + " " * 80, day_first=True) == "2019-03-07"
    for long in ("1" * 1_000_000, "年" * 1_000_000, "2019-03-07 " * 100_000):
        assert not is_date(long, day_first=True)


FORMS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%d/%m/%Y %H:%M",
    "%d %b %Y %I:%M %p",
    "%a, %d %b %Y %H:%M:%S",
    "%A, %B %d, %Y",
    "%c",
    "%Y年%m月%d日 %H:%M",
    "%d-%b-%Y",
)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)),
    st.sampled_from(FORMS),
)
def test_every_moment_keeps_its_day(moment: datetime, form: str) -> None:
    written = moment.strftime(form)
    assert iso_date(written, day_first=True) == moment.date().isoformat()


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)),
    st.integers(-12, 14),
    st.sampled_from(["auto", "seconds", "milliseconds", "minutes"]),
)
def test_the_zone_moves_no_day(moment: datetime, hours: int, detail: str) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    written = zoned.isoformat(timespec=detail)
    assert iso_date(written, day_first=True) == moment.date().isoformat()


PIECES = st.sampled_from(
    "2003 03 3 5 31 12 07 19 - / . : , T Z + 年 月 日 号 至 March May Sept 5th of at PM Thu 星期三 民国 平成 "
    "元 10:30 下午 20030305 二〇〇三 1583020800 GMT".split()
)


@given(
    st.lists(PIECES, max_size=8).map(" ".join)
    | st.lists(PIECES, max_size=8).map("".join)
    | st.text(max_size=20)
)
def test_any_text_gives_a_date_that_exists_or_a_reason(written: str) -> None:
    if not is_date(written, day_first=True):
        return  # `is_date` is false for `Unusable` only, so another error fails here
    found = iso_date(written, day_first=True)
    assert date.fromisoformat((found + "-01-01")[:10])
    assert iso_date(found, day_first=True) == found
