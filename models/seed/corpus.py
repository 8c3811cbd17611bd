"""The seed model's corpus: English glosses and facts about invented entities; nothing of any real domain.

In: `kinds.yaml` (kinds, attributes, wordings), `openings.yaml` (further questions of openings), `excluded_words.txt`
(names of the domain), WordNet 3.0. Out:
`corpus.jsonl` (`{"id", "text"}`, the training texts; ids begin with f for facts, g for glosses, o for
openings, which also have their `question` with a {subject} slot),
`replay.jsonl` (a part of them, for later replay), `skill.jsonl` (one question per invented fact, in a wording that this
fact was not trained with) and `corpus.json` (counts). Run by DVC: `python corpus.py <wordnet folder> <corpus.jsonl>
<corpus.json>`.

Refused: a gloss whose word or text names a domain word; an invented name that is an English or a domain word.
"""

import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
CONSONANTS = "b c d f g k l m n p r s t v z br dr gr kr pl st tr th sh qu".split()
VOWELS = "a e i o u ai ea io ou".split()
SUFFIXES = {
    "substance": "ium ite ane ol ix ide one".split(),
    "place": "burg ford dale mouth stad field ville".split(),
    "illness": "itis osis emia pox".split(),
}
CATEGORIES = [
    "soft ore",
    "pale salt",
    "bright glass",
    "slow resin",
    "heavy vapour",
    "dark earth",
    "woody oil",
    "clear wax",
]
USES = (
    "roof tiles,candle wicks,boat varnish,window frames,drum skins,fishing nets,tooth powder,garden paths,violin bows,"
    "writing ink,wool dye,lamp shades,kite strings,floor polish,bread ovens,saddle soap,puppet heads,tea boxes,"
    "organ pipes,stage masks,well ropes,umbrella ribs,book covers,chess pieces,hat felt,barrel hoops,mirror frames,"
    "cheese moulds,sail cloth,clock faces,rain coats,ski wax,brush handles,model trains,desk lamps,paper fans"
).split(",")
PROFESSIONS = (
    "baker,miller,weaver,potter,sailor,surveyor,gardener,printer,tailor,carpenter,shepherd,teacher,clerk,mason,"
    "cook,fisher,glazier,tanner,notary,piper,brewer,ferryman,binder,roofer"
).split(",")
CLIMATES = ["dry and windy", "mild and wet", "cold and foggy", "hot and still", "cool and rainy", "bright and frosty"]
COLOURS = "pale blue,dark green,deep red,light grey,matt black,cream white,warm brown,bright orange".split(",")
SYMPTOMS = (
    "a stiff neck,itching palms,a dry cough,blurred sight,cold feet,ringing ears,sore gums,swollen knees,"
    "a hoarse voice,trembling hands,aching shoulders,pale lips,short breath,night sweats,loss of taste"
).split(",")
REMEDIES = (
    "warm broth,bed rest,salt baths,honey water,steam baths,cold wraps,mint tea,long walks,lemon juice,ginger syrup,"
    "barley soup,fresh air,mud packs,willow tea,camphor oil"
).split(",")
CARRIERS = "wet straw,field mice,marsh flies,old wells,stray cats,raw milk,damp walls,river fish,barn owls,sea birds".split(",")


ACCENTED = {
    "a": "áàâäãåāăą",
    "c": "çćč",
    "e": "éèêëēęě",
    "g": "ğ",
    "i": "íìîïī",
    "l": "ł",
    "n": "ñńň",
    "o": "óòôöõøőō",
    "r": "ř",
    "s": "śšş",
    "u": "úùûüůűū",
    "y": "ýÿ",
    "z": "źżž",
}
"""Letters of names, with the accents that they may bear."""
ACCENTED_SHARE = 0.2
"""Share of the words in names of people and places that bear an accent."""
DOUBLE_SHARE = 0.1
"""Share of given names that are two with a hyphen, and of family names with a particle before them."""
PARTICLES = ["de", "von", "van", "da", "af"]


