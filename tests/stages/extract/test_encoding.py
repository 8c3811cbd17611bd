"""encoding: auto finds what a file is written in, always the same, and says nothing wrong of plain ASCII."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.project.errors import InputError
from stages.extract import encoding
from stages.extract.encoding import (
    ENCODINGS,
    LETTERS,
    counted,
    detected,
    likeliest,
    lines_of,
    resolved,
)
from tests.beside import SHARED, needs_shared

SIMPLIFIED = "铁是一种化学元素，熔点是1538度。\n锡会鸣叫。\n"
TRADITIONAL = "鐵是一種化學元素，熔點為攝氏1538度。\n錫會鳴叫。\n"
GERMAN = "Eisen schmilzt bei 1538 °C.\nDas Gefäß zerbrach über Nacht.\n"


def found(tmp_path: Path, content: bytes, lang: str = "en") -> str:
    (tmp_path / "a.txt").write_bytes(content)
    return detected(tmp_path / "a.txt", lang)


@pytest.mark.parametrize(
    ("text", "written", "lang", "name"),
    [
        ("iron\n", "ascii", "en", "utf-8"),
        ("", "ascii", "en", "utf-8"),
        (SIMPLIFIED, "utf-8", "zh", "utf-8"),
        (SIMPLIFIED, "utf-8-sig", "zh", "utf-8"),
        (SIMPLIFIED, "utf-16", "zh", "utf-16"),
        (SIMPLIFIED, "utf-32", "zh", "utf-32"),
        (SIMPLIFIED, "utf-16-le", "zh", "utf-16-le"),
        (SIMPLIFIED, "utf-16-be", "zh", "utf-16-be"),
        (GERMAN, "utf-16-le", "de", "utf-16-le"),
        (SIMPLIFIED, "gb18030", "zh", "gb18030"),
        (SIMPLIFIED, "gbk", "und", "gb18030"),
        (SIMPLIFIED, "gb2312", "en", "gb18030"),  # the language is wrong
        (TRADITIONAL, "big5", "zh", "big5"),
        (TRADITIONAL, "big5", "und", "big5"),
        (GERMAN, "cp1252", "de", "cp1252"),
        (GERMAN, "latin-1", "und", "cp1252"),
        ("20 °C\n", "cp1252", "en", "cp1252"),  # also two bytes of Big5
        ("5 µm\nzinc,5,µg\n", "cp1252", "en", "cp1252"),
        ("price,5,€\nprice,5,£\n", "cp1252", "en", "cp1252"),
        ("caf\xe9,“x”,10\xa0±\xa01 m²,½\n", "cp1252", "en", "cp1252"),
        ("Железо плавится при 1538 градусах.\n", "cp1251", "ru", "cp1251"),
        ("鉄は摂氏1538度で溶ける。\n", "cp932", "ja", "cp932"),
    ],
)
def test_what_a_file_is_written_in(
    tmp_path: Path, text: str, written: str, lang: str, name: str
) -> None:
    assert found(tmp_path, text.encode(written), lang) == name
    assert resolved("auto", tmp_path / "a.txt", lang) == name
    assert (tmp_path / "a.txt").read_bytes().decode(name).removeprefix("\ufeff") == text


def test_a_name_that_is_set_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"iron")
    assert resolved("koi8_r", tmp_path / "a.txt", "en") == "koi8_r"
    assert counted([tmp_path / "a.txt"], "koi8_r", "en") == {}


def test_a_few_lines_of_another_encoding_change_nothing(tmp_path: Path) -> None:
    line = "Das Gefäß zerbrach.\n"
    assert found(tmp_path, line.encode() * 3 + line.encode("cp1252") * 2) == "utf-8"
    with pytest.raises(InputError, match=r"2 lines are UTF-8, and 3 are not; set `encoding`"):
        found(tmp_path, line.encode() * 2 + line.encode("cp1252") * 3)
    assert found(tmp_path, SIMPLIFIED.encode("gb18030") * 20 + b"\xff\xff\n", "zh") == "gb18030"


def test_a_wrong_byte_in_a_file_of_ascii_costs_its_line_alone(tmp_path: Path) -> None:
    assert found(tmp_path, b"iron,4\n" * 40 + b"t\xfen\x81\x05,5\n", "und") == "utf-8"
    with pytest.raises(InputError, match="the encoding is not sure"):
        found(tmp_path, b"iron,4\n" * 2 + b"t\xfen\x81\x05,5\n", "und")
    # One line in a clear encoding is no wrong byte.
    assert found(tmp_path, b"iron,4\n" * 40 + "Gefäß,20 °C\n".encode("cp1252"), "de") == "cp1252"


def test_words_with_wrong_bytes_do_not_count_where_they_are_few(tmp_path: Path) -> None:
    words = "Das Gefäß fällt täglich, öfter über Nacht, größer, süß, schön, kürzer, länger, blöd."
    broken = (words.replace(" ", "\n") + "\n").encode("cp1252") + b"a\x05\xf7\xd7\x81\xf7z\n"
    assert found(tmp_path, broken, "de") == "cp1252"


def test_only_a_sample_of_a_long_file_is_guessed_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(
        encoding, "older", lambda lines, *_: sizes.append(sum(map(len, lines))) or "cp1252"
    )
    assert found(tmp_path, b"iron\n" * 50_000 + GERMAN.encode("cp1252") * 10_000) == "cp1252"
    assert encoding.SAMPLE <= sizes[0] < encoding.SAMPLE + 100


def test_what_is_of_no_encoding_is_refused_with_candidates(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"a\.txt: the encoding is not sure: .*; set the source's `encoding` to the",
    ):
        found(tmp_path, b"\xff\xff\x81\n", "zh")
    assert likeliest(b"\xff\xff\x81", ["gb18030"]) is None
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    files[1].write_bytes(b"iron")
    assert counted(files, "auto", "zh") == {"encodings": {"unsure": 1, "utf-8": 1}}


@given(st.binary(max_size=300), st.sampled_from(["en", "zh", "und", "ru"]))
def test_any_bytes_get_the_same_answer_always(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, lang: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.txt"
    path.write_bytes(content)
    answers = []
    for _ in range(2):
        try:
            answers.append(detected(path, lang))
        except InputError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80))
def test_what_is_utf_8_is_found_so(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode())
    assert detected(path, "zh") == "utf-8"


SENTENCES = {
    "pl": "Wąż pełznie przez żółtą łąkę, a źródło śpiewa cicho.",
    "cs": "Teplá řeka teče údolím, měď se žíhá a šťáva kypí v ěřčí nádobě.",
    "sk": "Oceľ je tvrdšia než meď, väčší kôň však ťahá šesť vozov.",
    "hu": "A réz vörös színű fém, a bőr és a gyűrű könnyű.",
    "hr": "Željezna žica puca, čaša je šuplja, a ćup leži u dvorištu.",
    "sl": "Železo žari, če ga človek segreva šest ur na močnem žaru.",
    "ro": "Apa îngheaţă iarna şi fierbe în vară, însă oţelul ţine.",
    "ru": "Медь проводит ток лучше железа, но уступает серебру.",
    "uk": "Мідь проводить струм краще, ніж залізо, її електропровідність є високою.",
    "be": "Медзь добра праводзіць ток, але саступае серабру ў гэтым.",
    "bg": "Медта провежда тока по-добре от желязото, но отстъпва на среброто.",
    "sr": "Бакар боље проводи струју од гвожђа, али је љубимац ковача њиховог.",
    "el": "Ο χαλκός άγει τον ηλεκτρισμό καλύτερα από τον σίδηρο.",
    "tr": "Bakır elektriği demirden iyi iletir, gümüş ise ışığı güçlü yansıtır.",
    "he": "הנחושת מוליכה חשמל טוב יותר מן הברזל אך פחות מהכסף.",
    "ar": "يوصل النحاس الكهرباء أفضل من الحديد لكنه أقل من الفضة.",
    "fa": "مس برق را بهتر از آهن هدایت می‌کند و گران‌تر از آن است.",
    "lt": "Varis laidžia elektrą geriau už geležį, tačiau šviečia blogiau negu žarija.",
    "lv": "Varš vada strāvu labāk nekā dzelzs, bet sliktāk par sudrabu, ūdenī tas nerūsē.",
    "et": "Vask juhib elektrit paremini kui raud, kuid hõbe on õige hää.",
    "vi": "Đồng dẫn điện tốt hơn sắt nhưng kém bạc.",
    "th": "ทองแดงนำไฟฟ้าได้ดีกว่าเหล็ก แต่ด้อยกว่าเงิน",
    "de": "Kupfer leitet den Strom für gewöhnlich besser als Eisen, doch Silber ist größer darin.",
    "fr": "Le cuivre, métal rougeâtre, conduit très bien l’électricité, où qu’il soit.",
    "es": "El cobre conduce la corriente mejor que el hierro, según la tabla del año pasado.",
    "pt": "O cobre é melhor condutor do que o ferro, porém não tão bom quanto a prata.",
    "sv": "Koppar leder ström bättre än järn, men sämre än silver på åtta sätt.",
    "is": "Kopar leiðir straum betur en járn, en þó ekki eins vel og silfrið.",
    "en": "Copper isn’t a semiconductor – it melts at 1085 °C, says the “naïve” table.",
    "ko": "구리는 철보다 전기를 잘 통하지만 은보다는 못하다.",
    "ja": "銅は鉄より電気をよく通すが、銀には及ばない。",
    "zh": "铜的导电性比铁好，但是不如银。这是大家都知道的。",
}
GROUP_OF = {lang: group for group, languages in LETTERS.items() for lang in languages}


def in_bytes(text: str, encoding: str) -> bytes | None:
    """None: the encoding lacks a letter. Typographic signs that it lacks are left out."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        pass
    content = bytearray()
    for letter in text:
        # cp1258 has tones as characters of their own, behind a letter that may have another mark.
        for form in (letter, *toned(letter), "" if letter in "’“”–°\u200c" else None):
            if form is None:
                return None
            try:
                content += form.encode(encoding)
            except UnicodeEncodeError:
                continue
            break
    return bytes(content)


