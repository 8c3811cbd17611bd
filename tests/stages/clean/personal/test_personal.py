"""Personal data: every valid number is found and no invalid one, what is found is gone, twice is once, and time stays linear."""

import datetime
import ipaddress
import itertools
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stdnum import iban, luhn
from stdnum.cn import ric

from stages import clean
from stages.clean.personal import KINDS, Params, Treatment, find_personal, salt_of, treated
from stages.clean.personal.actions import SALT, fingerprint, masked
from stages.core.project.errors import ParamsError
from stages.core.project.params import load
from stages.core.records import record
from tests.stages.clean.test_clean import fact, run, text
from tests.timed import quickest

ROOT = Path(__file__).parents[4]
PARAMS, _ = load("clean", clean.Params, ROOT / "params.yaml")
REPLACE = Params(actions=dict.fromkeys(KINDS, "replace"))
SECRET = "correct horse battery staple"
POINTS = {"melting_point": "1 °C", "boiling_point": "2 °C"}
SENTENCES = (
    "My number is {}.",
    "{} belongs to me, as I said",
    "这是我的{}，请查收。",
    "a\n{}\nb",
    "({})",
)


def found(text: str, kind: str, lang: str = "en") -> list[str]:
    return [text[span.start : span.end] for span in find_personal(text, lang) if span.kind == kind]


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix, length = draw(
        st.sampled_from(
            [("4", 16), ("51", 16), ("37", 15), ("6011", 16), ("62", 19), ("4", 13), ("3528", 16)]
        )
    )
    body = prefix + draw(
        st.text(string.digits, min_size=length - len(prefix) - 1, max_size=length - len(prefix) - 1)
    )
    digits = body + luhn.calc_check_digit(body)
    grouped = length == 16 and draw(st.booleans())
    return (
        draw(st.sampled_from(" -")).join(digits[i : i + 4] for i in range(0, 16, 4))
        if grouped
        else digits
    )


@st.composite
def resident_ids(draw: st.DrawFn) -> str:
    place = draw(st.sampled_from(["110105", "360426", "440305", "310115", "510104"]))
    day = draw(st.dates(min_value=datetime.date(1985, 1, 1), max_value=datetime.date(2009, 12, 31)))
    body = f"{place}{day:%Y%m%d}{draw(st.integers(1, 999)):03}"
    whole = body + ric.calc_check_digit(body + "0")
    assume(ric.is_valid(whole))
    return whole


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country, length, letters = draw(
        st.sampled_from([("DE", 18, 0), ("GB", 18, 4), ("FR", 23, 0), ("NL", 14, 4), ("CH", 17, 0)])
    )
    body = draw(st.text(string.ascii_uppercase, min_size=letters, max_size=letters))
    body += draw(st.text(string.digits, min_size=length - letters, max_size=length - letters))
    whole = country + iban.calc_check_digits(f"{country}00{body}") + body
    return iban.format(whole) if draw(st.booleans()) else whole


MOBILES = st.builds(
    lambda two, rest: two + rest,
    st.sampled_from(["138", "139", "150", "186", "199"]),
    st.text(string.digits, min_size=8, max_size=8),
)
NORTH_AMERICAN = st.builds(
    lambda form, exchange, line: form.format(exchange, line),
    st.sampled_from(["(212) {}-{:04}", "415-{}-{:04}", "+1 312 {} {:04}", "617.{}.{:04}"]),
    st.integers(220, 899).filter(lambda n: n % 100 != 11),
    st.integers(0, 9999),
)
WITH_CHECK = {
    "card": cards(), "resident_id": resident_ids(), "iban": ibans(), "phone": MOBILES,
    "ip": st.one_of(st.builds(str, st.ip_addresses(v=4)), st.builds(str, st.ip_addresses(v=6).filter(lambda a: int(a) > 2**64))),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITH_CHECK)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_valid_number_in_a_sentence_is_found(kind: str, data: st.DataObject) -> None:
    number, sentence = data.draw(WITH_CHECK[kind]), data.draw(st.sampled_from(SENTENCES))
    assert found(sentence.format(number), kind, "zh") == [number]