class Names:
    """Makes invented names, each once, none of them an English or a domain word."""

    def __init__(self, rng: random.Random, taken: set[str]) -> None:
        """`taken` holds lower-case words no name may equal; it grows with every name made."""
        self.rng, self.taken = rng, taken

    def word(self, syllables: tuple[int, int], suffix: str = "") -> str:
        """One new lower-case word. Raises RuntimeError where no more can be made."""
        for _ in range(10_000):
            count = self.rng.randint(*syllables)
            stem = "".join(self.rng.choice(CONSONANTS) + self.rng.choice(VOWELS) for _ in range(count))
            word = stem + (suffix if not suffix or suffix[0] not in "aeiou" else self.rng.choice("bdlmnrtv") + suffix)
            if word not in self.taken:
                self.taken.add(word)
                return word
        raise RuntimeError(f"no new name of {syllables} syllables is left; lower corpus.openings or the counts of kinds.yaml")

    def person(self) -> str:
        """An invented given and family name."""
        given = self.accented(self.word((1, 2))).capitalize()
        if self.rng.random() < DOUBLE_SHARE:
            given += f"-{self.accented(self.word((1, 2))).capitalize()}"
        ending = self.rng.choice(["n", "r", "s", "l", "k", ""])
        family = self.accented(self.word((1, 3)) + ending).capitalize()
        if self.rng.random() < DOUBLE_SHARE:
            family = f"{self.rng.choice(PARTICLES)} {family}"
        return f"{given} {family}"

    def accented(self, word: str) -> str:
        """The word, or with a chance of ACCENTED_SHARE the word with an accent on one of its letters."""
        places = [place for place, letter in enumerate(word) if letter in ACCENTED]
        if not places or self.rng.random() >= ACCENTED_SHARE:
            return word
        place = self.rng.choice(places)
        letter = self.rng.choice(ACCENTED[word[place]])
        return word[:place] + letter + word[place + 1 :]

    def of_kind(self, kind: str) -> str:
        """An invented name fitting the kind of thing."""
        suffix = self.rng.choice(SUFFIXES.get(kind, [""]))
        if kind == "substance":
            return self.word((1, 3), suffix)
        if kind == "person":
            return self.person()
        if kind == "product":
            return f"{self.word((2, 2)).capitalize()} {self.rng.randint(2, 99) * 10}"
        if kind == "place":
            return self.accented(self.word((1, 2), suffix)).capitalize()
        return self.word((1, 2), suffix)


def number(rng: random.Random, low: float, high: float) -> str:
    """A number of four significant digits, skewed towards small ones, as the domain writes them."""
    value = low + (high - low) * rng.random() ** 2
    return f"{float(f'{value:.4g}'):g}" if abs(value) < 1000 else f"{value:.0f}"