def toned(letter: str) -> list[str]:
    first, *marks = unicodedata.normalize("NFD", letter)
    forms = []
    for mark in marks:
        others = "".join(other for other in marks if other != mark)
        forms.append(unicodedata.normalize("NFC", first + others) + mark)
    return forms


def languages_and_encodings() -> list[tuple[str, str]]:
    pairs = []
    for lang in SENTENCES:
        candidates = encoding.MULTIBYTE.get(lang) or ENCODINGS[GROUP_OF[lang]]
        pairs += [(lang, candidate) for candidate in candidates]
    return pairs


@pytest.mark.parametrize(("lang", "written"), languages_and_encodings())
def test_an_older_encoding_is_found_or_refused_and_never_mistaken(
    tmp_path: Path, lang: str, written: str
) -> None:
    content = in_bytes(SENTENCES[lang], written)
    if content is None:
        return
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    right = unicodedata.normalize("NFC", content.decode(written))
    # A rare encoding may be refused even where the language is right.
    others = ["und", "auto", "en", "de", "ru", "zh"]
    if written in encoding.RARE:
        others.append(lang)
    else:
        assert unicodedata.normalize("NFC", content.decode(detected(path, lang))) == right
    for other in others:
        try:
            name = detected(path, other)
        except InputError:
            continue
        assert unicodedata.normalize("NFC", content.decode(name)) == right, other