@given(number=NORTH_AMERICAN, sentence=st.sampled_from(SENTENCES[:-1]))
@settings(deadline=None)
def test_every_north_american_number_is_found(number: str, sentence: str) -> None:
    assert found(sentence.format(number), "phone") == [number]


@pytest.mark.parametrize("kind", ["card", "resident_id", "iban"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_number_with_a_wrong_digit_is_none(kind: str, data: st.DataObject) -> None:
    number, sentence = data.draw(WITH_CHECK[kind]), data.draw(st.sampled_from(SENTENCES))
    places = [place for place, c in enumerate(number) if c.isdigit() and place > 3]
    place = data.draw(st.sampled_from(places))
    wrong = (
        number[:place]
        + str((int(number[place]) + data.draw(st.integers(1, 9))) % 10)
        + number[place + 1 :]
    )
    assert found(sentence.format(wrong), kind, "zh") == []


@pytest.mark.parametrize(
    ("kind", "lang", "written", "wanted"),
    [
        ("email", "en", "Write to jane.doe+x@mail.example.org.", "jane.doe+x@mail.example.org"),
        ("email", "zh", "邮箱zhang_san@example.cn，谢谢", "zhang_san@example.cn"),
        ("url", "en", "See https://example.com/a?b=c, or not.", "https://example.com/a?b=c"),
        ("url", "en", "It is on example.co.uk and www.example.de.", None),
        ("url", "en", "shop at example.com today", "example.com"),
        ("ssn", "en", "His SSN is 123-45-6789.", "123-45-6789"),
        ("ssn", "en", "SSN: 123456789", "123456789"),
        ("passport", "en", "Passport No. X67995973X expires", "X67995973X"),
        ("passport", "zh", "护照号码：E12345678。", "E12345678"),
        ("id", "en", "driver's license S99996393, valid", "S99996393"),
        ("id", "zh", "住院号：00123456", "00123456"),
        ("postcode", "en", "ZIP code: 02139", "02139"),
        ("postcode", "zh", "邮编：100080", "100080"),
        ("mac", "en", "at 00:1b:44:11:3a:b7 there", "00:1b:44:11:3a:b7"),
        ("ip", "en", "from 192.168.0.1 today", "192.168.0.1"),
        ("phone", "en", "Call me on 450 0840?", "450 0840"),
        ("phone", "en", "at +44 20 7946 0018 now", "+44 20 7946 0018"),
        ("phone", "zh", "固定电话：010-62345678。", "010-62345678"),
        (
            "address",
            "en",
            "She lives at 12 Oak Street, Apt 5, Boston, MA 02139.",
            "12 Oak Street, Apt 5, Boston, MA 02139",
        ),
        ("address", "en", "Send it to P.O. Box 123 please", "P.O. Box 123"),
        ("address", "en", "in der Berliner Allee 17 wohnt", "Berliner Allee 17"),
        (
            "address",
            "en",
            "at PSC 1234, Box 5678\nAPO AP 96321",
            "PSC 1234, Box 5678\nAPO AP 96321",
        ),
        (
            "address",
            "en",
            "my new address is 4 Rue X 5 Suite 2, Lyon. Thanks",
            "4 Rue X 5 Suite 2, Lyon",
        ),
        (
            "address",
            "zh",
            "我住在北京市海淀区中关村大街27号1101室。",
            "北京市海淀区中关村大街27号1101室",
        ),
        ("address", "zh", "住址：湖南省长沙县黄兴镇3组。", "湖南省长沙县黄兴镇3组"),
        ("person", "en", "My name is jane doe.", "jane doe"),
        ("person", "en", "Mrs. Jetta614 DuBuque211 came", "Jetta614 DuBuque211"),
        ("person", "en", "Name: Jane Doe Phone: 1", "Jane Doe"),
        ("person", "en", "Dear Jane, thank you", "Jane"),
        ("person", "en", "What's your name? Jane Doe", "Jane Doe"),
        ("person", "en", "asked by Jane R. Doe today", "Jane R. Doe"),
        ("person", "en", "Jane Doe, doe.jane@example.org", "Jane Doe"),
        ("person", "en", "my husband Ludwig van Doe said", "Ludwig van Doe"),
        ("person", "en", "Jane, could you help?", "Jane"),
        ("person", "en", "Jane lives on the hill", None),
        ("person", "en", "Jane Doe lives at home", "Jane Doe"),
        ("person", "zh", "患者张三因头痛入院", "张三"),
        ("person", "zh", "姓名：欧阳娜娜 性别：女", "欧阳娜娜"),
        ("person", "zh", "我叫李小明，请问", "李小明"),
        ("person", "zh", "请王小明医生会诊", "王小明"),
    ],
)
def test_forms(kind: str, lang: str, written: str, wanted: str | None) -> None:
    assert (found(written, kind, lang) == [wanted]) if wanted else found(written, kind, lang)


@pytest.mark.parametrize(
    "written",
    [
        "I am Dutch.", "Hepatitis B. Patients recover.", "Vitamin D. Most people", "iron: melting point 1538 °C",
        "2019-03-07 12:13:14", "density 0.00008988 g/cm³ at 101325 Pa", "since version 1.2.3.4", "text.It goes on",
        "我是高血压患者，谢谢医生", "Hello World", "between 1990 and 2004, 600-700 mg", "How do I check my balance?",
        "3... 2... 1... liftoff!", "std::vector a::b", "chapter 5 of the road",
    ],
)  # fmt: skip
def test_what_is_no_personal_data(written: str) -> None:
    assert find_personal(written, "zh" if "高" in written else "en") == []


@pytest.mark.parametrize(
    "written",
    [
        "Sales rose to 4 500 000 units.", "We reach 25 000 000 readers", "约 1 250 000 000 人",
        "between 1 200 000 - 3 400 000 cells", "in 1998 2003 2011", "J. Chem. 12, 11841-11849",
        "Batch no. 4111111111111111", "EAN: 4006381333931", "GTIN 04006381333931", "part number 212-555-0143",
        "Lot # 123-45-6789", "Serial no.: 415 555 2671", "批号：13812345678", "型号 4111111111111111",
        "see Section 3.2.1.4", "clauses 3.2.1.4, 3.2.1.5 and 4.1.1.2", "per 3.2.1.4 of the standard", "第3.2.1.4条",
        "Table 4.1.2.3", "EC 3.4.21.4", "§ 3.2.1.4", "firmware 3.2.1.4", "v 3.2.1.4",
        "Every 2 Pole Circuit Branch is tested.", "a 6 Axis Robot Station", "This 40 Watt Garden Light glows.",
        "Use one 24 Deep Well Plate", "The 12 Volt Power Station charges", "sells 5 Speed Gear Drive units",
        "15 patients in Room 4", "8 mutations of APT1", "This 2 Bedroom Flat A",
        "I2C address: 0x3C for 5 V", "The MAC address is printed in line 5.",
        "Generic name: Ibuprofen", "Drug name is Metoprolol", "Brand name: Zestril", "file name: Monthly Report",
        "Name: Atorvastatin", "Name: Potassium Nitrate", "my name is Amoxicillin", "This is Calcium Carbonate.",
        "Penicillin G. Potassium", "Annex B. Terms", "Strain K. Pneumoniae",
    ],
)  # fmt: skip
def test_things_that_only_look_personal(written: str) -> None:
    """Products, sections, counts and substances have the form of personal data."""
    assert find_personal(written, "zh" if "号" in written or "第" in written else "en") == []


@pytest.mark.parametrize(
    ("kind", "written", "wanted"),
    [
        ("phone", "reach me at 212 555 0143", "212 555 0143"),
        ("phone", "call 10 000 000 now", "10 000 000"),
        ("phone", "To order a part, call 212-555-0143", "212-555-0143"),
        ("card", "the card 4111111111111111 of lot 7", "4111111111111111"),
        ("ssn", "SSN 123-45-6789", "123-45-6789"),
        ("ip", "connect to 10.2.3.4 now", "10.2.3.4"),
        ("ip", "Ping 10.2.3.4 of the cluster", "10.2.3.4"),
        ("address", "at 44 Oak Drive, Leeds", "44 Oak Drive, Leeds"),
        ("address", "to 1200 Oak Drive Springfield", "1200 Oak Drive"),
        ("address", "12 Oak Drive Apt 5 please", "12 Oak Drive Apt 5"),
        ("address", "ship to 1234 main apt 4", "1234 main apt 4"),
        ("address", "3 Phase Street, Leeds, 12345", "3 Phase Street, Leeds, 12345"),
        ("person", "Name: Jane Doe", "Jane Doe"),
        ("person", "Patient name: Jasmine Mason", "Jasmine Mason"),
        ("person", "Dear Christine, thanks", "Christine"),
    ],
)
def test_what_is_personal_beside_such_things(kind: str, written: str, wanted: str) -> None:
    assert found(written, kind, "en") == [wanted]


def test_large_numbers_and_telephone_numbers_where_both_come_in_threes() -> None:
    assert found("mi móvil: 612 345 678", "phone", "es") == ["612 345 678"]
    assert found("son 612 345 678 habitantes", "phone", "es") == []


NOISE = st.text(st.sampled_from("aZ张三李 .,:@/-+()<>*_\n0123456789é我叫患者"), max_size=60)
PIECES = st.sampled_from(
    [
        "My name is Jane Doe", "Dear Mr. Doe, ", "jane.doe@example.org ", "call 212-555-0143 ", "4111 1111 1111 1111",
        "<PERSON>", "姓名：张三", "12 Oak Street, Boston", "GB82 WEST 1234 5698 7654 32", "192.168.0.1",
        " SSN 123-45-6789 ", "***-**-1234", "Doe", "address: ", "name? ",
    ]
)  # fmt: skip
MIXED = st.lists(st.one_of(NOISE, PIECES), max_size=8).map("".join)


@given(MIXED, st.sampled_from(["en", "zh", "und", ""]))
@settings(deadline=None, max_examples=100)
def test_no_text_makes_it_raise(written: str, lang: str) -> None:
    spans = find_personal(written, lang)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(0 <= span.start < span.end <= len(written) and span.normal for span in spans)


@given(MIXED, st.text(max_size=12), st.sampled_from(["replace", "mask", "hash", "reject"]))
@settings(deadline=None, max_examples=100)
def test_twice_is_once_and_nothing_found_is_left(written: str, name: str, action: Any) -> None:
    params = Params(actions=dict.fromkeys(KINDS, action), fields={"patient": "person"})
    row = text(written) | {"meta": record.to_meta({"patient": name, "note": written})}
    once, _ = treated(row, params, SECRET.encode())
    assert treated(once, params, SECRET.encode()) == (once, [])
    assert action == "mask" or not find_personal(once["text"], "en")
    for span in find_personal(written, "en"):
        if (
            len(value := written[span.start : span.end].strip()) > 5
            and not value.replace("*", "").isupper()
        ):
            assert not re.search(rf"(?<![\w.]){re.escape(value)}(?!\w)", once["text"])


@pytest.mark.parametrize("size", [8_000])
@pytest.mark.parametrize(
    "unit",
    [
        "a", "1", "1 ", "1-", "a@", "@", "a.", "1.", "a.a@", "A", "A ", "A. ", "Mr. ", "Dear ", "name ", "name: ", "我",
        "我1", "路1", "1号", ":", "::", "0:", "a:", "(", "+1 ", "http://", "www.", "12 A ", "1 Oak ", "address is ",
        "address: 1", "GB82", "Apt 1 ", "corner of A and ", "患者张", "张三医生", "my wife ", "<", "<A", "<PERSON>",
        "Aa Bb ", "Rue ", "12 Rue A ", "passport ", "ssn 1", "lives at 1 A", "市", "地址市",
    ],
)  # fmt: skip
def test_time_is_linear_in_the_text(unit: str, size: int) -> None:
    def seconds(times: int) -> float:
        written = (unit * size)[: times * size // 4]
        return quickest(lambda: find_personal(written, "en"), 2)

    short, long = seconds(1), seconds(4)
    assert long < 0.1 or long < 8 * short, f"{short:.3f} s, then {long:.3f} s"


def with_salt(monkeypatch: pytest.MonkeyPatch, salt: str = SECRET) -> None:
    monkeypatch.setenv(SALT, salt)


def test_masks_keep_the_format_and_of_numbers_the_last_four() -> None:
    assert masked("ssn", "123-45-6789") == "***-**-6789"
    assert masked("card", "4111 1111 1111 1234") == "**** **** **** 1234"
    assert masked("phone", "450 0840") == "*** ****"
    assert masked("person", "Jane Doe") == "**** ***"
    assert masked("email", "jane@example.org") == "****@*******.***"
    assert masked("ssn", "***-**-6789") == "***-**-6789"


def test_a_token_is_the_same_for_one_person_in_a_source_and_another_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_salt(monkeypatch)
    params = Params(actions={"person": "hash"})
    salt = salt_of(params)
    rows = [
        text("Mr. Jane Doe came. Doe left."),
        text("My name is jane doe", number=2),
        text("Mr. Jim Roe came.", number=3),
    ]
    first, second, third = (treated(row, params, salt)[0]["text"] for row in rows)
    token = first.split(". ")[1].split()[0]
    assert first == f"Mr. {token} came. {token} left."
    assert second == f"My name is {token}"
    assert token not in third
    assert token not in treated(rows[0] | {"source": "elsewhere"}, params, salt)[0]["text"]
    assert token not in treated(rows[0], params, b"another salt, as long")[0]["text"]


def test_a_declared_field_is_personal_and_sought_in_the_record() -> None:
    params = Params(
        actions={"person": "replace", "ssn": "mask"},
        fields={"FIRST": "person", "SSN": "ssn", "sex": "person"},
    )
    row = text("Jetta614 has asthma; jetta614 is M, number 999947159.") | {
        "meta": record.to_meta(
            {"FIRST": "Jetta614", "SSN": "999947159", "sex": "M", "note": "Jetta614"}
        )
    }
    new, spans = treated(row, params, b"")
    assert new["text"] == "<PERSON> has asthma; <PERSON> is M, number *****7159."
    assert json.loads(new["meta"]) == {
        "FIRST": "<PERSON>",
        "SSN": "*****7159",
        "sex": "<PERSON>",
        "note": "<PERSON>",
    }
    assert {span.kind for span in spans} == {"person", "ssn"}
    assert treated(row | {"meta": "{}"}, params, b"")[0]["text"] == row["text"]


def test_a_fact_says_what_its_parts_say(monkeypatch: pytest.MonkeyPatch) -> None:
    with_salt(monkeypatch)
    params = Params(actions={"person": "hash", "phone": "replace"}, fields={"subject": "person"})
    row = fact("Jane Doe", "phone", "450 0840")
    new, _ = treated(row, params, salt_of(params))
    assert new["value"] == "<PHONE>"
    assert new["subject"].startswith("<PERSON_")
    assert new["text"] == record.fact_text(new["subject"], "phone", "<PHONE>", None)
    assert new["fact"] == record.fact_id(new["subject"], "phone") != row["fact"]
    assert new["id"] == row["id"]


def test_a_declared_attribute_is_the_value_of_its_facts() -> None:
    params = Params(actions={"ssn": "mask"}, fields={"SSN": "ssn"})
    assert treated(fact("p1", "SSN", "999947159"), params, b"")[0]["value"] == "*****7159"
    assert treated(fact("p1", "score", "999947159"), params, b"")[0]["value"] == "999947159"


def test_records_are_set_aside_for_a_rejected_kind_a_lost_subject_and_what_is_left() -> None:
    rows = [
        text("His SSN is 123-45-6789."),
        text("Write to jane@example.org."),
        text("Nothing here."),
        fact("Mrs. Jane Doe", "age", "7"),
    ]
    params = Params(actions={"ssn": "reject", "person": "replace"}, require_none=True)
    treatment = Treatment(params, b"")
    done, reasons, counts = treatment.judged(dict(enumerate(rows)))
    assert done[0]["text"] == "His SSN is <SSN>."
    assert reasons == {
        0: ("personal_data", "holds ssn, whose action is reject"),
        1: ("personal_data", "email left, and require_none is set"),
        3: (
            "personal_data",
            "its subject is personal and was replaced or masked: two subjects would become one; the action hash keeps them apart",
        ),
    }
    assert treatment.report(counts) == {
        "records": 2,
        "found": {
            "ssn": {"action": "reject", "values": 1},
            "person": {"action": "replace", "values": 1},
        },
    }


def test_hash_needs_a_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    params = Params(actions={"person": "hash"})
    monkeypatch.delenv(SALT, raising=False)
    with pytest.raises(
        ParamsError, match=f"the environment variable {SALT} is not set; make one with"
    ):
        salt_of(params)
    with_salt(monkeypatch, "short")
    with pytest.raises(ParamsError, match="is shorter than 16 characters") as caught:
        salt_of(params)
    assert "short;" not in str(caught.value)
    with_salt(monkeypatch)
    assert salt_of(params) == SECRET.encode()
    assert salt_of(Params(actions={"person": "mask"})) == b""


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with_salt(monkeypatch)
    params = Params(
        actions={"phone": "hash", "email": "mask"},
        fields={"patient": "person", "subject": "email"},
        salt="0" * 16,
    )
    with pytest.raises(
        ParamsError, match=r"clean\.personal\.fields\.patient: person has no action"
    ) as caught:
        salt_of(params)
    assert (
        "clean.personal.fields.subject: replaced or masked, two subjects would become one"
        in str(caught.value)
    )
    assert f"the salt of the environment has the fingerprint {fingerprint(SECRET.encode())}" in str(
        caught.value
    )
    assert SECRET not in str(caught.value)


def test_off_by_default_and_the_metrics_do_not_speak_of_it(tmp_path: Path) -> None:
    assert PARAMS.personal == Params()
    kept, _, report = run(tmp_path, [text("My name is Jane Doe and I like tungsten.", "tungsten")])
    assert kept[0]["text"].startswith("My name is Jane Doe")
    assert "personal" not in report
    assert "personal" not in report["phases"]


def test_nothing_that_clean_writes_holds_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_salt(monkeypatch)
    actions: Any = {"person": "hash", "email": "replace", "ssn": "reject"}
    params = clean.Params(
        PARAMS.normalise,
        Params(actions=actions, fields={"patient": "person"}),
        PARAMS.filter,
        PARAMS.verify,
    )
    rows = [
        text("Doe takes tungsten for his heart.", "tungsten")
        | {"meta": record.to_meta({"patient": "Jane Doe"})},
        text("My name is Jane Doe, SSN 123-45-6789.", "iron"),
        fact("iron", "density", "Mrs. Jane Doe"),
        fact(
            "iron",
            "discovery year",
            "1900",
            patient="Jane Doe",
            temperature="20 °C",
            pressure="1 atm",
            **POINTS,
        ),
        fact("iron", "discovery year", "1901", source="b", patient="Jane Doe"),
    ]
    rows = [
        row | {"locator": f"t#{number}"} for number, row in enumerate(rows)
    ]  # the places are kept as they are
    kept, reasons, report = run(tmp_path, rows, params)
    written = str(kept) + "".join(
        (tmp_path / "out" / name).read_text() for name in ("contradictions.json", "violations.json")
    )
    written += str(record.read(tmp_path / "out/rejected.parquet", record.REJECTED)) + str(report)
    assert not [secret for secret in ("Jane", "Doe", "123-45", SECRET) if secret in written]
    assert sorted(reasons.values()) == ["bad_quantity", "contradiction", "personal_data"]
    assert report["personal"] == {
        "records": 4,
        "found": {
            "person": {"action": "hash", "values": 4},
            "email": {"action": "replace", "values": 0},
            "ssn": {"action": "reject", "values": 1},
        },
        "salt": fingerprint(SECRET.encode()),
    }
    assert report["phases"]["personal"] == {"in": 4, "out": 3, "rejected": 1}


def test_ip_forms_are_the_library_s() -> None:
    assert found("see 2001:db8::1 and 300.1.1.1", "ip") == [
        str(ipaddress.ip_address("2001:db8::1"))
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [("见图3.4.5.6所示。", 0), ("表 2.3.4.5 列出参数。", 0), ("服务器地址是 10.2.3.4。", 1)],
)
def test_the_number_of_a_figure_or_table_is_no_address(text: str, found: int) -> None:
    assert len(list(find_personal(text, "zh"))) == found