def value_of(attribute: str, rng: random.Random, names: Names, people: list[str]) -> str:
    """A random value of the attribute, unit included."""
    makers = {
        "symbol": lambda: rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + rng.choice(["", *"abcdefghiklmnoprstuvy"]),
        "atomic number": lambda: str(rng.randint(1, 130)),
        "category": lambda: rng.choice(CATEGORIES),
        "state": lambda: rng.choice(["solid", "liquid", "gas"]),
        "molar mass": lambda: f"{number(rng, 1, 300)} g/mol",
        "melting point": lambda: f"{number(rng, -250, 3600)} °C",
        "boiling point": lambda: f"{number(rng, -250, 5600)} °C",
        "density": lambda: f"{number(rng, 0.05, 22)} g/cm³",
        "discovery year": lambda: str(rng.randint(1650, 2015)),
        "discoverer": lambda: rng.choice(people),
        "use": lambda: rng.choice(USES),
        "birth year": lambda: str(rng.randint(1650, 2015)),
        "home town": lambda: names.of_kind("place"),
        "profession": lambda: rng.choice(PROFESSIONS),
        "height": lambda: f"{rng.randint(140, 210)} cm",
        "teacher": lambda: rng.choice(people),
        "population": lambda: str(rng.randint(100, 99999)),
        "founding year": lambda: str(rng.randint(800, 1990)),
        "elevation": lambda: f"{rng.randint(-50, 4000)} m",
        "mayor": lambda: rng.choice(people),
        "climate": lambda: rng.choice(CLIMATES),
        "price": lambda: f"{number(rng, 1, 3000)} crowns",
        "weight": lambda: f"{number(rng, 0.1, 90)} kg",
        "maker": lambda: names.word((2, 3)).capitalize() + rng.choice([" & Sons", " Works", " Ltd", ""]),
        "colour": lambda: rng.choice(COLOURS),
        "launch year": lambda: str(rng.randint(1950, 2024)),
        "symptom": lambda: rng.choice(SYMPTOMS),
        "incubation": lambda: f"{rng.randint(2, 60)} {rng.choice(['hours', 'days'])}",
        "remedy": lambda: rng.choice(REMEDIES),
        "carrier": lambda: rng.choice(CARRIERS),
        "fever": lambda: f"{rng.randint(371, 419) / 10} °C",
    }
    return makers[attribute]()


def fill(template: str, **slots: str) -> str:
    """Fill a wording and begin it with a capital letter."""
    text = template.format(**slots)
    return text[:1].upper() + text[1:]


def wordings(spec: dict[str, Any], frames: list[str], own: str) -> list[str]:
    """All wordings of one attribute: its own, and the general frames with each of its nouns."""
    return spec[own] + [frame.replace("{noun}", noun) for noun in spec["nouns"] for frame in frames]


def invented_facts(kinds: dict[str, Any], seed: int, taken: set[str]) -> Iterator[dict[str, Any]]:
    """Yield {"subject", "attribute", "value", "questions", "statements", "answer"} for every invented entity."""
    rng = random.Random(seed)
    names = Names(rng, taken)
    people = [names.person() for _ in range(120)]
    for kind, spec in kinds["kinds"].items():
        for _ in range(spec["count"]):
            subject = names.of_kind(kind)
            for attribute, words in spec["attributes"].items():
                yield {
                    "subject": subject,
                    "attribute": attribute,
                    "value": value_of(attribute, rng, names, people),
                    "answer": words["answer"],
                    "questions": wordings(words, kinds["frames"], "questions"),
                    "statements": wordings(words, kinds["statement_frames"], "statements"),
                }


def texts_of(fact: dict[str, Any], statements: int, questions: int) -> tuple[list[str], dict[str, str]]:
    """The training texts of one fact, and its test question in a wording that none of them uses."""
    rng = random.Random(f"{fact['subject']} {fact['attribute']}")
    slots = {"subject": fact["subject"], "value": fact["value"]}
    answer = fill(fact["answer"], **slots)
    drawn = rng.sample(fact["questions"], questions + 1)
    asked, held = drawn[:-1], drawn[-1]
    texts = [fill(template, **slots) for template in rng.sample(fact["statements"], statements)]
    texts += [f"Question: {fill(template, **slots)}\nAnswer: {answer}" for template in asked]
    return texts, {"question": fill(held, **slots), "answer": answer}


