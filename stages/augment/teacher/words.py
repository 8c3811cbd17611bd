"""Words by which the checks compare what two texts say: numbers, units, negations, directions, content words.

All functions are pure. English is compared by words, Chinese by characters.
"""

import re
from collections import Counter

from stages.augment.synonyms import FUNCTION_WORDS
from stages.core.records.record import fold

# A Chinese character.
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
# A word of letters, or of letters and digits, or a number: `melts`, `co2`, `1538`.
WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
# A number with the signs inside it, after `fold`: `1538`, `-38.83`, `1,538`, `3/4`. A minus counts where no
# letter, digit or bracket stands right before it, so that 10-20 is 10 and 20. The 3 of `cm3` is no number.
NUMBER = re.compile(
    r"(?<![\w)])(?<![a-z]\^)-?\d+(?:[.,]\d+)*|(?<![a-z\d])(?<![a-z]\^)\d+(?:[.,]\d+)*"
)
# Commas between groups of three digits: `1,538,000`.
GROUPED = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
# What stands right behind a number, up to the next blank: `°c`, `g/cm3`, `kelvin`, 克的.
BEHIND = re.compile(r"\s?([^\s\d,;()（），。；]\S{0,11})")

NUMBER_WORDS = frozenset(
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
    "million billion trillion dozen twice thrice double triple half quarter third".split()
)
"""English words that say a number. `one` and `first` mostly say none."""
# Chinese numerals. 一 is left out: it stands in many words (一般, 一种, 统一).
CHINESE_NUMBER = re.compile(r"[零〇两二三四五六七八九十百千万亿]+")
UNITS = frozenset(
    "°c °f k °k ° c f % ‰ ppm ppb kg g mg μg µg ng t lb oz km m cm mm μm µm nm pm å l ml μl dl mol mmol "
    "s ms μs ns min h hz khz mhz ghz j kj mj kcal cal ev kev mev gev w kw mw gw v kv mv a ma n kn pa kpa "
    "mpa gpa hpa bar mbar atm mmhg torr db u da kda g/cm3 kg/m3 cm2 cm3 m2 m3 g/l mg/l g/mol kg/mol m/s km/h j/mol kj/mol "
    "$ € £ ¥ ℃ percent degrees degree kelvin celsius fahrenheit grams gram kilograms kilogram milligrams "
    "milligram tonnes tonne tons ton metres metre meters meter kilometres kilometre kilometers kilometer "
    "centimetres centimetre centimeters centimeter millimetres millimetre millimeters millimeter litres "
    "litre liters liter seconds second minutes minute hours hour days day weeks week months month years "
    "year volts volt watts watt joules joule newtons newton pascals pascal hertz dollars dollar euros euro "
    "pounds pound yuan "
    "度 克 千克 公斤 吨 米 厘米 毫米 千米 公里 升 毫升 秒 分钟 小时 天 日 周 月 年 "
    "元 美元 伏 瓦 焦 牛 帕 摩尔 个 人 名 岁".split()
)
"""Units, folded. What else stands behind a number is no unit."""

NEGATIONS = frozenset(
    "not no never none neither nor without cannot nothing nobody nowhere hardly barely scarcely lacks "
    "lack lacking absent fails fail except".split()
)
CHINESE_NEGATION = re.compile(r"[不没未无非勿莫否]|别")
# Chinese words that hold a sign of negation and negate nothing.
NO_NEGATION = re.compile(
    r"非常|不同|不仅|不但|不过|无论|是否|除非|不断|不少|未来|别的|特别|区别|分别|类别|级别|性别|非洲|无机"
)

OPPOSITES: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("more", "less"),
        ("most", "least"),
        ("higher", "lower"),
        ("highest", "lowest"),
        ("high", "low"),
        ("larger", "smaller"),
        ("largest", "smallest"),
        ("greater", "lesser"),
        ("increase", "decrease"),
        ("increases", "decreases"),
        ("increased", "decreased"),
        ("increased", "reduced"),
        ("increases", "reduces"),
        ("before", "after"),
        ("above", "below"),
        ("over", "under"),
        ("minimum", "maximum"),
        ("always", "never"),
        ("all", "some"),
        ("safe", "dangerous"),
        ("safe", "unsafe"),
        ("toxic", "harmless"),
        ("hot", "cold"),
        ("hotter", "colder"),
        ("heavier", "lighter"),
        ("faster", "slower"),
        ("longer", "shorter"),
        ("older", "younger"),
        ("early", "late"),
        ("earlier", "later"),
        ("better", "worse"),
        ("with", "without"),
        ("positive", "negative"),
        ("soluble", "insoluble"),
        ("stable", "unstable"),
        ("north", "south"),
        ("east", "west"),
        ("left", "right"),
    ),
    "zh": (
        ("多", "少"),
        ("高", "低"),
        ("大", "小"),
        ("长", "短"),
        ("快", "慢"),
        ("重", "轻"),
        ("冷", "热"),
        ("增加", "减少"),
        ("升高", "降低"),
        ("上升", "下降"),
        ("之前", "之后"),
        ("以前", "以后"),
        ("以上", "以下"),
        ("最多", "最少"),
        ("安全", "危险"),
        ("有毒", "无毒"),
        ("阳性", "阴性"),
        ("南", "北"),
        ("东", "西"),
        ("左", "右"),
    ),
}
"""Words that turn a statement round."""
QUESTION_WORDS = frozenset(
    "what which who whom whose when where why how many much does did can could would should is are was were "
    "has have had will shall may might must the and for not but its it's this that these those there here "
    "you your they their them she her his him our ours who's what's please tell name give say know called".split()
)
"""English words that say nothing about what is asked for."""
ENGLISH = frozenset(
    QUESTION_WORDS
    | FUNCTION_WORDS
    | set("a an of in on at by to as be or if so it i me my we do with from up out about".split())
)
"""English function words, by which English is told from other languages in Latin letters."""
CONNECTING = frozenset(
    "的了是在于为和与及或就也都而之以其由从到对把被会能可这那个们吗呢吧啊着过它他她"
)
"""Chinese characters that connect words and say little."""
SHARED_BEGINNING = 4
"""Letters that two forms of one word share at the least: melt, melts, melting."""