def test_the_message_shows_the_readings(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"not sure: .*cp1252 reads '.*', .* reads '.*'; set the source's `encoding`",
    ):
        found(tmp_path, b"k\xf5rgel\n", "und")


@pytest.mark.parametrize("lang", ["en", "zh", "und"])
@pytest.mark.parametrize("text", ["iron,4\ncop\0per,3\n", "铁,4\n铜\0,3\n", "a\0\0\0\0,b\n" * 3])
def test_a_nul_is_no_sign_of_utf16(tmp_path: Path, lang: str, text: str) -> None:
    assert found(tmp_path, text.encode(), lang) == "utf-8"


def test_a_nul_in_an_older_encoding(tmp_path: Path) -> None:
    assert found(tmp_path, GERMAN.encode("cp1252") + b"a\0b\n", "de") == "cp1252"
    assert found(tmp_path, SIMPLIFIED.encode("gb18030") + b"a\0b\n", "zh") == "gb18030"


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", [GERMAN, SIMPLIFIED, "name,h\niron,4\n", "上海的上面一一上上，\n" * 9, "Железо,4\n"]
)
def test_utf16_and_utf32_without_a_mark(tmp_path: Path, text: str, order: str) -> None:
    assert found(tmp_path, text.encode(order), "und") == order


@pytest.mark.parametrize(
    "written", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "gb18030"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_in_any_encoding(tmp_path: Path, written: str, end: str) -> None:
    path = tmp_path / "a.jsonl"
    rows = ['{"a": "铁的熔点"}', '{"a": "锡"}']
    path.write_bytes(end.join([*rows, ""]).encode(written))
    setting = "auto" if written in ("utf-16-le", "gb18030") else "utf-8"
    assert [line.raw.strip() for line in lines_of(path, setting, "zh")] == rows
    assert [line.number for line in lines_of(path, setting, "zh")] == [1, 2]


def test_a_byte_order_mark_before_each_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes("\ufeff{}\n\ufeff\ufeff[]\n".encode() + b"\xff\n")
    found_lines = [(line.number, line.text) for line in lines_of(path, "utf-8", "en")]
    assert found_lines == [(1, "{}\n"), (2, "[]\n"), (3, None)]


@needs_shared
@pytest.mark.parametrize(
    ("path", "lang", "name"),
    [
        ("messy_tables/utf-16le_encoded.csv", "en", "utf-16"),
        ("messy_tables/utf8bom.csv", "en", "utf-8"),
        ("messy_tables/spanish_chars.csv", "es", "cp1252"),
        ("messy_tables/spanish_chars.csv", "und", "cp1252"),
        ("messy_tables/simple.csv", "en", "utf-8"),
        ("zh_medical_dialogue/internal_medicine_gbk.csv", "zh", "gb18030"),
        ("zh_medical_dialogue/internal_medicine_gbk.csv", "und", "gb18030"),
    ],
)
def test_real_files(path: str, lang: str, name: str) -> None:
    assert detected(SHARED / path, lang) == name


@pytest.mark.parametrize(
    ("setting", "encoding"),
    [("latin-1", "cp1252"), ("ascii", "cp1252"), ("gb2312", "gb18030"), ("cp1250", "cp1250")],
)
def test_a_narrow_setting_is_read_as_its_wider_form(
    tmp_path: Path, setting: str, encoding: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"iron\nprice 5 \x80\n")
    assert resolved(setting, path, "en") == encoding


def test_utf8_that_is_said_to_be_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"iron\n" + "K\u00e4se\n".encode())
    with pytest.raises(InputError, match=r"is UTF-8, and `encoding` says latin-1; set .*utf-8"):
        resolved("latin-1", path, "de")
    # A letter or two of another script may be valid UTF-8 by chance.
    path.write_bytes(b"iron\n" + "\u5b66\n".encode("gbk"))
    assert resolved("gbk", path, "zh") == "gb18030"
    path.write_bytes("\u94c1\u662f\u4e00\u79cd\u575a\u786c\u7684\u7070\u8272\u91d1\u5c5e".encode())
    with pytest.raises(InputError, match="every character beyond ASCII is UTF-8"):
        resolved("gbk", path, "zh")