class Sentences:
    """Fills frames with random English words; nouns, verbs and adjectives are WordNet's, without words of the domain."""

    def __init__(
        self, rng: random.Random, kinds: dict[str, Any], further: dict[str, Any], wordnet: Path, excluded: set[str]
    ) -> None:
        """`kinds` holds frames and what fills {agent}, {thing} and {prep}; `further` is `openings.yaml`.

        Only common words fill the other slots.
        """
        self.rng, self.kinds, self.further = rng, kinds, further
        nouns = english_words(wordnet / "index.noun", excluded)
        self.words = {
            "word": common_of(nouns),
            "verb": common_of(english_words(wordnet / "index.verb", excluded)),
            "adjective": common_of(english_words(wordnet / "index.adj", excluded)),
        } | {"agent": kinds["agents"], "thing": kinds["things"], "prep": kinds["prepositions"]}
        self.rare = sorted(nouns.keys() - set(self.words["word"]))

    def question(self, attribute: str, words: dict[str, Any]) -> str:
        """The template of a question about an attribute, with {subject}.

        It is drawn with the same chance from four sources: the wordings that ask for facts, the questions of `openings.yaml` for
        this attribute, its frames for any attribute, and the frames of `kinds.yaml` whose slots random words fill. Half of the
        questions stand in a context.
        """
        source = self.rng.choice(["facts", "asked", "frames", "random words"])
        if source == "facts":
            template = self.rng.choice(wordings(words, self.kinds["frames"], "questions"))
        elif source == "asked":
            template = self.rng.choice(self.further["asked"][attribute])
        else:
            frames = self.further["frames"] if source == "frames" else self.kinds["opening_frames"]
            template = self.rng.choice(frames).replace("{noun}", self.rng.choice(words["nouns"]))
        if self.rng.random() < 0.5:
            contexts = self.rng.choice([self.kinds["opening_contexts"], self.further["contexts"]])
            template = self.rng.choice(contexts).replace("{question}", template)
        for _ in range(2):  # what fills {agent} and {thing} has slots of its own
            template = re.sub(r"\{(word|verb|adjective|agent|thing|prep)\}", self._word, template)
        return template

    def _word(self, slot: re.Match[str]) -> str:
        return self.rng.choice(self.words[slot[1]])


def openings(kinds: dict[str, Any], params: dict[str, Any], wordnet: Path, excluded: set[str]) -> Iterator[dict[str, str]]:
    """Questions about names asked once, rare English nouns among them, with the answer cut off at the value.

    Yields {"text", "question" (its template)}. A quarter of the questions stand in frames with random words, among which the
    subject must be found.
    """
    rng = random.Random(params["seed"] + 1)
    further = YAML(typ="safe").load((HERE / "openings.yaml").read_text(encoding="utf-8"))
    sentences = Sentences(rng, kinds, further, wordnet, excluded)
    names = Names(rng, {line.split()[0] for line in lines_of(wordnet / "index.noun")} | excluded)
    for _ in range(params["openings"]):
        kind = rng.choice(list(kinds["kinds"]) + ["substance"] * 3)
        attribute, words = rng.choice(list(kinds["kinds"][kind]["attributes"].items()))
        noun = kind in ("substance", "illness") and rng.random() < 0.3
        subject = rng.choice(sentences.rare) if noun else names.of_kind(kind)
        template = sentences.question(attribute, words)
        answer = fill(words["answer"].split("{value}")[0].rstrip(), subject=subject)
        yield {"text": f"Question: {fill(template, subject=subject)}\nAnswer: {answer}", "question": template}


def lines_of(path: Path) -> list[str]:
    """Lines of a file of WordNet."""
    return path.read_text(encoding="utf-8").splitlines()


def english_words(index: Path, excluded: set[str]) -> dict[str, int]:
    """Single plain words of 3 to 14 letters in an index file of WordNet, without words of the domain.

    The value is the number of its senses that occur in WordNet's tagged texts: 0 for a rare word.
    """
    found = {}
    for line in lines_of(index):
        if not line.startswith(" "):
            lemma, _, _, pointers, *fields = line.split()  # then the pointers, the senses, and the tagged senses
            if re.fullmatch(r"[a-z]{3,14}", lemma) and not words_of(lemma) & excluded:
                found[lemma] = int(fields[int(pointers) + 1])
    return found


def common_of(words: dict[str, int]) -> list[str]:
    """Those that occur in WordNet's tagged texts."""
    return sorted(word for word, senses in words.items() if senses)


