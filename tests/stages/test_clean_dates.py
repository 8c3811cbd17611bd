"""Dates of fields and of running text: ISO 8601, nothing guessed."""

import pytest

from stages.clean.dates import iso_date
from stages.clean.unusable import Unusable


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
