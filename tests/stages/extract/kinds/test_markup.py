"""Nested sources: paths through lists and around a unit, names without namespace, document types that are never fetched."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from stages.core.project.errors import InputError
from stages.extract.kinds import markup
from stages.extract.kinds.markup import Json, JsonLines, Released, Xml, numbers_around
from stages.extract.path import join_texts, nodes_at, split
from stages.extract.unit import Mapping, Unit


def of_json(tmp_path: Path, document: Any, items: str, /, **meta: str) -> list[Unit]:
    path = tmp_path / "a.json"
    path.write_bytes(
        document
        if isinstance(document, bytes)
        else json.dumps(document, ensure_ascii=False).encode()
    )
    return list(Json("json", "toy", "a.json", "en", items, Mapping(meta=meta)).units(path))


def of_xml(tmp_path: Path, document: str | bytes, element: str, /, **meta: str) -> list[Unit]:
    path = tmp_path / "a.xml"
    path.write_bytes(document if isinstance(document, bytes) else document.encode())
    return list(Xml("xml", "toy", "a.xml", "en", element, Mapping(meta=meta)).units(path))


def cells(units: list[Unit], path: str) -> list[str | None]:
    return [unit.get(path) for unit in units]


SQUAD = {
    "title": "all",
    "data": [
        {
            "title": "iron",
            "paragraphs": [
                {
                    "context": "c0",
                    "qas": [{"q": "a?", "answers": [{"t": "1"}, {"t": "2"}]}, {"q": "b?"}],
                }
            ],
        },
        {
            "title": "tin",
            "paragraphs": [
                {"context": "c1", "qas": [{"q": "c?", "answers": []}]},
                {"context": "c2"},
            ],
        },
    ],
}


def test_units_in_lists_of_lists_and_what_stands_around_them(tmp_path: Path) -> None:
    paths = {
        "title": "data/title",
        "context": "paragraphs/context",
        "document": "/title",
        "nowhere": "elsewhere/title",
    }
    units = of_json(tmp_path, SQUAD, "data.*.paragraphs.*.qas", question="q", **paths)
    assert [unit.position for unit in units] == [
        "/data/0/paragraphs/0/qas/0",
        "/data/0/paragraphs/0/qas/1",
        "/data/1/paragraphs/0/qas/0",
        "/data/1/paragraphs/1/qas",
    ]
    assert [(unit.reason, unit.evidence) for unit in units[3:]] == [
        ("malformed", "no list here; `items` names 'data.*.paragraphs.*.qas'")
    ]
    assert cells(units, "q") == ["a?", "b?", "c?", None]
    assert cells(units, "data/title") == ["iron", "iron", "tin", None]
    assert cells(units, "paragraphs/context") == ["c0", "c0", "c1", None]
    assert cells(units, "/title") == ["all", "all", "all", None]
    assert cells(units, "elsewhere/title") == [None] * 4


def test_lists_in_a_list_at_the_top(tmp_path: Path) -> None:
    units = of_json(
        tmp_path,
        [{"rows": [{"a": 1}, {"a": 2}]}, {"rows": [{"a": 3}]}],
        "*.rows",
        a="a",
        b="rows/a",
    )
    assert [(unit.position, unit.get("a")) for unit in units] == [
        ("/0/rows/0", "1"),
        ("/0/rows/1", "2"),
        ("/1/rows/0", "3"),
    ]


def test_the_first_of_several_counts_unless_all_or_another_is_asked_for(tmp_path: Path) -> None:
    paths = {
        "first": "answers.t",
        "all": "answers.*.t",
        "second": "answers.1.t",
        "tenth": "answers.9.t",
    }
    units = of_json(tmp_path, SQUAD, "data.*.paragraphs.*.qas", **paths)
    assert [units[0].get(path) for path in paths.values()] == ["1", "1\n2", "2", None]
    assert [units[2].get(path) for path in paths.values()] == [None] * 4


def test_all_of_what_stands_alone_is_that_one(tmp_path: Path) -> None:
    units = of_json(
        tmp_path,
        [{"a": "x"}, {"a": ["x", "y"]}, {"a": [{"b": 1}, {"b": [2, 3]}]}],
        "",
        a="a.*",
        b="a.*.b.*",
    )
    assert cells(units, "a.*") == ["x", "x\ny", None]
    assert cells(units, "a.*.b.*") == [None, None, "1\n2\n3"]


def test_a_key_written_like_a_path_comes_before_the_path(tmp_path: Path) -> None:
    units = of_json(
        tmp_path, [{"a.b": 1, "a": {"b": 2}, "x/y": 3, "@id": 4}], "", ab="a.b", xy="x/y", id="@id"
    )
    assert [units[0].get(path) for path in ("a.b", "x/y", "@id")] == ["1", "3", "4"]


def test_a_document_may_be_one_unit(tmp_path: Path) -> None:
    (unit,) = of_json(
        tmp_path, {"name": "iron", "isotopes": [54, 56]}, ".", name="name", all="isotopes.*"
    )
    assert (unit.position, unit.get("name"), unit.get("isotopes.*")) == ("", "iron", "54\n56")


@pytest.mark.parametrize("items", ["data", "data.*.rows", "date.x"])
def test_a_document_without_the_list_is_refused(tmp_path: Path, items: str) -> None:
    with pytest.raises(
        InputError, match=rf"has no list at '{re.escape(items)}'; mend `items` in params\.yaml"
    ):
        of_json(tmp_path, {"date": []}, items)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_json_in_every_encoding_of_unicode(tmp_path: Path, encoding: str) -> None:
    assert cells(of_json(tmp_path, '[{"a": "铁"}]'.encode(encoding), "", a="a"), "a") == ["铁"]


def test_json_lines_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        '\ufeff{"a": {"b": [1, 2]}}\r\n\ufeff{"a": {"b": 3}}\n'.encode()
    )
    units = list(
        JsonLines("jsonl", "toy", "a.jsonl", "en", Mapping(text="a.b.*")).units(
            tmp_path / "a.jsonl"
        )
    )
    assert cells(units, "a.b.*") == ["1\n2", "3"]


KEYS = st.text("abc", min_size=1, max_size=3)
LEAVES = st.integers(0, 9)
ENTRIES = st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=3), max_size=3)


@given(
    st.dictionaries(KEYS, ENTRIES | st.lists(ENTRIES | LEAVES, max_size=3), min_size=1, max_size=3)
)
def test_a_path_to_every_leaf_leads_there(document: dict[str, Any]) -> None:
    def leaves(node: Any, names: list[str]) -> list[tuple[list[str], Any]]:
        if isinstance(node, dict):
            return [leaf for name, below in node.items() for leaf in leaves(below, [*names, name])]
        if isinstance(node, list):
            return [
                leaf
                for number, below in enumerate(node)
                for leaf in leaves(below, [*names, str(number)])
            ]
        return [(names, node)]

    for names, value in leaves(document, []):
        found = list(
            nodes_at(
                document,
                names,
                lambda node, name: node.get(name) if isinstance(node, dict) else None,
            )
        )
        assert found == [value]


@given(st.lists(st.text("ab /.@*0", max_size=6)))
def test_any_path_splits_and_any_texts_join(texts: list[str]) -> None:
    for text in texts:
        around, names = split(text)
        assert ("/" in text) == (around is not None)
        assert all(names)
    assert join_texts(iter(texts)) == (
        "\n".join(text.strip() for text in texts if text.strip()) or None
    )


CDA = """<c:doc xmlns:c="urn:a" xmlns:x="urn:x" c:id="7"><c:title>Summary</c:title><c:body>
<c:section x:flag="NI"><c:title>Allergies</c:title><c:text>none <b xmlns="urn:b">known</b></c:text><c:code code="1"/></c:section>
<c:aside>between</c:aside>
<c:section><c:title>Plan</c:title><c:text/><c:code code="2"/><c:code code="3"/></c:section></c:body></c:doc>"""


def test_names_are_compared_without_their_namespace(tmp_path: Path) -> None:
    paths = {
        "text": "text",
        "code": "code@code",
        "codes": "code.*@code",
        "second": "code.1@code",
        "flag": "@flag",
    }
    around = {
        "document": "doc/title",
        "id": "doc/@id",
        "root": "/title",
        "aside": "body/aside",
        "outer": "section/title",
    }
    units = of_xml(tmp_path, CDA, "section", **paths, **around)
    assert [units[0].get(path) for path in paths.values()] == ["none known", "1", "1", None, "NI"]
    assert [units[1].get(path) for path in paths.values()] == [None, "2", "2\n3", "3", None]
    assert [units[1].get(path) for path in around.values()] == [
        "Summary",
        "7",
        "Summary",
        "between",
        None,
    ]


def test_a_unit_may_be_its_own_text(tmp_path: Path) -> None:
    units = of_xml(
        tmp_path, "<a><t>T</t><p>H<sub>2</sub>O</p><p>ice</p></a>", "p", text=".", title="a/t"
    )
    assert [(unit.position, unit.get("."), unit.get("a/t")) for unit in units] == [
        ("p[1]", "H2O", "T"),
        ("p[2]", "ice", "T"),
    ]


def test_repeated_elements(tmp_path: Path) -> None:
    abstract = '<r><u><t label="A">one</t><t label="B">two <i>three</i></t><n><m>4</m><m>5</m></n><n><m>6</m></n></u></r>'
    (unit,) = of_xml(
        tmp_path, abstract, "u", first="t", all="t.*", labels="t.*@label", nested="n.*.m.*"
    )
    assert [unit.get(path) for path in ("t", "t.*", "t.*@label", "n.*.m.*")] == [
        "one",
        "one\ntwo three",
        "A\nB",
        "4\n5\n6",
    ]


def test_a_prefix_without_a_namespace_spoils_nothing(tmp_path: Path) -> None:
    units = of_xml(
        tmp_path,
        '<r><u x:kind="a"><x:t>one</x:t></u><u><t>two</t></u></r>',
        "u",
        text="t",
        kind="@kind",
    )
    assert [(unit.get("t"), unit.get("@kind")) for unit in units] == [("one", "a"), ("two", None)]
    units = of_xml(tmp_path, '<r><u x:kind="a"><t>one</t></u><u></r>', "u", text="t")
    assert [(unit.get("t"), unit.reason) for unit in units] == [("one", ""), (None, "malformed")]
    assert "Opening and ending tag mismatch" in units[1].evidence


DTD = '<!ENTITY e "expanded"><!ATTLIST u flag CDATA "fetched">'


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE r PUBLIC "-//X//DTD X//EN" "http://127.0.0.1:9/x.dtd">',
        "<!DOCTYPE r SYSTEM 'FILE'>",
        "<!DOCTYPE r>",
        "<!DOCTYPE r [<!ELEMENT u ANY>]>",
    ],
)
def test_a_document_type_is_named_and_never_fetched(tmp_path: Path, doctype: str) -> None:
    (tmp_path / "x.dtd").write_text(DTD)
    doctype = doctype.replace("FILE", (tmp_path / "x.dtd").as_uri())
    (unit,) = of_xml(tmp_path, f"{doctype}<r><u>one</u></r>", "u", text=".", flag="@flag")
    assert (unit.get("."), unit.get("@flag")) == ("one", None)


def test_a_reference_to_what_a_dtd_elsewhere_declares_rejects_its_unit(tmp_path: Path) -> None:
    (tmp_path / "x.dtd").write_text(DTD)
    document = f"<!DOCTYPE r SYSTEM '{(tmp_path / 'x.dtd').as_uri()}'><r><u>one</u><u>two &e;</u><u>three &lt; &#52;</u></r>"
    units = of_xml(tmp_path, document, "u", text=".")
    assert [(unit.get("."), unit.reason) for unit in units] == [
        ("one", ""),
        (None, "undeclared_entity"),
        ("three < 4", ""),
    ]
    assert units[1].evidence == (
        "line 1: &e; stands for something that the document does not hold; write the character itself"
    )


ENTITIES = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12)]
DECLARING = {
    "laughs": f"<!DOCTYPE r [{''.join(ENTITIES)}]><r><u>&e11;</u></r>",
    "laughs without a unit": f"<!DOCTYPE r [{''.join(ENTITIES)}]><r>&e11;</r>",
    "laughs in an attribute": f"<!DOCTYPE r [{''.join(ENTITIES)}]><r a='&e11;'><u/></r>",
    "one that is not used": '<!DOCTYPE r [<!ENTITY a "b">]><r><u>one</u></r>',
    "of a file": '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><r><u>&a;</u></r>',
    "of a file, as a parameter": '<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/hostname">%a;]><r><u>one</u></r>',
    "besides a DTD": '<!DOCTYPE r SYSTEM "x.dtd" [<!ENTITY a "b">]><r><u>one</u></r>',
}


@pytest.mark.parametrize("document", DECLARING.values(), ids=DECLARING)
def test_entities_are_refused(tmp_path: Path, document: str) -> None:
    message = "declares entities, which are refused; write out what they stand for|uses entities, which are refused: "
    with pytest.raises(InputError, match=message):
        of_xml(tmp_path, document, "u", text=".")


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        ({"a.b", "@c"}, {}),
        ({"x/a.b", "/c"}, {"a": 1, "b": 1, "c": 1}),
        ({"x/a.*.b.1@d"}, {"a": math.inf, "b": 2}),
        ({"x/."}, {"*": math.inf}),
        ({"x/(key)", "x/a.2", "x/a"}, {"a": 3}),
    ],
)
def test_elements_that_a_path_around_a_unit_leads_to(
    paths: set[str], kept: dict[str, float]
) -> None:
    assert numbers_around(paths) == kept


@pytest.mark.parametrize(
    ("kept", "left"),
    [({}, "<r><u/>|</r>"), ({"title": 1.0}, "<r><title>t</title>|<u/>|</r>")],
)
def test_what_has_been_read_leaves_the_tree(kept: dict[str, float], left: str) -> None:
    """So memory stays constant; what stands before the units is kept only where a path asks for it."""
    root = etree.fromstring("<r><title>t</title>|<u><t>1</t></u>|<title>s</title><u>2</u>|</r>")
    reader = Released("u", kept)
    for element in root.findall("u"):
        reader.release(element)
    assert etree.tostring(root).decode() == left


def test_what_stands_around_units_leaves_the_tree_too() -> None:
    root = etree.fromstring(
        "<r><a><t>1</t><x/><u/></a><b/><a><t>2</t><y/><u/></a><a><t>3</t><u>0</u></a></r>"
    )
    reader = Released("u", {"t": 1})
    for element in root.iter("u"):
        reader.release(element)
    assert etree.tostring(root).decode() == "<r><a><t>3</t><u/></a></r>"


def test_a_unit_around_a_unit_is_read_whole(tmp_path: Path) -> None:
    document = "<r><u><t>outer</t> a <u><t>inner</t></u> b <u>2</u> c</u></r>"
    units = of_xml(tmp_path, document, "u", title="t", own=".")
    assert cells(units, "t") == ["inner", None, "outer"]
    assert cells(units, ".") == ["inner", "2", "outer a b c"]


@pytest.mark.parametrize("element", ["a", "u", "m"])
def test_the_tree_does_not_grow_with_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, element: str
) -> None:
    sizes: list[int] = []

    def counting(place: str, raw: str, node: Any, paths: set[str]) -> Unit:
        sizes.append(sum(1 for _ in node.getroottree().iter()))
        return markup_unit(place, raw, node, paths)

    markup_unit = markup.unit_of_element
    monkeypatch.setattr(markup, "unit_of_element", counting)
    entry = (
        "<a><id>1</id><title>t</title><more><m>some text</m></more><u>unit</u><rest>x</rest></a>"
    )
    units = of_xml(tmp_path, f"<r>{entry * 4_000}</r>", element, title="a/title", own=".")
    assert len(units) == 4_000
    assert max(sizes) < 4_000  # of 28,001: the parser reads 32 KiB ahead
    assert set(cells(units, "a/title")) == {None if element == "a" else "t"}


def test_a_unit_with_equal_keys_is_set_aside(tmp_path: Path) -> None:
    document = b'[{"a": 1, "b": 2}, {"a": 1, "a": 1.50}, {"a": 3, "deep": [{"k": 1, "k": 2}]}]'
    units = of_json(tmp_path, document, "", a="a")
    assert [unit.reason for unit in units] == ["", "duplicate_key", "duplicate_key"]
    assert (
        units[1].evidence
        == "the key 'a' stands more than once in one object; keep one of the values"
    )
    assert units[1].raw == '{"a": 1, "a": 1.50}'
    assert "the key 'k'" in units[2].evidence


def test_equal_keys_lose_no_unit(tmp_path: Path) -> None:
    units = of_json(tmp_path, b'{"iron": {"a": 1}, "tin": {"a": 2}, "iron": {"a": 3}}', "", a="a")
    assert [(unit.position, unit.get("a"), unit.reason) for unit in units] == [
        ("/iron", None, "duplicate_key"),
        ("/tin", "2", ""),
        ("/iron (2)", None, "duplicate_key"),
    ]
    with pytest.raises(
        InputError, match=r"a\.json: the key 'rows' stands more than once in one object"
    ):
        of_json(tmp_path, b'{"rows": [{"a": 1}], "rows": [{"a": 2}]}', "rows", a="a")
    units = of_json(tmp_path, b'[{"r": [{"a": 1}], "r": []}, {"r": [{"a": 2}]}]', "*.r", a="a")
    assert [(unit.position, unit.reason) for unit in units] == [
        ("/0/r", "duplicate_key"),
        ("/1/r/0", ""),
    ]
    units = of_json(
        tmp_path, b'{"x": {"r": [1]}, "x": {"r": [2]}, "y": {"r": [{"a": 1}]}}', "*.r", a="a"
    )
    assert [(unit.position, unit.reason) for unit in units] == [
        ("/x", "duplicate_key"), ("/x (2)", "duplicate_key"), ("/y/r/0", ""),
    ]  # fmt: skip


def test_equal_keys_around_a_unit_matter_where_a_path_asks_for_them(tmp_path: Path) -> None:
    document = b'{"v": 1, "v": 2, "rows": [{"a": 1}]}'
    assert cells(of_json(tmp_path, document, "rows", a="a"), "a") == ["1"]
    (unit,) = of_json(tmp_path, document, "rows", a="a", v="/v")
    assert (unit.reason, unit.evidence[:11]) == ("duplicate_key", "the key 'v'")


def test_names_of_entries(tmp_path: Path) -> None:
    document = {"metals": {"iron": {"iso": [{"m": 54}, {"m": 56}]}, "tin": {"iso": [{"m": 112}]}}}
    units = of_json(tmp_path, document, "metals.*.iso", m="m", name="metals/(key)", same="*/(key)")
    assert cells(units, "metals/(key)") == cells(units, "*/(key)") == ["iron", "iron", "tin"]
    units = of_json(tmp_path, b'{"iron": {"m": 55, "d": 7.80}}', "*", s="*/(key)", a="(key)", v=".")
    assert [(unit.get("*/(key)"), unit.get("(key)"), unit.get(".")) for unit in units] == [
        ("iron", "m", "55"),
        ("iron", "d", "7.80"),
    ]
    units = of_xml(
        tmp_path, "<r><iron><m>55</m></iron><tin><m>118</m></tin></r>", "m", s="*/(key)", a="(key)"
    )
    assert [(unit.get("*/(key)"), unit.get("(key)")) for unit in units] == [
        ("iron", "m"),
        ("tin", "m"),
    ]


ROWS = b'[["name", "mass"], ["iron", 55.850], ["tin"], {"name": "zinc", "mass": 1}, 7]'


def test_rows_that_are_lists(tmp_path: Path) -> None:
    units = of_json(tmp_path, ROWS, "", n="0", m="1")
    assert [(unit.get("0"), unit.get("1"), unit.reason) for unit in units] == [
        ("name", "mass", ""), ("iron", "55.850", ""), ("tin", None, ""), (None, None, ""), (None, None, "malformed"),
    ]  # fmt: skip
    path = tmp_path / "a.json"
    mapping = Mapping(subject="name", text="mass")
    named = Json("json", "toy", "a.json", "en", "", mapping, columns="header")
    units = list(named.units(path))
    assert [(unit.position, unit.get("name"), unit.reason) for unit in units] == [
        ("/1", "iron", ""), ("/2", None, "malformed"), ("/3", "zinc", ""), ("/4", None, "malformed"),
    ]  # fmt: skip
    assert units[1].evidence == "1 values, `columns` names 2"
    path.write_bytes(b'[[1, "mass"], ["iron", 2]]')
    with pytest.raises(
        InputError, match="toy: /0 is no list of names, which `columns: header` needs"
    ):
        list(named.units(path))
    lines = JsonLines("jsonl", "toy", "a.jsonl", "en", mapping, columns=["name", "mass"])
    path.write_bytes(b'["iron", 55.850]\n["tin", 1, 2]\n')
    units = list(lines.units(path))
    assert [(unit.get("name"), unit.get("mass"), unit.reason) for unit in units] == [
        ("iron", "55.850", ""),
        (None, None, "malformed"),
    ]
    assert [unit.raw for unit in units] == ['["iron", 55.850]', '["tin", 1, 2]']


@pytest.mark.parametrize(
    ("written", "setting"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-8"), ("utf-16-le", "utf-8"), ("utf-32", "utf-8"),
        ("gbk", "gb18030"), ("gbk", "auto"),
    ],
)  # fmt: skip
def test_encodings_of_json(tmp_path: Path, written: str, setting: str) -> None:
    text = '{"a": "铁是一种金属,熔点很高"}\n'
    (tmp_path / "a").write_bytes(text.encode(written))
    mapping = Mapping(text="a")
    for source in (
        JsonLines("jsonl", "toy", "a", "zh", mapping, encoding=setting),
        Json("json", "toy", "a", "zh", ".", mapping, encoding=setting),
    ):
        assert cells(list(source.units(tmp_path / "a")), "a") == ["铁是一种金属,熔点很高"]
        assert source.details([tmp_path / "a"]) == (
            {"encodings": {"gb18030": 1}} if setting == "auto" else {}
        )


def test_json_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes('{"a": "铁"}\n{"a": "tin"}\n'.encode("gbk"))
    lines = list(JsonLines("jsonl", "toy", "a", "zh", Mapping(text="a")).units(tmp_path / "a"))
    assert [unit.reason for unit in lines] == ["encoding", ""]
    for encoding, message in (
        ("utf-8", "set the source's `encoding` to what it is"),
        ("klingon", "unknown encoding"),
    ):
        source = Json("json", "toy", "a", "zh", "", Mapping(text="a"), encoding=encoding)
        with pytest.raises(InputError, match=message):
            list(source.units(tmp_path / "a"))


def test_keys_that_are_no_text(tmp_path: Path) -> None:
    units = of_json(tmp_path, rb'{"\ud800": {"a": 1}, "ok": {"a": 2}}', "", a="a", k="(key)")
    assert [(unit.position, unit.reason) for unit in units] == [
        ("/\\ud800", "malformed"),
        ("/ok", ""),
    ]
    units = of_json(tmp_path, rb'{"\ud800": {"a": 1}, "ok": {"a": "\udfff"}}', "", a="a")
    assert [unit.get("a") for unit in units] == ["1", None]


@pytest.mark.parametrize("name", ["", "a b", "x:item", "{urn:a}item", "*:item", "item/", "1st"])
def test_what_is_no_name_of_an_element(name: str) -> None:
    (problem,) = Xml("xml", "toy", "a.xml", "en", name, Mapping(text=".")).problems()
    assert problem.startswith(
        f"element: {name!r} is no name of an element; write it without its namespace"
    )


@pytest.mark.parametrize("name", ["*", "item", "sec-1", "x.y", "化合物", "_a"])
def test_what_is_a_name_of_an_element(name: str) -> None:
    assert Xml("xml", "toy", "a.xml", "en", name, Mapping(text=".")).problems() == []


@pytest.mark.parametrize(
    "around", ["<t>a</t><u>1</u>", "<u>1</u>", "<s>a</s><u>1</u>", "<x:t>a</x:t><u>1</u>"]
)
def test_time_grows_with_the_document_and_no_faster(tmp_path: Path, around: str) -> None:
    """Counted in elements that are looked at, since seconds depend on the machine."""
    looked_at: list[int] = []

    def counting(node: Any, name: str) -> list[Any]:
        looked_at.append(len(node))
        return children(node, name)

    children = markup.children
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "children", counting)
        totals = []
        for number in (2_000, 4_000):
            looked_at.clear()
            units = of_xml(tmp_path, f"<r>{around * number}</r>", "u", t="r/t")
            assert len(units) == number
            totals.append(sum(looked_at))
    assert totals[1] < 2.5 * totals[0]


def test_a_wrong_name_of_an_element_or_list_is_told(tmp_path: Path) -> None:
    for name, evidence in (
        ("sheat", "no element sheat; did you mean sheet?"),
        ("record", "no element record; there are book, page, sheet"),
    ):
        (unit,) = of_xml(tmp_path, "<book><sheet/><page><sheet/></page></book>", name, text=".")
        assert (unit.reason, unit.evidence) == ("empty", evidence)
    assert of_xml(tmp_path, "", "u", text=".") == []
    for items, near in (("entires", "entries"), ("entries.rowz", "entries.rows")):
        with pytest.raises(
            InputError, match=rf"has no list at '{items}'; mend .*\(did you mean {near}\?\)"
        ):
            of_json(tmp_path, {"entries": {"rows": []}}, items)


@pytest.mark.parametrize("path", ["9" * 5000, f"a.{'9' * 5000}"])
def test_a_number_of_any_length_selects_nothing_beyond_the_end(tmp_path: Path, path: str) -> None:
    (unit,) = of_json(tmp_path, [{"a": ["iron"]}], "", found=path, first="a.0")
    assert unit.get(path) is None
    assert unit.get("a.0") == "iron"


def test_a_codec_that_decodes_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[]")
    source = Json("json", "toy", "a.json", "en", "", Mapping(), encoding="undefined")
    with pytest.raises(InputError, match="set the source's `encoding`"):
        list(source.units(path))


def test_what_ends_a_json_text_is_shown_and_the_other_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"char 1\), where <U\+FEFF> stands; mend the file"):
        of_json(tmp_path, '[\ufeff{"a": "x"}]'.encode(), "")
    with pytest.raises(InputError, match=r"Extra data.*or set `kind: jsonl` if each line"):
        of_json(tmp_path, b'{"a": "x"}\n{"a": "y"}\n', "")
    (unit,) = of_json(tmp_path, '\ufeff\ufeff[{"a": "x"}]'.encode(), "", a="a")
    assert unit.get("a") == "x"
