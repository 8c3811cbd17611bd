"""ask: the answer is the model's alone, the fact and its sources come from the records; whatever is missing is named."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lore.__main__ import BROKEN_PIPE, main
from lore.commands import ask
from lore.versions.dvc_cache import hash_of
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.variants import NAMES, folders_here
from stages.core.project import artifacts, runtime
from stages.core.project.params import Run
from stages.core.records.prompt import question_prompt
from stages.core.records.record import fact_id, record_id, write

ROOT = Path(__file__).parents[3]
MODELS = folders_here()
RECORDS, WORDINGS = Path(artifacts.CLEAN_RECORDS), Path(artifacts.TRAINING_RECORDS)
QUESTION = "At what temperature does iron melt?"
FACT = fact_id("iron", "melting point")


def stated(
    source: str, locator: str, value: str, attribute: str = "melting point"
) -> dict[str, object]:
    """A fact about iron as clean writes it."""
    return {
        "id": record_id(source, locator), "source": source, "locator": locator, "kind": "fact", "text": f"iron {value}",
        "subject": "iron", "attribute": attribute, "value": value, "unit": "°C", "fact": fact_id("iron", attribute),
    }  # fmt: skip


def asked(question: str, attribute: str) -> dict[str, object]:
    """A question about iron as augment writes it."""
    return stated("augment", question, "1538", attribute) | {
        "kind": "qa",
        "question": question,
        "answer": "…",
    }


@pytest.fixture
def project(
    tiny_model: Path,
    tiny_adapter: Path,
    tmp_path: Path,
    run_params: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The working directory, laid out as the pipeline leaves it, with the base and the tuned model."""
    for name, value in runtime.settings(run_params).items():
        monkeypatch.setenv(name, value)  # so that what `lore` settles ends with the test
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("run: {seed: 7, threads: 1, isa: avx2, device: cpu}\n")
    shutil.copytree(tiny_model, MODELS["base"]["folder"])
    shutil.copytree(tiny_adapter, MODELS["train"]["adapter"])
    sources = [
        stated("elements", "elements.sql#properties/7", "1538"),
        stated("legacy", "legacy.csv#L17", "1538.4"),
    ]
    note = stated("uses", "uses.jsonl#L1", "1") | {
        "kind": "statement",
        "text": "Iron rusts.",
        "fact": None,
    }
    write(
        RECORDS,
        [*sources, stated("elements", "elements.sql#properties/8", "2861", "boiling point"), note],
    )
    write(
        WORDINGS,
        [
            asked("When does iron melt?", "melting point"),
            asked("When does iron boil?", "boiling point"),
        ],
    )


def answer_of(variant: str) -> str:
    """What the model itself says, on one line."""
    model, tokenizer = load_causal_lm(**MODELS[variant])
    return " ".join(generate(model, tokenizer, [question_prompt(QUESTION)], 64, batch=1)[0].split())


@pytest.mark.usefixtures("project")
def test_the_models_answer_then_the_fact_and_its_sources(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", QUESTION]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        answer_of("train"),
        "! the model's answer differs from the record: for iron · melting point the records say 1538 °C",
        f"fact {FACT}: iron · melting point · 1538 °C",
        "  source elements: elements.sql#properties/7",
        "  source legacy: legacy.csv#L17",
    ]
    assert said[0]


def write_limit(limit: dict[str, float]) -> None:
    """Write the limits on confidence as evaluate does."""
    path = Path(artifacts.EVALUATE) / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"least_confidence": limit}))


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("question", "abstention"), [(QUESTION, "I do not know."), ("铁的熔点是多少？", "我不知道。")]
)
def test_where_the_model_is_unsure_it_abstains(
    question: str, abstention: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_limit({"train": -1e-9})
    main(["ask", "--abstain", question])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == abstention
    assert re.match(
        r"! withheld, since its confidence -\d+\.\d{3} is below -0\.000 \(evaluate", said[1]
    )
    assert "differs" not in "".join(said)


@pytest.mark.usefixtures("project")
def test_where_the_model_is_sure_enough_it_answers(capsys: pytest.CaptureFixture[str]) -> None:
    write_limit({"train": -1e9})
    assert main(["ask", "--abstain", QUESTION]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == answer_of("train")
    assert "withheld" not in "".join(said)


@pytest.mark.usefixtures("project")
def test_without_a_limit_it_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--abstain", QUESTION]) == 1
    assert "dvc repro evaluate chooses one" in capsys.readouterr().err
    write_limit({"distill": -0.1})
    assert main(["ask", "--abstain", QUESTION]) == 1
    assert "has no limit on confidence for this variant" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("other", [["--retrieve"], ["--registered", "models:/m/1"]])
def test_a_limit_is_that_of_a_variants_own_answer(
    other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "--abstain", *other, QUESTION]) == 1
    assert f"leave {other[0]} out, or --abstain" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("answer", "stated"),
    [
        ("The melting point of iron is 1538 °C.", True),
        ("1538.", True),
        ("Iron melts at 1538.4 °C, says an old table.", True),
        ("The melting point of iron is 2913 °C.", False),
        ("The melting point of iron is 11538 °C.", False),
        ("The melting point of iron is 1538 K.", False),
        ("铁的熔点是1538 °C。", True),
    ],
)
def test_an_answer_that_differs_from_the_records_is_marked(
    answer: str, stated: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ask, "answers", lambda questions, _: [answer] * len(questions))
    assert main(["ask", QUESTION]) == 0
    said = capsys.readouterr().out.splitlines()
    marked = [line for line in said if line.startswith("!")]
    warning = "! the model's answer differs from the record: for iron · melting point the records say 1538 °C"
    assert marked == ([] if stated else [warning])
    assert said[0] == answer
    assert f"fact {FACT}: iron · melting point · 1538 °C" in said