def words_of(text: str) -> list[str]:
    """Return the words of a text, folded. Chinese characters stay together, as no space parts them."""
    return WORD.findall(fold(text).replace("’", "'"))


def numbers_of(text: str) -> set[str]:
    """Return the numbers of a text in one form: without commas between thousands, without zeros at the end."""
    return {plain(match[0]) for match in NUMBER.finditer(folded_numbers(text))}


def folded_numbers(text: str) -> str:
    """Return a text folded, with one kind of minus."""
    return fold(text).replace("−", "-").replace("–", "-")


def plain(number: str) -> str:
    """Return a number in one form: `1,538.0` gives `1538`. A decimal comma becomes a point."""
    if GROUPED.fullmatch(number):
        number = number.replace(",", "")
    number = number.replace(",", ".")
    if number.count(".") == 1:
        number = number.rstrip("0").rstrip(".")
    return number


def quantities_of(text: str) -> Counter[tuple[str, str]]:
    """Return how often each number stands in a text, with the unit right behind it, or with ""."""
    folded = folded_numbers(text)
    found: Counter[tuple[str, str]] = Counter()
    for match in NUMBER.finditer(folded):
        behind = BEHIND.match(folded, match.end())
        unit = unit_at_beginning(behind[1].replace("^", "")) if behind else ""
        found[plain(match[0]), unit] += 1
    return found


def unit_at_beginning(text: str) -> str:
    """Return the longest unit that a text begins with, or "". 克的 begins with 克, but `metal` not with m."""
    for end in range(len(text), 0, -1):
        unit = text[:end]
        goes_on = text[end : end + 1].isascii() and text[end : end + 1].isalnum()
        is_latin = unit[-1].isascii() and unit[-1].isalpha()
        if unit in UNITS and not (goes_on and is_latin):
            return unit
    return ""


def number_words_of(text: str) -> set[str]:
    """Return the words of a text that say a number, in English and Chinese."""
    said = set(words_of(text)) & NUMBER_WORDS
    return said | set(CHINESE_NUMBER.findall(text))


def negations_in(text: str) -> int:
    """Return the number of negations in a text, in English and Chinese."""
    count = 0
    for word in words_of(text):
        if word in NEGATIONS or word.endswith("n't"):
            count += 1
    return count + len(CHINESE_NEGATION.findall(NO_NEGATION.sub("", text)))


def turned_round(text: str, source: str, language: str) -> str:
    """Return a word of the text whose opposite, and not itself, stands in the source. "" where there is none."""
    if language == "zh":
        for pair in OPPOSITES["zh"]:
            for word, opposite in (pair, pair[::-1]):
                if word in text and word not in source and opposite in source:
                    return word
        return ""
    said = set(words_of(text))
    known = set(words_of(source))
    for pair in OPPOSITES["en"]:
        for word, opposite in (pair, pair[::-1]):
            if word in said and word not in known and opposite in known:
                return word
    return ""


def content_of(text: str, language: str) -> list[str]:
    """Return what a text is about: content words, or in Chinese pairs of neighbouring characters."""
    if language == "zh":
        found = []
        for run in re.findall(r"[\u3400-\u9fff]+", text):
            found += [run[start : start + 2] for start in range(len(run) - 1)]
        return found + [word for word in words_of(text) if not HAN.search(word)]
    return [word for word in words_of(text) if len(word) > 2 and word not in ENGLISH]


def told_by(text: str, language: str) -> list[str]:
    """Return the parts of an answer that its support must have: content words, in Chinese characters.

    In Chinese, pairs of characters would find fault with every place where two words meet anew.
    """
    if language != "zh":
        return content_of(text, language)
    found = [character for character in text if HAN.match(character)]
    found = [character for character in found if character not in CONNECTING]
    return found + [word for word in words_of(text) if not HAN.search(word)]


def share_found(parts: list[str], source: list[str]) -> float:
    """Return the share of content words that stand in the source, in any form. 1 where there are none."""
    if not parts:
        return 1.0
    known = set(source)
    beginnings = {word[:SHARED_BEGINNING] for word in known if len(word) >= SHARED_BEGINNING}
    found = 0
    for word in parts:
        same_beginning = len(word) >= SHARED_BEGINNING and word[:SHARED_BEGINNING] in beginnings
        # A number or a symbol has no other forms.
        has_forms = word.isalpha() and not HAN.search(word)
        if word in known or (same_beginning and has_forms):
            found += 1
    return found / len(parts)


def stands_in(name: str, text: str) -> bool:
    """Return whether a name stands in a text: as whole words, in Chinese as these characters."""
    wanted = fold(name)
    folded = fold(text)
    if not wanted:
        return False
    if HAN.search(wanted):
        return wanted in folded
    return re.search(rf"(?<![^\W_]){re.escape(wanted)}(?![^\W_])", folded, re.ASCII) is not None
