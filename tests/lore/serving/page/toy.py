"""A toy project with two releases whose sources are real files, and a served application without a model."""

import wave
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from lore.serving.access import Access
from lore.serving.app import make_app
from lore.serving.gate import Gate
from lore.serving.generations import Generation, Generations
from lore.serving.knowledge import Knowledge
from lore.serving.metrics import Metrics
from lore.serving.reading import Reader
from lore.serving.schemas import VersionInfo
from lore.serving.settings import Limits, Settings
from tests.lore.knowledge import Project, Row, answer, fact
from tests.lore.serving.fakes import FakeEngine, LetterTokenizer

OLD, NEW = "knowledge@v1.0.0", "knowledge@v1.1.0"
QUESTION = "What is the melting point of iron?"
CHINESE = "铁的熔点是多少？"
EVIL = '<img src=x onerror="window.hit=1"><script>window.hit=1</script><b>bold</b>'
EVIL_QUESTION = "What is the melting point of xenium?"
SAID = {
    QUESTION: "The melting point of iron is 1538 °C.",
    "What is the melting point of gold?": "The melting point of gold is 1 °C.",
    CHINESE: "铁的熔点是1538 °C。",
    EVIL_QUESTION: EVIL,
    "Who are you?": "I do not know.",
}
LINES = ["subject;melting point", "iron;1538", "gold;1064", "铁;1538", f"xenium;{EVIL}"]
BOX = (40, 30, 260, 70)
"""The line of the scan, in pixels."""


def located(row: Row, locator: str) -> Row:
    """A record with the locator that leads into a file of the toy project."""
    made = fact(
        row["subject"], row["value"], row["unit"], row["attribute"], source="facts", locator=locator
    )
    return made | {"text": row["text"]}


IRON_BEFORE = located(fact("iron", "1583"), "facts.csv#L2")
IRON = located(fact("iron", "1538"), "facts.csv#L2")
GOLD = located(fact("gold", "1064"), "facts.csv#L3")
CHINESE_IRON = located(fact("铁", "1538", attribute="熔点"), "facts.csv#L4")
XENIUM = located(fact("xenium", EVIL, None) | {"text": EVIL}, "facts.csv#L5")
TIN = located(fact("tin", "232"), "scan.png#L1@40,30,260,70")
LEAD = located(fact("lead", "327"), "talk.wav#t=0.5,1.5")
ZINC = located(fact("zinc", "420"), "tree.json#/entries/0/melting")
SILVER = located(fact("silver", "962"), "tree.xml#/sheets/sheet[2]")
COPPER = located(fact("copper", "1085"), "dump.sql#properties/2")
LOST = located(fact("radium", "700"), "gone.csv#L1")
RECORDS = [IRON, GOLD, CHINESE_IRON, XENIUM, TIN, LEAD, ZINC, SILVER, COPPER, LOST]


def write_sources(raw: Path, iron: str) -> None:
    """Write the raw files of a version."""
    lines = [line.replace("iron;1538", f"iron;{iron}") for line in LINES]
    (raw / "facts.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (raw / "tree.json").write_text('{"entries": [{"name": "zinc", "melting": 420}]}')
    (raw / "tree.xml").write_text("<sheets><sheet>tin</sheet><sheet>silver 962</sheet></sheets>")
    (raw / "dump.sql").write_text(
        "INSERT INTO other VALUES (2, 'no');\nINSERT INTO properties VALUES (1, 'a');\n"
        "INSERT INTO properties VALUES (2, 'copper');\n"
    )
    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).text((45, 40), "tin: melting point 232", fill="black")
    picture.save(raw / "scan.png")
    with wave.open(str(raw / "talk.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes([128]) * 16_000)
    (raw / "feedback.jsonl").touch()


def make_project(root: Path) -> Project:
    """A project with the releases OLD and NEW. NEW is here."""
    made = Project(root)
    for name, text in (("user.name", "Ada"), ("user.email", "ada@example.org")):
        made.git("config", name, text)
    write_sources(root / "data/raw", "1583")
    before = [IRON_BEFORE, GOLD]
    made.version(OLD, before, [answer(row) for row in before])
    write_sources(root / "data/raw", "1538")
    answers = [answer(IRON), answer(GOLD, "The melting point of gold is 1 °C.")]
    made.version(NEW, RECORDS, answers)
    return made


def generation_of(root: Path, name: str, commit: str, said: Mapping[str, str] = SAID) -> Generation:
    """A generation whose records lie below `root`, with an engine that says what a table says."""
    tag = name if name.startswith("knowledge@") else None
    info = VersionInfo(name=name, tag=tag, commit=commit, identity="1" * 64, generation=1)
    tokenizer = LetterTokenizer()
    return Generation(
        version=info,
        variant="train",
        engine=FakeEngine(said),
        tokenizer=tokenizer,
        reader=Reader(tokenizer, root),
        knowledge=Knowledge(root, 1, 0.5),
        context=256,
    )


def make_served(
    root: Path,
    tokens: Mapping[str, str] | None = None,
    feedback: bool = True,
    candidate: Generation | None = None,
    **limits: Any,
) -> Gate:
    """The application that serves NEW of a project."""
    commit = project_at(root).git("rev-parse", NEW).strip()
    # A candidate for every caller: what the page shows must not depend on who is drawn.
    generations = Generations(generation_of(root, NEW, commit), candidate, share=1.0)
    settings = Settings(feedback=feedback, limits=replace(Limits(), **limits))
    return make_app(generations, settings, Access(tokens or {}), Metrics())


def project_at(root: Path) -> Project:
    """The project that lies in a folder already."""
    made = Project.__new__(Project)
    made.root = root
    return made
