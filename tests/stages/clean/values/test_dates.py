"""Dates of running text: ISO 8601, nothing guessed."""

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values.dates import find_dates
from tests.timed import quickest


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


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("zh", "2011年9月2日-6日"),
        ("zh", "9月2日至6日停水"),
        ("zh", "于2011年9月2—6日举行"),
        ("zh", "2011年9月2日、6日、7日"),
        ("zh", "2011年9月2日（周五）至6日（周二）"),
        ("zh", "2011年9月2日上午到6日晚"),
        ("zh", "二〇一一年九月二日至六日"),
        ("zh", "二〇一一年九月二至六日"),
        ("zh", "2011年9月2日至10月6日"),
        ("zh", "2011年9月-11月，2011年9至11月"),
        ("zh", "2011/9/2至6日，2011.9.2—9.6"),
        ("zh", "2011-09-02~06"),
        ("en", "September 2-6, 2011"),
        ("en", "Sept. 2 – 6, 2011, September 2 to 6, 2011"),
        ("en", "2–6 September 2011, 2nd to 6th September 2011"),
        ("en", "between 2 and 6 September 2011"),
        ("en", "Sept. 30-Oct. 2, 2011"),
        ("en", "30 September to 2 October 2011"),
        ("en", "September 30 through October 2, 2011"),
        ("en", "2011/9/2-6, 2011-09-02 – 06, 2011-09-02 to 06"),
        ("en", "2 - 26/9/2011, 2.–26.9.2011, 30/8 - 26/9/2011"),
        ("en", "from March to May 2003, in March/April 2003, in March and April 2003"),
        ("zh", "2011年9月2日上午8时至6日18时"),
        ("zh", "2011年9月2日8:00至6日18:00"),
        ("zh", "自2011年9月2日起至6日止"),
    ],
)
@pytest.mark.parametrize("day_first", [None, True, False])
def test_a_range_with_a_part_left_out_is_left_alone(
    lang: str, text: str, day_first: bool | None
) -> None:
    assert find_dates(text, lang, day_first) == []


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "firmware 1.2.2003, v1.2.2003, V 1.2.2003, IP 10.12.2003.1"),
        ("en", "part no. 12-03-2004, Lot: 12/03/2004, fax 03-04-2003"),
        ("en", "chapter 3.4.2003, section 12/2004"),
        ("en", "ISBN 0-12-2003-4, +1 12-03-2004-55"),
        ("en", "a 3/4 share, 16/9, 1583020800, 20030305222500"),
        ("en", "2003-Mar-05-X"),
        ("zh", "软件1.2.2003版，版本号1.2.2003"),
        ("zh", "型号12-03-2004，编号2004/03/12，电话：03-04-2003"),
        ("zh", "比例3/4，地址192.168.20.24"),
    ],
)
def test_other_numbers_are_no_dates_in_any_order(lang: str, text: str) -> None:
    for day_first in (None, True, False):
        assert find_dates(text, lang, day_first) == []


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "March 2003-April 2004", ["2003-03", "2004-04"]),
        ("zh", "2011年9月2日至2011年9月6日", ["2011-09-02", "2011-09-06"]),
        ("zh", "9月2日至9月6日", ["--09-02", "--09-06"]),
        ("zh", "2011年9月2日，6日后再来", ["2011-09-02"]),
        ("zh", "自2011年9月2日至今", ["2011-09-02"]),
        ("zh", "2011年9月2日10:30到11:30", ["2011-09-02"]),
        ("zh", "2011年9月2日至9岁", ["2011-09-02"]),
        ("zh", "2011年至2013年", ["2011", "2013"]),
        ("zh", "2011.9.2—2011.9.6", ["2011-09-02", "2011-09-06"]),
        ("en", "2011-09-02 to 2011-09-06", ["2011-09-02", "2011-09-06"]),
        ("en", "2011-09-02 - 10:30", ["2011-09-02"]),
        ("en", "2 September 2011 to 6 October 2011", ["2011-09-02", "2011-10-06"]),
        ("en", "25/12/2003 - 31/12/2003", ["2003-12-25", "2003-12-31"]),
        ("en", "on May 5, 2003 - 8 people came", ["2003-05-05"]),
        ("en", "from 07/20/07 to 07/28/07", ["2007-07-20", "2007-07-28"]),
    ],
)
def test_a_whole_date_beside_another_number_is_found(
    lang: str, text: str, expected: list[str]
) -> None:
    assert [found.normal for found in find_dates(text, lang, None)] == expected


@pytest.mark.parametrize(
    ("lang", "piece"),
    [
        ("zh", "9月2日、"),
        ("zh", "2011年9、"),
        ("zh", "2011年9月（"),
        ("zh", "二〇一一年九月二日至"),
        ("en", "Sept. 30-"),
        ("en", "2 - 26/9/2011, "),
        ("en", "2011/9/2-"),
        ("en", "September 2 to "),
    ],
)
def test_time_grows_with_the_length_of_a_text(lang: str, piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        return quickest(lambda: find_dates(text, lang, True))

    # Eight times the text. Quadratic would be 64 times the time.
    assert seconds(40_000) < 30 * max(seconds(5_000), 0.01)


DASHES = st.sampled_from(["-", "–", "—", "~", "至", "到", " - ", "、"])


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.integers(1, 31), DASHES)
def test_a_chinese_range_is_never_broken(day: date, last: int, dash: str) -> None:
    for text in (
        f"展期{day.year}年{day.month}月{day.day}日{dash}{last}日。",
        f"展期{day.year}年{day.month}月{day.day}{dash}{last}日。",
        f"展期{day.month}月{day.day}日{dash}{last}日。",
    ):
        assert find_dates(text, "zh", True) == []


@given(
    st.dates(date(1900, 1, 1), date(2099, 12, 31)),
    st.integers(1, 31),
    st.sampled_from(["-", "–", " - ", " – ", " to ", " through "]),
)
def test_an_english_range_is_never_broken(day: date, last: int, dash: str) -> None:
    for text in (
        f"held {day:%B} {day.day}{dash}{last}, {day.year}.",
        f"held {last}{dash}{day.day} {day:%B} {day.year}.",
    ):
        assert find_dates(text, "en", True) == []


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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2020年1月、2月和3月的销量", []),
        ("2020年1月和2月", []),
        ("2020年1月的销量", ["2020-01"]),
        ("2020年1月，2月3日开会", ["2020-01", "--02-03"]),
        ("2019年、2020年和2021年", ["2019", "2020", "2021"]),
    ],
)
def test_months_that_take_their_year_from_the_first_are_left_whole(
    text: str, found: list[str]
) -> None:
    assert [span.normal for span in find_dates(text, "zh", True)] == found
