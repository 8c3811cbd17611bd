"""Edit scripts: random edits with failures leave an index of what the files say, and a wrong index would be seen."""

import base64
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.scripts import script

ROOT = Path(__file__).parent.parent
edits = script("docs/experiments/edit_scripts.py")


def test_a_script_is_the_same_each_time_and_every_edit_occurs() -> None:
    assert edits.script(3) == edits.script(3)
    assert edits.script(3) != edits.script(4)
    seen = Counter(name for seed in range(60) for step in edits.script(seed) for name in step.edits)
    assert set(seen) == {
        "begin", "add", "change", "delete", "move", "copy", "delete equal", "add again", "rename", "nothing",
    }  # fmt: skip
    kinds = {step.failure.kind for seed in range(60) for step in edits.script(seed) if step.failure}
    assert kinds == set(edits.FAILURES)


def test_the_model_knows_what_must_be_found() -> None:
    rows = {
        "a.jsonl": {"iron": "red"},
        "b.jsonl": {"iron": "blue", "tin": "grey"},
        "c.jsonl": {"iron": "red"},
    }
    world = edits.World(rows, {name: name[0] for name in edits.FILES})
    every = edits.expected_texts(world, whole=False)
    assert every == {"iron: colour red": 2, "iron: colour blue": 1, "tin: colour grey": 1}
    # The first source is right about iron, and the third one agrees.
    assert edits.expected_texts(world, whole=True) == {"iron: colour red": 2, "tin: colour grey": 1}


def test_a_vector_of_another_text_is_noticed(tmp_path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stages.core.retrieval import vectors

    ids = ["0" * 15 + "1", "0" * 15 + "2"]
    texts = ["iron: colour red", "tin: colour grey"]
    drawn = []
    for text in texts:
        drawn.append(np.frombuffer(base64.b64decode(edits.mock_encode(text, tmp_path, 1)), "<f4"))
    pq.write_table(pa.table({"id": ids, "text": texts}), tmp_path / "texts.parquet")
    vectors.write(tmp_path / "records.faiss", ids, np.stack(drawn))
    assert edits.found_texts(tmp_path) == Counter(texts)
    vectors.write(tmp_path / "records.faiss", ids, np.stack(drawn[::-1]))
    with pytest.raises(ValueError, match="has the vector of another text than 'iron: colour red'"):
        edits.found_texts(tmp_path)
    vectors.write(tmp_path / "records.faiss", ids[:1], np.stack(drawn[:1]))
    with pytest.raises(ValueError, match="the ids of texts and vectors differ"):
        edits.found_texts(tmp_path)


@pytest.mark.slow
def test_twenty_scripts_leave_nothing_stale_lost_or_half(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "docs/experiments/edit_scripts.py",
        "--scripts",
        "20",
        "--whole",
        "2",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    row = done.stdout.splitlines()[2]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["20", "140"]
    # Each kind of failure struck, and after none was an index broken, stale or other than a rebuild.
    assert all(int(part.split()[1]) > 0 for part in cells[2].split(", "))
    assert cells[3:] == ["0", "0", "0", "0"]
