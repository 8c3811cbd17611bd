"""params: every mistake of a section in one message, each with its key path and, if unknown, the nearest name.

params.yaml states every setting, and a setting that is missing there has its default.
"""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from pydantic.dataclasses import dataclass

from stages import STAGES
from stages.core.project.errors import ParamsError
from stages.core.project.params import STRICT, Run, load, parse, read_section, read_yaml

ROOT = Path(__file__).parents[3]
OWN = ("extract", "clean", "augment", "evaluate", "register")
"""Stages with settings of this project: its sources, attributes, their wordings and tolerances, and gates."""
RUN = "run: {seed: 1, threads: 2, isa: avx2, device: cpu}\n"


@dataclass(frozen=True, config=STRICT)
class Gate:
    """Nested in a list."""

    metric: str
    least: float


@dataclass(frozen=True, config=STRICT)
class Params:
    """A section with everything in it."""

    learning_rate: float
    steps: Annotated[int, Field(ge=1)]
    mode: Literal["fast", "exact"]
    gates: list[Gate]
    named: dict[str, Gate]
    folder: str | None


GOOD = """
toy:
  learning_rate: 2e-3
  steps: 10
  mode: fast
  gates: [{metric: a.b, least: 1}]
  named: {first: {metric: c, least: 0.5}}
  folder: null
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def lines(tmp_path: Path, text: str) -> list[str]:
    """Problems that loading the section `toy` reports."""
    path = write(tmp_path, text)
    with pytest.raises(ParamsError, match=r"params\.yaml:") as caught:
        load("toy", Params, path)
    first, *rest = str(caught.value).split("\n")
    assert first == f"{path}:"
    return [line.strip() for line in rest]


def test_a_right_section_is_read(tmp_path: Path) -> None:
    section, run = load("toy", Params, write(tmp_path, RUN + GOOD))
    assert section == Params(0.002, 10, "fast", [Gate("a.b", 1.0)], {"first": Gate("c", 0.5)}, None)
    assert run == Run(seed=1, threads=2, isa="avx2", device="cpu")


def unstated(params_type: Any, section: dict[str, Any], where: str) -> list[str]:
    """Settings of a dataclass, and of the dataclasses in it, that a section of params.yaml lacks."""
    problems = []
    for field in dataclasses.fields(params_type):
        name = f"{where}.{field.name}"
        if field.name not in section:
            problems.append(name)
        elif dataclasses.is_dataclass(field.type) and section[field.name]:
            problems += unstated(field.type, section[field.name], name)
    return problems


def test_params_yaml_states_every_setting() -> None:
    document = read_yaml(ROOT / "params.yaml")
    problems = unstated(Run, document["run"], "run")
    for stage in STAGES:
        module = importlib.import_module(f"stages.{stage}")
        problems += unstated(module.Params, document[stage], stage)
    assert not problems


def test_a_setting_that_is_not_stated_is_noticed() -> None:
    train = read_yaml(ROOT / "params.yaml")["train"]
    del train["lora"]["r"], train["steps"]
    module = importlib.import_module("stages.train")
    assert unstated(module.Params, train, "train") == ["train.lora.r", "train.steps"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_defaults_and_a_missing_key_falls_back_to_them(
    tmp_path: Path, stage: str
) -> None:
    params_type = importlib.import_module(f"stages.{stage}").Params
    defaults = params_type()
    assert load(stage, params_type, write(tmp_path, f"run: {{}}\n{stage}: {{}}\n")) == (
        defaults,
        Run(),
    )
    stated, run = load(stage, params_type, ROOT / "params.yaml")
    assert run == Run()
    if stage not in OWN:
        assert stated == defaults


def test_the_defaults_of_clean_know_no_attribute_and_filter_as_this_project_does() -> None:
    clean = importlib.import_module("stages.clean").Params
    defaults = clean()
    stated, _ = load("clean", clean, ROOT / "params.yaml")
    assert defaults.filter == stated.filter
    assert defaults.personal == stated.personal
    assert defaults.normalise == dataclasses.replace(
        stated.normalise, units={}, meta_units={}, years=[], dates=[]
    )
    assert defaults.verify == dataclasses.replace(stated.verify, tolerance={}, single_valued=[])


def test_the_defaults_of_evaluate_know_no_attribute() -> None:
    evaluate = importlib.import_module("stages.evaluate").Params
    stated, _ = load("evaluate", evaluate, ROOT / "params.yaml")
    assert evaluate() == dataclasses.replace(stated, tolerances={})


def test_the_defaults_of_augment_make_no_readings() -> None:
    augment = importlib.import_module("stages.augment").Params
    defaults = augment()
    stated, _ = load("augment", augment, ROOT / "params.yaml")
    assert defaults.readings == 0
    assert defaults == dataclasses.replace(stated, questions=defaults.questions, readings=0)


def test_a_limit_that_is_not_given_allows_no_difference(tmp_path: Path) -> None:
    clean = importlib.import_module("stages.clean").Params
    text = "run: {}\nclean: {verify: {tolerance: {length: {absolute: 2}}}}\n"
    section, _ = load("clean", clean, write(tmp_path, text))
    limits = section.verify.tolerance["length"]
    assert (limits.absolute, limits.relative) == (2.0, 0.0)


def test_a_key_that_is_there_changes_only_itself(tmp_path: Path) -> None:
    train = importlib.import_module("stages.train")
    section, _ = load("train", train.Params, write(tmp_path, "run: {}\ntrain: {lora: {r: 4}}\n"))
    assert section == train.Params(lora=train.Lora(r=4))


def test_a_section_is_read_alone(tmp_path: Path) -> None:
    assert read_section("toy", Params, write(tmp_path, GOOD)).steps == 10
    with pytest.raises(ParamsError, match=r"run: section missing"):
        read_section("run", Run, tmp_path / "params.yaml")


def test_the_section_cannot_be_changed(tmp_path: Path) -> None:
    section, _ = load("toy", Params, write(tmp_path, RUN + GOOD))
    with pytest.raises(AttributeError, match="steps"):
        section.steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("steps: 10", "stepps: 10", "toy.stepps: unknown; did you mean steps?"),
        ("steps: 10", "stepps: 10", "toy.steps: missing"),
        ("steps: 10", "steps: 10\n  xyzzy: 1", "toy.xyzzy: unknown"),
        ("steps: 10", "steps: ten", "toy.steps: input should be a valid integer, got 'ten'"),
        ("steps: 10", "steps: 1.5", "toy.steps: input should be a valid integer, got 1.5"),
        ("steps: 10", 'steps: "10"', "toy.steps: input should be a valid integer, got '10'"),
        ("steps: 10", "steps: true", "toy.steps: input should be a valid integer, got True"),
        ("steps: 10", "steps: 0", "toy.steps: input should be greater than or equal to 1, got 0"),
        (
            "learning_rate: 2e-3",
            "learning_rate: null",
            "toy.learning_rate: input should be a valid number, got None",
        ),
        ("mode: fast", "mode: quick", "toy.mode: input should be 'fast' or 'exact', got 'quick'"),
        ("least: 1}", "lest: 1}", "toy.gates.0.lest: unknown; did you mean least?"),
        ("least: 1}", "least: 1, folder: a}", "toy.gates.0.folder: unknown"),
        ("least: 1}", "lest: 1}", "toy.gates.0.least: missing"),
        ("metric: c", "metric: 5", "toy.named.first.metric: input should be a valid string, got 5"),
        (
            "[{metric: a.b, least: 1}]",
            "nothing",
            "toy.gates: input should be a valid array, got 'nothing'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_path(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in GOOD
    assert problem in lines(tmp_path, RUN + GOOD.replace(old, new))


def test_all_mistakes_of_both_sections_at_once(tmp_path: Path) -> None:
    text = RUN.replace("threads: 2", "threads: two") + GOOD.replace("steps", "step").replace(
        "fast", "slow"
    )
    found = lines(tmp_path, text)
    assert sorted(line.split(":")[0] for line in found) == [
        "run.threads",
        "toy.mode",
        "toy.step",
        "toy.steps",
    ]


def test_a_missing_section_names_its_neighbour(tmp_path: Path) -> None:
    assert lines(tmp_path, RUN + GOOD.replace("toy:", "toys:")) == [
        "toy: section missing; is `toys` a typing error?"
    ]
    assert lines(tmp_path, GOOD) == ["run: section missing"]
    assert lines(tmp_path, "train: {}\n") == ["run: section missing", "toy: section missing"]


def test_an_empty_section_lacks_everything(tmp_path: Path) -> None:
    (found,) = lines(tmp_path, RUN + "toy:\n")
    assert found.startswith("toy: input should be an object")
    assert len(lines(tmp_path, RUN + "toy: {}\n")) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n", "expected a mapping of sections at the top level"),
        (b"", "expected a mapping of sections at the top level"),
        (b"a: [1\n", "not readable as YAML"),
        (b"a: 1\na: 2\n", "not readable as YAML.*duplicate key"),
        (b"a: \xff\n", "not readable as YAML"),
        (
            b"a: !!python/object/apply:os.getcwd []\n",
            "not readable as YAML.*could not determine a constructor",
        ),
    ],
)
def test_what_is_no_params_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=message):
        read_yaml(tmp_path / "params.yaml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="not found; run from the project's root folder"):
        read_yaml(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)


def test_numbers_are_read_as_yaml_1_2_does(tmp_path: Path) -> None:
    assert read_yaml(write(tmp_path, "a: 2e-3\nb: 010\nc: no\n")) == {
        "a": 0.002,
        "b": 10,
        "c": "no",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["learning_rate", "steps", "mode", "gates", "named", "folder", "x"]), JSON
    )
    | JSON
)
def test_whatever_stands_there_is_parsed_or_explained(value: object) -> None:
    problems: list[str] = []
    parsed = parse(value, Params, "toy", problems)
    assert (parsed is None) == bool(problems)
    assert all(problem.startswith("toy") and ": " in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {[b, c]: d}", "keys must be words, numbers or dates; found ['b', 'c']"),
        ("a: [{b: {[c]: 1}}]", "keys must be words, numbers or dates; found ['c']"),
        ("[" * 5000, "nested too deep to be read; write it flatter"),
    ],
)
def test_a_document_that_settings_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=re.escape(message)):
        read_yaml(write(tmp_path, text))


@pytest.mark.parametrize("value", ["&a [*a]", "&a {x: *a}", "{x: [&a [[*a]]]}"])
def test_an_alias_inside_its_own_anchor_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"top: {value}\n")
    with pytest.raises(ParamsError, match="holds more than 1,000,000 values"):
        read_yaml(path)


def test_an_alias_means_the_newest_anchor_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("first: {a: &x 1}\nsecond: {b: &x 2, c: *x}\n")
    assert read_yaml(path) == {"first": {"a": 1}, "second": {"b": 2, "c": 2}}


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for number in range(1, 9):
        aliases = ", ".join([f"*a{number - 1}"] * 10)
        lines.append(f"a{number}: &a{number} [{aliases}]")
    path = tmp_path / "a.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(ParamsError, match="write the values out"):
        read_yaml(path)
    path.write_text("\n".join(lines[:3]))
    assert len(read_yaml(path)["a2"]) == 10


@pytest.mark.parametrize(
    "value", ["2021-02-30", "0000-01-01", "2021-01-01T25:00:00Z", "!!int x", "!!bool x", "9" * 5000]
)
def test_a_date_or_number_that_is_none_is_refused_with_advice(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"top: {value}\n")
    with pytest.raises(ParamsError, match="put quotation marks around it if it is text"):
        read_yaml(path)
    path.write_text(f"top: '{value}'\n")
    assert read_yaml(path) == {"top": value}


@pytest.mark.parametrize("text", ["top: 0x{}\n", "? 0x{}\n: top\n"])
def test_a_number_that_python_refuses_to_write_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text.format("f" * 5000))
    with pytest.raises(ParamsError, match="more than 1,000 digits"):
        read_yaml(path)