def glosses(wordnet: Path, excluded: set[str]) -> tuple[list[str], int]:
    """Definitions of WordNet's nouns, verbs, adjectives and adverbs, and the number left out for a domain word."""
    kept, left_out = [], 0
    for part in ("noun", "verb", "adj", "adv"):
        for line in lines_of(wordnet / f"data.{part}"):
            if line.startswith("  "):
                continue  # the licence
            fields, gloss = line.split(" | ", 1)
            lemma = fields.split()[4].replace("_", " ").split("(")[0]
            definition = gloss.split('; "')[0].strip()  # what follows are examples of use
            lemmas = fields.split(" @ ")[0].replace("_", " ")
            if excluded & words_of(f"{lemmas} {gloss}"):
                left_out += 1
            elif len(definition) <= 100:
                kept.append(fill("{lemma}: {definition}", lemma=lemma, definition=definition))
    return kept, left_out


def words_of(text: str) -> set[str]:
    """Lower-case words of a text, and without a plural s."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return words | {word.removesuffix("s") for word in words}


def is_held_out(subject: str, one_in: int) -> bool:
    """Whether the entity is kept out of replay, by a hash of its name."""
    return hashlib.sha256(subject.encode()).digest()[0] % one_in == 0


def build(params: dict[str, Any], wordnet: Path) -> tuple[dict[str, list[dict[str, Any]]], dict[str, int]]:
    """All output rows by file stem, and the counts."""
    kinds = YAML(typ="safe").load((HERE / "kinds.yaml").read_text(encoding="utf-8"))
    lines = (HERE / "excluded_words.txt").read_text().split("\n")
    excluded = {line for line in lines if line and not line.startswith("#")}
    english = {line.split()[0] for line in lines_of(wordnet / "index.noun") if not line.startswith(" ")}
    rows: dict[str, list[dict[str, Any]]] = {"corpus": [], "replay": [], "skill": []}
    for number, fact in enumerate(invented_facts(kinds, params["seed"], english | excluded)):
        texts, test = texts_of(fact, params["statements"], params["questions"])
        held_out = is_held_out(fact["subject"], params["held_out"])
        numbered = [{"id": f"f{number:05d}.{i}", "text": text} for i, text in enumerate(texts)]
        rows["corpus"] += numbered
        # From the end: question–answer pairs first, then statements.
        rows["replay"] += [] if held_out else numbered[-params["replay_texts"] :]
        entry = {"id": f"f{number:05d}", **test, "subject": fact["subject"], "attribute": fact["attribute"]}
        rows["skill"].append({**entry, "value": fact["value"], "replayed": not held_out})
    texts, left_out = glosses(wordnet, excluded)
    chosen = random.Random(params["seed"]).sample(texts, params["glosses"])
    rows["gloss"] = [{"id": f"g{i:05d}", "text": text} for i, text in enumerate(chosen)]
    asked = openings(kinds, params, wordnet, excluded)
    rows["opening"] = [{"id": f"o{i:06d}", **row} for i, row in enumerate(asked)]
    counts = {
        "facts": len(rows["skill"]),
        "texts": len(rows["corpus"]),
        "glosses": len(rows["gloss"]),
        "openings": len(rows["opening"]),
        "glosses_left_out": left_out,
        "replay_texts": len(rows["replay"]),
    }
    return rows, counts


def main() -> None:
    """Write all files and print the counts."""
    wordnet, corpus, metrics = map(Path, sys.argv[1:])
    params = YAML(typ="safe").load((HERE / "params.yaml").read_text())["corpus"]
    rows, counts = build(params, wordnet)
    outputs = {
        corpus: rows["corpus"] + rows["gloss"] + rows["opening"],
        HERE / "replay.jsonl": rows["replay"],
        HERE / "skill.jsonl": rows["skill"],
    }
    for path, lines in outputs.items():
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines), encoding="utf-8")
    metrics.write_text(json.dumps(counts, indent=2) + "\n")
    print("\n".join(f"{name:20} {count:8,d}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