@pytest.mark.usefixtures("project")
def test_a_question_about_nothing_known_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Who are you, iron?"]) == 3
    answer, last = capsys.readouterr().out.splitlines()
    assert answer
    assert last == "! no fact of the records matches the question, so no source supports the answer"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("folder", [RECORDS.parent, WORDINGS.parent, Path("data")])
def test_without_the_records_the_answer_is_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ask", QUESTION])
    before = capsys.readouterr().out.splitlines()[0]
    shutil.rmtree(folder)
    assert main(["ask", QUESTION]) == 3
    missing = "data/clean and data/augment" if folder == Path("data") else str(folder)
    assert capsys.readouterr().out.splitlines() == [
        before,
        f"no fact matched: {missing} not here (dvc checkout brings them back)",
    ]


@pytest.mark.usefixtures("project")
def test_the_answer_comes_from_the_weights(capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    answers = {}
    weights = MODELS["train"]["adapter"] / "adapter_model.safetensors"
    for state in ("tuned", "zeroed"):
        for variant in ("train", "base"):
            assert main(["ask", QUESTION, "--model", variant]) == 0
            answers[state, variant] = capsys.readouterr().out.splitlines()[0]
        save_file(
            {name: tensor * 0 for name, tensor in load_file(weights).items()},
            weights,
            metadata={"format": "pt"},
        )
    assert answers["tuned", "train"] != answers["zeroed", "train"]
    assert answers["zeroed", "train"] == answers["zeroed", "base"] == answers["tuned", "base"]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("variant", ["distill", "quantize", "quantize_train"])
def test_a_model_that_is_not_there_says_how_to_get_it(
    variant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", QUESTION, "--model", variant]) == 1
    said = capsys.readouterr()
    folder = MODELS[variant]["folder"]
    assert said.out == ""
    assert (
        said.err
        == f"ModelError: {folder}: no safetensors here; make it with `dvc repro` or fetch it with `dvc pull`\n"
    )


@pytest.mark.usefixtures("project")
def test_an_adapter_that_is_not_there_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.rmtree(MODELS["train"]["adapter"])
    assert main(["ask", QUESTION]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert (
        said
        == "ModelError: models/train/adapter: no adapter here; make it with `dvc repro train` or fetch it with `dvc pull`"
    )


def test_a_folder_outside_of_any_project_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ask", QUESTION]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"InputError: {tmp_path}: no project here, and in no folder above")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: command"),
        (["tell", QUESTION], "invalid choice: 'tell'"),
        (["ask"], "required: question"),
        (["ask", QUESTION, "--model", "teacher"], "invalid choice: 'teacher'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "taught"),
    [
        (
            ["--help"],
            [
                "git checkout",
                "dvc repro",
                'Example: lore ask "At what temperature does iron melt?"',
            ],
        ),
        (
            ["ask", "--help"],
            ["in quotes", "Exit code 0 with a fact, 3 where no fact matches", *NAMES],
        ),
    ],
)
def test_help_teaches(
    arguments: list[str], taught: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(arguments)
    said = " ".join(capsys.readouterr().out.split())
    assert [
        piece for piece in taught if not re.search(rf"(?<!\w){re.escape(piece)}(?!\w)", said)
    ] == []


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_reader_that_has_seen_enough_gets_no_traceback() -> None:
    command = [sys.executable, "-m", "lore", "ask", QUESTION]
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asked:
        assert asked.stdout
        assert asked.stderr
        asked.stdout.close()
        said = asked.stderr.read().decode()
    assert "Traceback" not in said
    assert asked.returncode == BROKEN_PIPE


def lock_everything() -> None:
    """Write a dvc.lock that has the hashes of what lies here."""
    stages = {}
    for path in ("data/clean", "data/augment", artifacts.BASE, artifacts.TRAIN):
        stages[path] = {"cmd": "x", "outs": [{"path": path, "md5": hash_of(Path(path))}]}
    with Path("dvc.lock").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, stream)


@pytest.mark.usefixtures("project")
def test_nothing_is_said_where_everything_is_as_in_the_lock(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lock_everything()
    assert main(["ask", QUESTION]) == 0
    assert "not as in dvc.lock" not in capsys.readouterr().out


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("path", "folder"),
    [
        (MODELS["base"]["folder"] / "model.safetensors", artifacts.BASE),
        (MODELS["base"]["folder"] / "tokenizer.json", artifacts.BASE),
        (MODELS["base"]["folder"] / "config.json", artifacts.BASE),
        (MODELS["train"]["adapter"] / "adapter_model.safetensors", artifacts.TRAIN),
        (RECORDS, artifacts.CLEAN),
        (WORDINGS, artifacts.AUGMENT),
    ],
)
def test_a_flipped_bit_is_named_and_never_a_traceback(
    capsys: pytest.CaptureFixture[str], path: Path, folder: str
) -> None:
    lock_everything()
    whole = path.read_bytes()
    rng = random.Random(3)
    for position in (0, 1, 3, 9, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(3))):
        content = bytearray(whole)
        content[position] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(content))
        code = main(["ask", QUESTION])
        said = capsys.readouterr()
        assert code in (0, 1, 3)
        if code == 1:
            assert said.err.startswith(("ModelError: ", "InputError: "))
            assert folder in said.err
        else:
            assert f"! on disk, not as in dvc.lock: {folder}; dvc checkout --force" in said.out


