"""Bytes of XML files: encodings, blanks before the declaration, faults that spoil one unit only."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.project.errors import InputError
from stages.extract import xml_input
from stages.extract.kinds.markup import Xml
from stages.extract.unit import Mapping, Unit
from stages.extract.xml_input import Scan, XmlInput, as_written, fault_in


def units(tmp_path: Path, content: str | bytes, **meta: str) -> list[Unit]:
    path = tmp_path / "a.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(Xml("xml", "toy", "a.xml", "en", "u", Mapping(text=".", meta=meta)).units(path))


def told(found: list[Unit]) -> list[tuple[str | None, str, str]]:
    return [(unit.get("."), unit.reason, unit.evidence) for unit in found]


@pytest.mark.parametrize(
    ("inside", "reason", "evidence"),
    [
        ("Q&A", "malformed", "line 3: `&` must be written `&amp;`"),
        ("a & b", "malformed", "line 3: `&` must be written `&amp;`"),
        ("\n&", "malformed", "line 4: `&` must be written `&amp;`"),
        ("p < 0.05", "malformed", "line 3: `<` must be written `&lt;`"),
        ("i<j", "malformed", "line 3: `<` must be written `&lt;`"),
        ("a&nbsp;b", "undeclared_entity", "line 3: &nbsp; stands for something that the document does not hold; write"),
        ("a&#xD800;", "malformed", "line 3: &#xD800; stands for no character; remove it"),
        ("a&#11;", "malformed", "line 3: &#11; stands for no character; remove it"),
        ("a\x0cb", "malformed", "line 3: the control character U+000C is not allowed in XML; remove it"),
        ("a\x00b", "malformed", "line 3: the control character U+0000 is not allowed"),
        ("a\U0001fffeb", "malformed", "line 3: the control character U+1FFFE is not allowed"),
        ('<i k="M&S"/>', "malformed", "line 3: `&` must be written `&amp;`"),
    ],
)  # fmt: skip
def test_a_fault_spoils_its_unit_alone(
    tmp_path: Path, inside: str, reason: str, evidence: str
) -> None:
    document = f"<r>\n<u>before</u>\n<u>{inside}</u>\n<u>behind</u></r>"
    first, second, third = units(tmp_path, document)
    assert told([first, third]) == [("before", "", ""), ("behind", "", "")]
    assert second.reason == reason
    assert second.evidence.startswith(evidence)
    assert "\U0001fffe" not in second.raw
    if "\x00" not in inside and "\x0c" not in inside and "\U0001fffe" not in inside:
        assert inside in second.raw


@pytest.mark.parametrize(
    "inside",
    ["<![CDATA[R&D < 5]]>", "<!-- R&D --> ok", "<?x R&D?> ok", "&lt;&amp;&gt;&quot;&apos;", "&#8451;&#x2103;"],
)  # fmt: skip
def test_what_is_no_fault(tmp_path: Path, inside: str) -> None:
    (unit,) = units(tmp_path, f"<r><u>{inside}</u></r>")
    assert unit.reason == ""


def test_a_fault_around_a_unit_that_a_path_asks_for(tmp_path: Path) -> None:
    document = "<r><title>B&B</title><u>one</u></r>"
    assert told(units(tmp_path, document))[0][1] == ""
    (unit,) = units(tmp_path, document, title="r/title")
    assert unit.evidence == "line 1: `&` must be written `&amp;`"


@pytest.mark.parametrize(
    "start",
    ["\n", "  \t", "\n\n \ufeff\n", "\ufeff", "<!-- made by hand -->\n", "\n<!-- a --><!-- b -->\n"],
)  # fmt: skip
def test_the_declaration_may_stand_behind_something(tmp_path: Path, start: str) -> None:
    document = f'{start}<?xml version="1.0" encoding="utf-8"?>\n<r><u>é</u>\n<u>&</u></r>'
    good, bad = units(tmp_path, document)
    assert good.get(".") == "é"
    assert bad.evidence.startswith(f"line {document.count(chr(10)) + 1}:")


@pytest.mark.parametrize(
    ("declared", "written", "text"),
    [
        ("GB2312", "gb18030", "王力喆"), ("gbk", "gb18030", "㐂"), ("iso-8859-1", "cp1252", "“5 €”"),
        ("latin1", "latin-1", "é"), ("shift_jis", "cp932", "①"), ("euc-kr", "cp949", "똠"), ("iso-8859-9", "cp1254", "“ş”"),
        ("windows-1251", "cp1251", "Ї"), ("utf-16", "utf-8", "é"), ("utf-16", "utf-16", "é铁"), ("us-ascii", "ascii", "a"),
    ],
)  # fmt: skip
def test_declared_encodings(tmp_path: Path, declared: str, written: str, text: str) -> None:
    document = f'<?xml version="1.0" encoding="{declared}"?><r><u>{text}</u></r>'
    assert told(units(tmp_path, document.encode(written))) == [(text, "", "")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_without_a_declaration(tmp_path: Path, encoding: str) -> None:
    assert told(units(tmp_path, "\n<r><u>铁</u></r>".encode(encoding))) == [("铁", "", "")]


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "undefined", "utf-7", "idna"])
def test_an_unknown_encoding(tmp_path: Path, name: str) -> None:
    document = f'<?xml version="1.0" encoding="{name}"?><r><u>a</u></r>'
    with pytest.raises(
        InputError, match=f"declares the encoding {name}, which is not known; save the file as"
    ):
        units(tmp_path, document)


def test_bytes_in_another_encoding_spoil_their_unit_alone(tmp_path: Path) -> None:
    document = "<r><u>a</u>\n<u>Käse</u><u>b</u></r>".encode("latin-1")
    assert told(units(tmp_path, document)) == [
        ("a", "", ""),
        (
            None,
            "encoding",
            "line 2: bytes that are not utf-8; name their encoding in the XML declaration",
        ),
        ("b", "", ""),
    ]


def test_deep_documents_and_long_texts(tmp_path: Path) -> None:
    deep = f"<r>{'<a>' * 1000}<u>in</u>{'</a>' * 1000}</r>"
    assert told(units(tmp_path, deep)) == [("in", "", "")]
    assert told(units(tmp_path, f"<!DOCTYPE r>{deep}")) == [("in", "", "")]
    long = "x" * 11_000_000
    assert told(units(tmp_path, f"<r><u>{long}</u></r>")) == [(long, "", "")]
    too_deep = f"<r><u>a</u>{'<a>' * 2100}<u>in</u>{'</a>' * 2100}</r>"
    _, rest = units(tmp_path, too_deep)
    assert "elements are nested more than 2,048 deep, line 1" in rest.evidence
    assert "XML_PARSE" not in rest.evidence


def test_characters_between_units_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xml_input, "LARGEST", 30_000)
    unit = f"<u>{'x' * 9_000}</u>"
    assert len(units(tmp_path, f"<r>{unit * 10}</r>")) == 10
    with pytest.raises(InputError, match="more than 30,000 bytes without the end of a unit; mend"):
        units(tmp_path, f"<r>{unit}<other>{'x' * 60_000}</other>{unit}</r>")


def test_a_document_type_behind_a_long_comment_is_still_looked_at(tmp_path: Path) -> None:
    document = f"<!-- {'<a ' * 20_000}--><!DOCTYPE r [<!ENTITY e 'x'>]><r a='&e;'><u>one</u></r>"
    with pytest.raises(InputError, match="declares entities, which are refused"):
        units(tmp_path, document)
    late = f"<r>{'<u>one</u>' * 2000}<!DOCTYPE r [<!ENTITY e 'x'>]></r>"
    *read, rest = units(tmp_path, late)
    assert {unit.get(".") for unit in read} == {"one"}
    assert rest.evidence == "line 1: a document type stands inside the document"


PIECES = st.sampled_from(
    ["a", "\n", "&", "&amp;", "&#9;", "&#0;", "&x;", "<", "<b>", "</b>", "<!--", "-->", "<![CDATA[", "]]>", "<?p", "?>",
     ">", "\x0b", "\udcff", "铁", '"', ";", "x" * 90]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join), st.lists(st.integers(1, 100), max_size=10))
def test_the_cuts_between_chunks_do_not_matter(text: str, lengths: list[int]) -> None:
    whole = Scan("utf-8", takes_doctype=True).feed(text, final=True)
    scan = Scan("utf-8", takes_doctype=True)
    parts, start = [], 0
    for length in lengths:
        parts.append(scan.feed(text[start : start + length]))
        start += length
    parts.append(scan.feed(text[start:], final=True))
    assert "".join(parts) == whole
    # Only what no text can hold is not given back.
    assert as_written(whole) == text.replace("\x0b", "\ufffd").replace("\udcff", "\ufffd")
    whole.encode()


@given(st.lists(PIECES, max_size=20).map("".join))
def test_any_text_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    content = f"<r><u>first</u><u>{text}</u><u>last</u></r>".encode("utf-8", "surrogateescape")
    found = units(tmp_path_factory.mktemp("xml"), content)
    assert found[0].get(".") == "first"
    for unit in found:
        assert unit.reason or unit.get(".") is not None or unit.raw
        assert fault_in(unit.raw) is None


def test_reading_gives_utf8_without_a_declaration(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="cp1252"?><r>\x80</r>')
    with XmlInput(path) as file:
        content = b"".join(iter(file.read, b""))
    assert content.decode().strip() == "<r>€</r>"


def test_utf8_under_an_older_name_is_read_as_utf8(tmp_path: Path) -> None:
    document = '<?xml version="1.0" encoding="iso-8859-1"?><r><u>K\u00e4se</u></r>'.encode()
    assert told(units(tmp_path, document)) == [("K\u00e4se", "", "")]
