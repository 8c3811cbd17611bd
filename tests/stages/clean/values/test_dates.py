"""Dates of fields and of running text: ISO 8601, nothing guessed."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values.dates import find_dates, iso_date
from stages.clean.values.unusable import Unusable


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2019-03-07", "2019-03-07"),
        ("07/03/2019", "2019-03-07"),
        ("7 March 2019", "2019-03-07"),
        ("7th March 2019", "2019-03-07"),
        ("Mar 7, 2019", "2019-03-07"),
        ("March 7, 2019", "2019-03-07"),
        ("20190307", "2019-03-07"),
        ("2019年3月7日", "2019-03-07"),
        ("7.3.2019", "2019-03-07"),
        ("2019-03", "2019-03"),
        ("March 2019", "2019-03"),
        ("2019", "2019"),
        ("2019年", "2019"),
        ("7 March 0812", "0812-03-07"),
        ("2019-03-07T18:37:13Z", "2019-03-07"),
        ("2019-03-07 18:37:13.000", "2019-03-07"),
        ("2019-03-07T23:15:05+00:00", "2019-03-07"),
        ("20190307111514-0500", "2019-03-07"),
        ("201903071115", "2019-03-07"),
    ],
)
def test_dates(written: str, expected: str) -> None:
    assert iso_date(written, day_first=True) == expected
    assert iso_date(expected, day_first=True) == expected


def test_day_and_month_are_a_setting() -> None:
    assert iso_date("07/03/2019", day_first=False) == "2019-07-03"


@pytest.mark.parametrize(
    "written",
    [
        "31/02/2020",
        "2020-13-01",
        "soon",
        "17x6",
        "300 BC",
        "190",
        "2019-03-07 noon",
        "2019-02-30T10:00",
        "20190307111",
        "99999999",
        "",
    ],
)
def test_dates_that_are_none(written: str) -> None:
    with pytest.raises(Unusable) as caught:
        iso_date(written, day_first=True)
    assert caught.value.reason == "bad_date"


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "Signed 2024-03-05 in Oslo", {"2024-03-05": "2024-03-05"}),
        ("en", "at 2014-09-10T11:15:14", {"2014-09-10": "2014-09-10"}),
        ("en", "2024/3/5, not 2024/13/5", {"2024/3/5": "2024-03-05"}),
        ("en", "on 5 March 2024 and March 6th, 2024", {"5 March 2024": "2024-03-05", "March 6th, 2024": "2024-03-06"}),
        ("en", "the 5th of May 2003; Sept. 8 2014; Sep-16-2014", {
            "5th of May 2003": "2003-05-05", "Sept. 8 2014": "2014-09-08", "Sep-16-2014": "2014-09-16"}),
        ("en", "22nd February 1943, 5-Mar-2024", {"22nd February 1943": "1943-02-22", "5-Mar-2024": "2024-03-05"}),
        ("en", "between May 2003 and April '04", {"May 2003": "2003-05", "April '04": "2004-04"}),
        ("en", "before July 4, on 14 July", {"July 4": "--07-04", "14 July": "--07-14"}),
        ("en", "in March of two thousand eight", {"March of two thousand eight": "2008-03"}),
        ("en", "on October twenty fourth", {"October twenty fourth": "--10-24"}),
        ("en", "25/12/2003, 12/25/2003, 07/20/07, 05/05/2003", {
            "25/12/2003": "2003-12-25", "12/25/2003": "2003-12-25", "07/20/07": "2007-07-20", "05/05/2003": "2003-05-05"}),
        ("en", "2019-03 and 03/2019", {"2019-03": "2019-03", "03/2019": "2019-03"}),
        ("en", "In 2003, since 1998; from mid-1990", {"2003": "2003", "1998": "1998", "1990": "1990"}),
        ("en", "(Smith et al. 2006; Jones 2001, 2005)", {"2006": "2006", "2001": "2001", "2005": "2005"}),
        ("en", "conducted in 1988, 1989, 1992 and 1996", {"1988": "1988", "1989": "1989", "1992": "1992", "1996": "1996"}),
        ("en", "1990-2003; the 2010 season", {"1990": "1990", "2003": "2003", "2010": "2010"}),
        ("zh", "2024年3月5日至2024年4月", {"2024年3月5日": "2024-03-05", "2024年4月": "2024-04"}),
        ("zh", "二〇二四年三月，二零零三年十月一日", {"二〇二四年三月": "2024-03", "二零零三年十月一日": "2003-10-01"}),
        ("zh", "２０２４年３月 5 号", {"２０２４年３月 5 号": "2024-03-05"}),
        ("zh", "3月5日，十二月二十五日", {"3月5日": "--03-05", "十二月二十五日": "--12-25"}),
        ("zh", "于2024-3-5，08年5月12日", {"2024-3-5": "2024-03-05", "08年5月12日": "2008-05-12"}),
        ("zh", "1979至1997年，2003年", {"1979": "1979", "1997年": "1997", "2003年": "2003"}),
        ("zh", "461年，百济", {"461年": "0461"}),
    ],
)  # fmt: skip
def test_dates_of_a_text(lang: str, text: str, expected: dict[str, str]) -> None:
    assert {
        text[found.start : found.end]: found.normal for found in find_dates(text, lang, None)
    } == expected


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "03/04/2003"),  # which comes first?
        ("en", "2003-04"),  # or 2003 to 2004
        ("en", "31/02/2020, 2020-13-01, 30 February"),
        ("en", "version 2019.3.7, 192.168.2003.1"),
        ("en", "call 555-2003 or 1-703-894-1805"),
        ("en", "a ratio of 12/13, 1/2, at 12:30"),
        ("en", "pp. 1200-1210, 2003;5:1200-1210"),
        ("en", "in 1996 patients, of 2001 new cases, 2000 mg"),
        ("en", "the 1990s, the 1950's, $2003"),
        ("en", "In May 12 patients came, they may 5"),
        ("en", "March 5 mg, June, Fall"),
        ("en", "3-5 May 2003, 3 and 5 May 2003"),
        ("zh", "公元前300年，300年历史，2000年来"),
        ("zh", "90年代，康熙十四年，民国98年5月"),
        ("zh", "3月，3个月，2019年二月三十日，2019年13月1日"),
    ],
)
def test_what_is_no_date_of_a_text(lang: str, text: str) -> None:
    assert find_dates(text, lang, None) == []


@pytest.mark.parametrize(("day_first", "expected"), [(True, "2003-04-03"), (False, "2003-03-04")])
def test_the_order_of_day_and_month_is_declared(day_first: bool, expected: str) -> None:
    assert [found.normal for found in find_dates("on 03/04/2003", "en", day_first)] == [expected]
    assert [found.normal for found in find_dates("on 25/12/2003", "en", day_first)] == [
        "2003-12-25"
    ]


WRITTEN = {
    "en": ["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%Y", "%Y/%m/%d"],
    "zh": ["%Y-%m-%d", "%Y年%m月%d日", "%Y 年 %m 月 %d 号", "%Y.%m.%d"],
}


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from(sorted(WRITTEN)), st.data())
def test_every_date_is_found_back(day: date, lang: str, data: st.DataObject) -> None:
    text = f"({day.strftime(data.draw(st.sampled_from(WRITTEN[lang])))})"
    assert [found.normal for found in find_dates(text, lang, None)] == [day.isoformat()]


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.booleans())
def test_a_declared_order_reads_every_numeric_date(day: date, day_first: bool) -> None:
    text = day.strftime("%d/%m/%Y" if day_first else "%m/%d/%Y")
    assert [found.normal for found in find_dates(text, "en", day_first)] == [day.isoformat()]


PIECES = st.sampled_from(
    "1 12 2003 1990 31 /-.,:;' ( ) 年 月 日 号 至 公元 March May 5th of in the and to th '03 二〇 十 一 ０ "
    "two thousand first".split()
)


@given(
    st.lists(PIECES | st.text(max_size=3)).map(" ".join) | st.lists(PIECES).map("".join),
    st.sampled_from(["en", "zh"]),
)
def test_any_text_gives_dates_that_lie_apart_and_exist(text: str, lang: str) -> None:
    found = find_dates(text, lang, None)
    assert all(one.end <= two.start for one, two in pairwise(found))
    for span in found:
        assert 0 <= span.start < span.end <= len(text)
        assert date.fromisoformat((span.normal.replace("--", "2000-") + "-01-01")[:10])