@pytest.mark.usefixtures("project")
def test_control_sequences_of_an_answer_do_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ask, "answers", lambda questions, _: ["\x1b[2J iron\u202e"])
    assert main(["ask", QUESTION]) == 0
    assert capsys.readouterr().out.startswith("\\x1b[2J iron\\u202e\n")


@pytest.mark.usefixtures("project")
def test_the_records_answer_before_the_model_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--retrieve", QUESTION]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "iron 1538",
        f"from the records, by the words of the question; the model (train) differs: {answer_of('train')}",
        f"fact {FACT}: iron · melting point · 1538 °C",
        "  source elements: elements.sql#properties/7",
        "  source legacy: legacy.csv#L17",
    ]


@pytest.mark.usefixtures("project")
def test_retrieve_says_where_the_model_agrees(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "answer_to", lambda *_: "It melts at 1538 °C.")
    assert main(["ask", "--retrieve", QUESTION, "--model", "base"]) == 0
    assert "by the words of the question; the model (base) agrees\n" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_retrieve_needs_no_model_and_no_wordings(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("models")
    shutil.rmtree("data/augment")
    assert main(["ask", "--retrieve", "What is the boiling point of iron?"]) == 0
    said = capsys.readouterr().out
    assert "iron 2861" in said
    assert "from the records, by the words of the question; the model was not asked: " in said


@pytest.mark.usefixtures("project")
def test_retrieve_without_an_index_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--retrieve", "Does it rust?"]) == 1
    assert "models/index/manifest.json: not found; run dvc repro index" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("least", "code"), [(0.5, 0), (0.9, 3)])
def test_a_text_of_the_index_answers_or_is_not_near_enough(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, least: float, code: int
) -> None:
    from lore.retrieval import search
    from stages.core.records.record import read
    from stages.core.retrieval.finding import Found

    note = next(row for row in read(RECORDS) if not row["fact"])

    def found(*arguments: object) -> tuple[Found, str]:
        rows = [note] if least < 0.8 else []
        return Found(rows, "meaning", 0.8, note), ""

    monkeypatch.setattr(search, "find", found)
    assert main(["ask", "--retrieve", "--least", str(least), "Does it rust?"]) == code
    said = capsys.readouterr().out.splitlines()
    if code == 0:
        assert said == [
            "Iron rusts.",
            "from the index, cosine 0.80; a text states no single value, so the model is not compared",
            f"record {note['id']}",
            "  source uses: uses.jsonl#L1",
        ]
    else:
        assert said == [
            "I do not know: no record is near enough to the question.",
            "  nearest record, cosine 0.80 of the 0.9 needed: Iron rusts.",
        ]


@pytest.mark.usefixtures("project")
def test_retrieve_says_where_another_version_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lore.retrieval import search
    from stages.core.retrieval.finding import Found

    remark = "! the version that dvc.lock records answers, since here \x1b[2J"
    monkeypatch.setattr(search, "find", lambda *_: (Found([], "meaning", 0.0), remark))
    assert main(["ask", "--retrieve", "Does it rust?"]) == 3
    assert capsys.readouterr().out.splitlines() == [
        remark.replace("\x1b", "\\x1b"),
        "I do not know: no record is near enough to the question.",
    ]


def test_a_limit_outside_the_cosines_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ask", "--retrieve", "--least", "3", "Does it rust?"])
    assert "3 is no cosine; write a number from -1 to 1" in capsys.readouterr().err
