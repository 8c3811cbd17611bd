"""diff: every way in which a fact, an answer or a setting may differ is told; what cannot be read is named with what to do."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lore.__main__ import main
from lore.comparison import facts
from tests.lore.knowledge import RUN, Project, Row, answer, fact

ROOT = Path(__file__).parents[3]
IRON, GOLD, NEON = fact("iron", "1538"), fact("gold", "1064"), fact("neon", "-248.6")
HOTTER = IRON | {"value": "1649"}
WRONG = "The melting point of iron is 7 °C."
OLD = "The melting point of iron is 1538 °C."

Found = Callable[..., Any]
Lore = Callable[..., str]


def outcomes(found: Any, kind: str) -> list[tuple[str, str]]:
    """Subject and outcome of the facts of a kind."""
    return [
        (row.get("subject") or row["subject_b"], row["outcome"]) for row in found["facts"][kind]
    ]


def subjects(found: Any, kind: str) -> list[str]:
    """Subjects of the unchanged facts of a kind."""
    return [row["subject"] for row in found["unchanged"][kind]]


def test_an_added_fact_is_learned_or_not(project: Project, found: Found) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.version(
        "b", [IRON, GOLD, NEON], [answer(IRON), answer(GOLD), answer(NEON, "It is 3 °C.")]
    )
    said = found("a", "b")
    assert outcomes(said, "added") == [("gold", "learned"), ("neon", "not learned")]
    assert said["facts"]["added"][0]["locator"] == "elements.sql#gold/melting point"
    assert said["facts"]["removed"] == said["facts"]["changed"] == []
    assert said["facts"]["same"] == said["unchanged"]["kept"] == 1


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ([], "not asked"),
        ([answer(GOLD)], "still answers it"),
        (
            [answer(GOLD) | {"correct": False, "answer": "Gold melts at 1064 °C"}],
            "still answers it",
        ),
        ([answer(GOLD, "It is 21064 °C.")], "forgotten"),
    ],
)
def test_a_removed_fact_is_forgotten_or_not(
    project: Project, found: Found, asked: list[Row], outcome: str
) -> None:
    project.version("a", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    project.version("b", [IRON], [answer(IRON), *asked])
    said = found("a", "b")
    assert outcomes(said, "removed") == [("gold", outcome)]
    assert said["unchanged"]["kept"] == 1


@pytest.mark.parametrize(
    ("said", "outcome"),
    [("Iron melts at 1538 °C", "still answers it"), ("At 538 °C.", "forgotten")],
)
def test_the_model_here_may_be_asked_about_removed_facts(
    project: Project,
    found: Found,
    lore: Lore,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    outcome: str,
) -> None:
    asked = []
    monkeypatch.setattr(
        "stages.core.models.variants.answers",
        lambda questions, variant: asked.append((questions, variant)) or [said],
    )
    project.version("a", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    project.run([GOLD], [answer(GOLD)])
    assert "removed facts were not asked; --ask asks the model in this folder" in lore("diff")
    assert outcomes(found("a", "--ask"), "removed") == [("iron", outcome)]
    assert asked == [(["When does iron melt?"], "train")]
    assert found("a", "--ask")["unchanged"]["kept"] == 1
    project.commit("b")
    assert lore("diff", "a", "b", "--ask", code=1) == (
        "InputError: --ask asks the model in this folder: git checkout --detach b, dvc checkout, then lore diff a --ask\n"
    )


def test_without_removed_facts_no_model_is_loaded(project: Project, found: Found) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.run([IRON, GOLD])
    assert outcomes(found("--ask"), "added") == [("gold", "not asked")]


def test_a_removed_fact_that_was_never_known_is_not_forgotten(
    project: Project, found: Found
) -> None:
    project.version("a", [GOLD], [answer(GOLD, "It is 3 °C.")])
    project.version("b", [IRON], [answer(IRON), answer(GOLD, "It is 4 °C.")])
    assert outcomes(found("a", "b"), "removed") == [("gold", "never knew it")]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (None, "learned"),
        (WRONG, "not learned"),
        (OLD, "still says the old value"),
        ("It is 11538 °C.", "not learned"),
        ("It is -1538 °C.", "not learned"),
    ],
)
def test_a_changed_value_is_learned_or_not(
    project: Project, found: Found, said: str | None, outcome: str
) -> None:
    project.version("a", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    project.version("b", [HOTTER, GOLD], [answer(HOTTER, said), answer(GOLD)])
    (row,) = found("a", "b")["facts"]["changed"]
    assert (row["value_a"], row["value_b"], row["unit_b"], row["kinds"]) == (
        "1538",
        "1649",
        "°C",
        ["value"],
    )
    assert (row["outcome"], row["source_b"], row["locator_b"]) == (
        outcome,
        "elements",
        "elements.sql#iron/melting point",
    )


def test_a_changed_unit_alone(project: Project, found: Found) -> None:
    kelvin = IRON | {"unit": "K"}
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [kelvin], [answer(kelvin, OLD)])
    (row,) = found("a", "b")["facts"]["changed"]
    assert (row["kinds"], row["unit_a"], row["unit_b"], row["outcome"]) == (
        ["unit"],
        "°C",
        "K",
        "still says the old value",
    )


def test_a_fact_without_a_unit_that_gets_one(project: Project, found: Found) -> None:
    bare = IRON | {"unit": None}
    project.version("a", [bare])
    project.version("b", [IRON])
    (row,) = found("a", "b")["facts"]["changed"]
    assert (row["kinds"], row["unit_a"], row["unit_b"]) == (["unit"], "", "°C")


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (None, None, "kept right"),
        (None, WRONG, "newly wrong"),
        (WRONG, None, "newly right"),
        (WRONG, WRONG, "still wrong"),
    ],
)
def test_a_changed_source_alone(
    project: Project, found: Found, before: str | None, after: str | None, outcome: str
) -> None:
    elsewhere = fact("iron", "1538", source="legacy", locator="legacy.csv#L3")
    project.version("a", [IRON], [answer(IRON, before)])
    project.version("b", [elsewhere], [answer(elsewhere, after)])
    said = found("a", "b")
    (row,) = said["facts"]["changed"]
    assert (row["kinds"], row["source_a"], row["source_b"], row["outcome"]) == (
        ["source", "locator"],
        "elements",
        "legacy",
        outcome,
    )


def test_a_subject_written_another_way_is_the_same_fact(project: Project, found: Found) -> None:
    project.version("a", [IRON])
    project.version("b", [fact("Iron", "1538", locator=IRON["locator"])])
    (row,) = found("a", "b")["facts"]["changed"]
    assert (row["kinds"], row["subject_a"], row["subject_b"], row["outcome"]) == (
        ["name"],
        "iron",
        "Iron",
        "not asked",
    )


def test_a_fact_at_another_line_has_only_moved(project: Project, found: Found, lore: Lore) -> None:
    moved = IRON | {"locator": "elements.sql#9"}
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [moved], [answer(moved)])
    said = found("a", "b")
    assert [row["locator_b"] for row in said["facts"]["moved"]] == ["elements.sql#9"]
    assert (said["facts"]["changed"], said["facts"]["same"], said["differs"]) == ([], 1, False)
    assert "1 of them at another place of their source" in lore("diff", "a", "b")
    assert "elements.sql#9" not in lore("diff", "a", "b")
    assert "→ elements: elements.sql#9" in lore("diff", "a", "b", "--all")


def test_of_several_records_of_a_fact_the_first_counts(project: Project, found: Found) -> None:
    second = fact("iron", "1538.4", source="legacy", locator="legacy.csv#L17")
    project.version("a", [IRON, second])
    project.version("b", [IRON, second | {"value": "1537"}])
    assert found("a", "b")["facts"]["same"] == 1


def test_what_befell_unchanged_facts(project: Project, found: Found, lore: Lore) -> None:
    rows = [fact(name, str(number)) for number, name in enumerate(["iron", "gold", "neon", "zinc"])]
    project.version(
        "a",
        rows,
        [answer(row, said) for row, said in zip(rows, [None, None, "x", "x"], strict=True)],
    )
    project.version(
        "b",
        rows,
        [answer(row, said) for row, said in zip(rows, [None, "y", None, "y"], strict=True)],
    )
    said = found("a", "b")
    assert said["unchanged"]["kept"] == 1
    assert {kind: subjects(said, kind) for kind in ("newly_wrong", "newly_right", "still_wrong")} == {
        "newly_wrong": ["gold"], "newly_right": ["neon"], "still_wrong": ["zinc"],
    }  # fmt: skip
    text = lore("diff", "a", "b")
    assert (
        "4 asked in both versions: 1 kept right, 1 newly wrong, 1 newly right, 1 still wrong"
        in text
    )
    assert "still wrong: 1 more, listed with --all" in text
    assert "zinc" not in text
    assert re.search(
        r"zinc · melting point +3 °C +x +y +still wrong", lore("diff", "a", "b", "--all")
    )


def test_another_model_may_be_chosen(project: Project, found: Found) -> None:
    project.version("a", [IRON], [answer(IRON), answer(IRON, variant="base")])
    project.version("b", [IRON], [answer(IRON), answer(IRON, WRONG, variant="base")])
    assert (
        found("a", "b")["unchanged"]["kept"],
        subjects(found("a", "b", "--model", "base"), "newly_wrong"),
    ) == (1, ["iron"])
    assert found("a", "b", "--model", "distill")["notes"] == [
        f"{name} ({project.git('rev-parse', '--short', name).strip()}): distill was not asked; --model names another"
        for name in "ab"
    ]


def test_questions_about_no_fact_are_compared_by_their_text(project: Project, found: Found) -> None:
    free = answer(IRON) | {
        "fact": None,
        "subject": None,
        "attribute": None,
        "question": "Does iron rust?",
    }
    project.version("a", [IRON], [answer(IRON), free])
    project.version("b", [IRON], [answer(IRON), free | {"correct": False, "answer": "No."}])
    (row,) = found("a", "b")["unchanged"]["newly_wrong"]
    assert (row["question"], row["subject"], row["answer_b"]) == ("Does iron rust?", "", "No.")


def test_other_words_of_a_question_are_told(project: Project, lore: Lore) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [IRON], [answer(IRON, question="How hot is molten {}?")])
    assert "1 of them were asked in other words: a difference may be the question's" in lore(
        "diff", "a", "b"
    )


def test_changed_parameters_rules_and_wordings(project: Project, found: Found, lore: Lore) -> None:
    rule = {"name": "cold", "expect": {"column": "number", "min": -273.15}}
    project.settings(
        rules={"rules": [rule]}, wordings={"attributes": {"density": {"terms": ["dense"]}}}
    )
    project.version("a", [IRON])
    project.settings({"run": RUN | {"seed": 8}, "train": {"rate": None}})
    project.settings(
        rules={
            "rules": [
                {"name": "hot", "expect": 1},
                rule | {"expect": {"column": "number", "min": 0}},
            ]
        }
    )
    project.settings(wordings={"attributes": {"density": {"terms": ["dense", "thick"]}}})
    project.version("b", [IRON])
    said = found("a", "b")["settings"]
    assert {"key": "run.seed", "old": 7, "new": 8} in said["params.yaml"]
    assert {"key": "train.steps", "old": 100} in said["params.yaml"]
    assert {"key": "train.rate", "new": None} in said["params.yaml"]
    assert said["data/raw/rules.yaml"] == [
        {"key": "rules.cold.expect.min", "old": -273.15, "new": 0},
        {"key": "rules.hot", "new": {"name": "hot", "expect": 1}},
    ]
    assert said["data/raw/wordings.yaml"] == [{"key": "attributes.density.terms", "new": "thick"}]
    assert re.search(r"params.yaml +run.seed +7 +8\n", lore("diff", "a", "b"))


def test_identical_versions(project: Project, found: Found, lore: Lore) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.commit("b")
    said = found("a", "b")
    assert (said["differs"], said["settings"], said["notes"], said["facts"]["same"]) == (
        False,
        {},
        [],
        1,
    )
    assert {row["verdict"] for row in said["scores"]} == {"inside the noise"}
    assert "0 added, 0 removed, 0 changed; 1 the same" in lore("diff", "a", "b", "--exit-code")


@pytest.mark.parametrize("later", [[HOTTER, GOLD], [IRON], [IRON, GOLD, NEON]])
def test_the_exit_code_tells_a_difference_where_it_is_asked_for(
    project: Project, lore: Lore, later: list[Row]
) -> None:
    project.version("a", [IRON, GOLD])
    project.version("b", later)
    assert lore("diff", "a", "b") == lore("diff", "a", "b", "--exit-code", code=3)


def test_an_answer_alone_is_a_difference(project: Project, lore: Lore) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [IRON], [answer(IRON, WRONG)])
    lore("diff", "a", "b", "--exit-code", code=3)


def test_a_setting_alone_is_none(project: Project, lore: Lore) -> None:
    project.version("a", [IRON])
    project.settings({"run": RUN | {"seed": 9}})
    project.version("b", [IRON])
    lore("diff", "a", "b", "--exit-code")


def test_a_version_that_was_never_evaluated(project: Project, found: Found) -> None:
    project.version("a", [IRON])
    project.version("b", [HOTTER, GOLD], [answer(HOTTER), answer(GOLD)])
    said = found("a", "b")
    assert (outcomes(said, "changed"), outcomes(said, "added")) == (
        [("iron", "learned")],
        [("gold", "learned")],
    )
    assert (said["unchanged"], said["scores"]) == (None, [])
    assert re.fullmatch(
        r"a \(\w+\): never evaluated, so nothing is known of what the model knows; .*",
        said["notes"][0],
    )
    assert outcomes(found("b", "a"), "changed") == [("iron", "not asked")]


def test_the_workspace_is_compared_with_head(project: Project, found: Found) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.run([HOTTER], [answer(HOTTER)])
    said = found()
    assert (said["a"]["name"], said["b"]) == ("HEAD", {"name": "workspace", "commit": None})
    assert (outcomes(said, "changed"), said["notes"]) == ([("iron", "learned")], [])


def test_nothing_in_the_workspace_is_touched(project: Project, lore: Lore) -> None:
    project.version("a", [IRON], [answer(IRON)])
    project.version("b", [HOTTER], [answer(HOTTER)])
    before = {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in project.root.rglob("*")
        if ".git" not in path.parts
    }
    lore("diff", "a", "b")
    lore("versions")
    assert before == {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in project.root.rglob("*")
        if ".git" not in path.parts
    }
    assert project.git("status", "--porcelain") == ""


DAMAGED = {
    "data/clean/records.parquet": "data/clean",
    "data/evaluate/facts.parquet": "data/evaluate",
    "metrics/evaluate.json": "metrics/evaluate.json",
}
"""File on disk → the output that is named where it is damaged."""


@pytest.mark.parametrize("path", DAMAGED)
def test_a_flipped_bit_on_disk_is_named_and_never_a_traceback(
    project: Project, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    project.version("a", [IRON, GOLD], [answer(IRON), answer(GOLD)])
    file = project.root / path
    whole = file.read_bytes()
    rng = random.Random(7)
    for _ in range(12):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(bytes(content))
        code = main(["diff"])
        said = capsys.readouterr()
        assert code in (0, 1)
        if code:
            assert f"InputError: {path} of workspace: " in said.err
        else:
            assert f"on disk, not as in dvc.lock: {DAMAGED[path]};" in said.out


@pytest.mark.parametrize(
    "damage",
    [
        lambda score: {"higi" if key == "high" else key: score[key] for key in score},
        lambda score: score | {"low": "0.5"},
        lambda score: {key: score[key] for key in score if key != "n"},
    ],
)
def test_a_score_that_is_not_whole_is_named(
    project: Project, lore: Lore, damage: Callable[[Row], Row]
) -> None:
    project.version("a", [IRON], [answer(IRON)])
    file = project.root / "metrics/evaluate.json"
    document = json.loads(file.read_text())
    probes = document["train"]["probes"]
    probes["exact_match"] = damage(probes["exact_match"])
    file.write_text(json.dumps(document))
    assert lore("diff", code=1).startswith(
        "InputError: metrics/evaluate.json of workspace: train.probes.exact_match is no score with its interval; "
    )
    assert "train.probes.exact_match is no score with its interval" in lore("versions")
    file.write_text("[1]")
    assert "metrics/evaluate.json of workspace: it is no score" in lore("diff", code=1)


def test_what_pandas_notes_in_a_table_may_be_damaged(project: Project, lore: Lore) -> None:
    project.version("a", [IRON], [answer(IRON)])
    file = project.root / "data/evaluate/facts.parquet"
    content = file.read_bytes()
    assert b'"pandas_type"' in content
    file.write_bytes(content.replace(b'"pandas_type"', b'"pandas_tyqe"'))
    assert "on disk, not as in dvc.lock: data/evaluate;" in lore("diff")


def test_answers_of_an_earlier_run_are_not_taken_for_learned(
    project: Project, found: Found
) -> None:
    """As after `dvc repro clean`: the data are new, the answers are those to the old value, and right for that."""
    project.version("a", [IRON], [answer(IRON)])
    project.run([HOTTER], [answer(IRON)])
    assert outcomes(found(), "changed") == [("iron", "not asked")]


def test_chinese_facts_stay_aligned(project: Project, lore: Lore) -> None:
    rows = [fact("铁", "1538", attribute="熔点"), fact("iron", "1538")]
    project.version("a", [])
    project.version("b", rows, [answer(row) for row in rows])
    lines = [
        line
        for line in lore("diff", "a", "b").splitlines()
        if "learned" in line or "not asked" in line
    ]
    assert "铁 · 熔点" in lines[1]
    assert (
        lines[0].index("1538 °C") - lines[1].index("1538 °C") == 3
    )  # three Chinese characters, each two columns wide


def test_markdown_and_html_hold_the_text_as_text(
    project: Project, lore: Lore, tmp_path: Path
) -> None:
    evil = fact("<script>alert(1)</script>|`@someone`", "5 & <b>6</b>")
    project.version("a", [IRON])
    project.version("b", [IRON, evil])
    page = tmp_path / "out/page.html"
    text = lore("diff", "a", "b", "--markdown", "--html", str(page))
    (row,) = [line for line in text.splitlines() if "alert" in line]
    assert "<" not in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 7
    assert "&lt;script&gt;" in row
    assert "\\`@\u200bsomeone" in row
    written = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in written
    assert "5 &amp; &lt;b&gt;6&lt;/b&gt;" in written
    assert not re.search(r"<script|<b>|<link|<img|src=|@import|url\(", written)


def test_a_page_that_cannot_be_written_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.version("a", [IRON])
    (project.root / "file").write_text("")
    assert main(["diff", "a", "--html", "file/page.html"]) == 1
    assert re.fullmatch(
        r"InputError: file/page.html: the page cannot be written: .+; name another file\n",
        capsys.readouterr().err,
    )


def test_reports_are_the_same_every_time(project: Project, lore: Lore, tmp_path: Path) -> None:
    rows = [fact(f"s{number}", str(number)) for number in range(30)]
    project.version(
        "a", rows, [answer(row, "x" if number % 3 else None) for number, row in enumerate(rows)]
    )
    project.version(
        "b",
        rows[::-1],
        [answer(row, "x" if number % 4 else None) for number, row in enumerate(rows[::-1])],
    )
    for form in ("--markdown", "--json", "--all"):
        assert lore("diff", "a", "b", form, "--html", "one.html") == lore(
            "diff", "a", "b", form, "--html", "two.html"
        )
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()


def test_a_long_list_is_cut_and_says_so(project: Project, lore: Lore, found: Found) -> None:
    rows = [fact(f"s{number:02}", str(number)) for number in range(25)]
    project.version("a", [])
    project.version("b", rows)
    text = lore("diff", "a", "b")
    assert "added: 15 more, listed with --all" in text
    assert text.count(" · melting point") == 10
    assert (
        lore("diff", "a", "b", "--all").count(" · melting point")
        == len(found("a", "b")["facts"]["added"])
        == 25
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "a", "b", "c"], "unrecognized arguments: c"),
        (["diff", "--model", "teacher"], "invalid choice: 'teacher'"),
        (["diff", "--json", "--markdown"], "not allowed with argument"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_the_workflow_may_comment_and_nothing_else() -> None:
    workflow = YAML(typ="safe").load(
        (ROOT / ".github/workflows/knowledge-diff.yml").read_text(encoding="utf-8")
    )
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "permissions" not in job
    assert all(
        re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
        for step in job["steps"]
        if "uses" in step
    )
    assert not any(
        "github.event" in step.get("run", "").replace("github.event.pull_request.number", "")
        for step in job["steps"]
    )
    assert 'lore diff "origin/$BASE...HEAD" --markdown' in "".join(
        step.get("run", "") for step in job["steps"]
    )


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["diff", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Example: `lore diff main` compares main with the files here" in said
    assert "with --exit-code 3 where facts or answers differ" in said


def test_torch_is_not_loaded_and_a_reader_may_stop(project: Project) -> None:
    project.version("a", [IRON], [answer(IRON)])
    program = (
        "import sys; from lore.__main__ import main; code = main(['diff', 'a']); "
        "print('torch' in sys.modules); sys.exit(code)"
    )
    for end, code in (("", 0), (" | true; exit ${PIPESTATUS[0]}", 141)):
        done = subprocess.run(
            ["bash", "-c", f'"$PYTHON" -c "{program}"{end}'],
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout.splitlines()[-1:] == ([] if end else ["False"])


NAMES = st.sampled_from(["iron", "gold", "neon", "铁", "A b", "é"])
ROWS = st.builds(
    lambda subject, attribute, value, unit, source, place: fact(
        subject, value, unit, attribute, source=source, locator=f"{source}#{place}"
    ),
    NAMES,
    st.sampled_from(["density", "熔点"]),
    st.sampled_from(["1", "2", "two"]),
    st.sampled_from(["K", None]),
    st.sampled_from(["x", "y"]),
    st.integers(0, 2),
)
TABLES = st.lists(ROWS, max_size=12, unique_by=lambda row: row["fact"]).map(
    lambda rows: pd.DataFrame(rows, columns=facts.FACT, dtype="str").fillna("")
)


@settings(deadline=None)
@given(TABLES, TABLES)
def test_the_difference_applied_to_one_version_gives_the_other(
    a: pd.DataFrame, b: pd.DataFrame
) -> None:
    found = facts.compare(a, b)
    known = {row["fact"]: row for row in a.to_dict("records")}
    for row in found.removed.to_dict("records"):
        assert known.pop(row["fact"]) == row
    for row in [*found.changed.to_dict("records"), *found.moved.to_dict("records")]:
        assert known[row["fact"]] == {"fact": row["fact"]} | {
            name: row[f"{name}_a"] for name in facts.FACT[1:]
        }
        known[row["fact"]] = {"fact": row["fact"]} | {
            name: row[f"{name}_b"] for name in facts.FACT[1:]
        }
    for row in found.added.to_dict("records"):
        assert row["fact"] not in known
        known[row["fact"]] = row
    assert known == {row["fact"]: row for row in b.to_dict("records")}
    assert found.same + len(found.changed) + len(found.removed) == len(a)
    assert not set(found.moved["fact"]) & set(found.changed["fact"])


@pytest.fixture
def forked(project: Project) -> Project:
    """A branch `feature` that added gold, and main that added neon afterwards."""
    project.version("start", [IRON])
    project.git("checkout", "-q", "-b", "feature")
    project.version("gold", [IRON, GOLD])
    project.git("checkout", "-q", "main")
    project.version("neon", [IRON, NEON])
    return project


@pytest.mark.usefixtures("forked")
def test_a_pull_request_behind_its_base_shows_its_own_changes(lore: Lore, found: Found) -> None:
    own = found("main...feature")
    assert [row["subject"] for row in own["facts"]["added"]] == ["gold"]
    assert own["facts"]["removed"] == []
    assert own["a"]["name"] == "common ancestor of main and feature"
    both = lore("diff", "main", "feature")
    assert "1 added, 1 removed" in both
    assert re.search(
        r"^! main \(\w+\) has 1 commit that feature \(\w+\) lacks, and they count as taken back: "
        r"lore diff main\.\.\.feature compares with the common ancestor$",
        both,
        re.M,
    )
    assert "count as taken back" not in lore("diff", "start", "feature")
    assert "count as taken back" not in lore("diff", "feature", "start")
    assert found("main..feature")["facts"] == found("main", "feature")["facts"]
    assert found("feature...")["a"]["name"] == "common ancestor of feature and HEAD"
    said = lore("diff", "main...feature", "main", code=1)
    assert "main...feature names two versions already; leave main out" in said


def test_without_a_common_ancestor_it_says_why(
    forked: Project, lore: Lore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked.git("checkout", "-q", "--orphan", "alone")
    forked.version("alone-1", [IRON])
    said = lore("diff", "main...alone", code=1)
    assert "no common ancestor here: they grew from no common commit" in said
    clone = ["git", "clone", "-q", "--depth", "1", "--no-single-branch"]
    subprocess.run([*clone, f"file://{forked.root}", tmp_path / "cut"], check=True)
    monkeypatch.chdir(tmp_path / "cut")
    said = lore("diff", "origin/main...origin/feature", code=1)
    assert "the history is cut, since this clone is shallow; git fetch --unshallow" in said
    said = lore("merge-driver", "--dry-run", "origin/main", "origin/feature", code=1)
    assert "this clone is shallow; git fetch --unshallow" in said
