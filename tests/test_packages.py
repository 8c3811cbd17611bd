"""packages: each one that the project builds on does real work here: where its function fails, a named piece of the project does.

Every case prepares the smallest call that needs the package, sees it fail with the package's function made to raise, and
sees it work without.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from stages import STAGES
from stages.core.project.errors import InputError

ROOT = Path(__file__).parent.parent

Call = Callable[[], object]
Fixture = Callable[[str], Any]


class BrokenError(Exception):
    """Raised in place of a package's function, and by nothing else."""


def broken(*_: Any, **__: Any) -> None:
    raise BrokenError("made to fail")


def answering(fixture: Fixture) -> Call:
    from stages.core.models.causal_lm import generate, load_causal_lm

    model, tokenizer = load_causal_lm(fixture("tiny_model"))
    return lambda: generate(
        model, tokenizer, ["Question: Who?\nAnswer:"], max_new_tokens=2, batch=1
    )


def loading_a_model(fixture: Fixture) -> Call:
    from stages.core.models.causal_lm import load_causal_lm

    folder = fixture("tiny_model")
    return lambda: load_causal_lm(folder)


def adding_an_adapter(fixture: Fixture) -> Call:
    from stages.core.models.causal_lm import load_causal_lm
    from stages.train import Lora, add_adapter

    model, _ = load_causal_lm(fixture("tiny_model"))
    return lambda: add_adapter(
        model, Lora(r=1, alpha=1, dropout=0.0, target_modules=["q_proj"]), seed=1
    )


def reading_token_rows(fixture: Fixture) -> Call:
    from transformers import AutoTokenizer

    from stages.core.models.training import Row, token_rows

    tokenizer, folder = AutoTokenizer.from_pretrained(fixture("tiny_model")), fixture("tmp_path")
    return lambda: token_rows([Row("Neon is a gas.")], tokenizer, 16, folder)[0][0]["input_ids"]


def writing_the_fact_table(fixture: Fixture) -> Call:
    from stages.evaluate import write_facts

    folder = fixture("tmp_path") / "evaluate"

    answer = {"fact": "f", "variant": "train", "probe": "stated", "correct": True}

    def write() -> int:
        write_facts([answer], ("train",), {}, folder)
        return (folder / "facts.parquet").stat().st_size

    return write


def finding_synonyms(fixture: Fixture) -> Call:
    from stages.augment.synonyms import Thesaurus

    return lambda: Thesaurus(ROOT / "data/wordnet", 1).variants(
        "Potassium is vital to nerves.", 1, set()
    )


def opening_the_store(fixture: Fixture) -> Call:
    from stages.core.mlflow import tracking

    fixture("store")
    return tracking.client


def checking_rules(fixture: Fixture) -> Call:
    from stages.clean.verifying import rules

    names = ("id", "source", "locator", "subject", "unit")
    row = dict.fromkeys(names, "x") | {
        "attribute": "density",
        "value": "-1",
        "fact": "f",
        "meta": "{}",
    }
    expect = rules.Expect(column="number", above=0)
    document = rules.Rules(
        {}, [rules.Rule("positive", {"attribute": "density"}, expect, "a density is positive")]
    )
    return lambda: rules.violations([row], document)[0]


def converting_a_quantity(fixture: Fixture) -> Call:
    from stages.clean.values.normalise import quantity

    return lambda: quantity("1811.15", "K", "°C", 4)


def reading_a_database(fixture: Fixture) -> Call:
    from lore.snapshot.database import opened

    path = fixture("tmp_path") / "live.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (id INTEGER)")
    fixture("monkeypatch").setenv("TOY_URL", f"sqlite:///{path}")

    def read() -> object:
        with opened("TOY_URL") as live:
            return live

    return read


def reading_xml(fixture: Fixture) -> Call:
    from stages.extract.kinds.markup import Xml
    from stages.extract.unit import Mapping

    path = fixture("tmp_path") / "notes.xml"
    path.write_text("<notes><note>Neon glows.</note></notes>")
    source = Xml("xml", "a", path.name, "en", "note", Mapping(text="note"))
    return lambda: list(source.units(path))


def reading_a_page(fixture: Fixture) -> Call:
    from PIL import Image, ImageDraw, ImageFont

    from stages.extract.kinds.pages import read_lines

    page = Image.new("L", (400, 110), 255)
    ImageDraw.Draw(page).text((30, 30), "Neon: -248.6", font=ImageFont.load_default(28), fill=0)
    page.save(fixture("tmp_path") / "page.png")
    return lambda: list(read_lines(fixture("tmp_path") / "page.png", "rapidocr", "en"))


def reading_markdown(fixture: Fixture) -> Call:
    from stages.extract.blocks import of_markdown

    return lambda: of_markdown("Neon *glows*.")


def finding_an_encoding(fixture: Fixture) -> Call:
    from stages.extract.encoding import detected

    path = fixture("tmp_path") / "a.txt"
    path.write_bytes("霓虹灯会发光。".encode("gb18030"))
    return lambda: detected(path, "zh")


def reading_a_pdf(fixture: Fixture) -> Call:
    from PIL import Image

    from stages.extract.kinds.pdf import Pdf
    from stages.extract.unit import Mapping

    path = fixture("tmp_path") / "a.pdf"
    Image.new("L", (200, 200), 255).save(path)
    source = Pdf("pdf", "a", path.name, "en", Mapping(text="text"), engine="none")
    return lambda: list(source.units(path))


def reading_a_recording(fixture: Fixture) -> Call:
    import soundfile

    from stages.extract.kinds.audio import samples_of

    path = fixture("tmp_path") / "a.wav"
    soundfile.write(path, [0.0, 0.5], 16_000)
    return lambda: len(samples_of(path))


def recognising_speech(fixture: Fixture) -> Call:
    from stages.extract.engines.speech import pocketsphinx

    pocketsphinx.cache_clear()
    return pocketsphinx


def finding_a_language(_: Fixture) -> Call:
    from stages.extract.language import detected, model

    model.cache_clear()
    return lambda: detected("Neon is a gas without colour.", None)


def scoring_an_answer(fixture: Fixture) -> Call:
    from stages.evaluate.scores import overlaps

    return lambda: overlaps()(("Neon is a gas.", "Neon is a gas."))


def quantizing_a_model(fixture: Fixture) -> Call:
    from stages.quantize import Params, quantize

    source, target = fixture("tiny_model"), fixture("tmp_path") / "int8"
    return lambda: quantize(Params(scheme="weight_only"), source, None, target)


def writing_records(fixture: Fixture) -> Call:
    from stages.core.records.record import write

    path = fixture("tmp_path") / "records.parquet"
    row = {
        "id": "1",
        "text": "Neon is a gas.",
        "source": "a",
        "locator": "a#1",
        "kind": "statement",
    }
    return lambda: write(path, [row])


class Need(NamedTuple):
    """A package's function, the piece of the project that cannot do without it, and what comes out where it fails."""

    function: str
    piece: Callable[[Fixture], Call]
    error: type[Exception] = BrokenError
    message: str = "made to fail"


NEEDS = {
    "torch": Need("torch.nn.functional.linear", answering),
    "transformers": Need("transformers.AutoModelForCausalLM.from_pretrained", loading_a_model),
    "peft": Need("peft.get_peft_model", adding_an_adapter),
    "datasets": Need("datasets.Dataset.from_file", reading_token_rows),
    "pandas": Need("pandas.DataFrame.to_parquet", writing_the_fact_table),
    "nltk": Need("nltk.corpus.reader.WordNetCorpusReader.synsets", finding_synonyms),
    "mlflow": Need(
        "mlflow.MlflowClient",
        opening_the_store,
        InputError,
        r"the store .*mlflow.db cannot be used \(BrokenError\)",
    ),
    "great_expectations": Need("great_expectations.get_context", checking_rules),
    "pint": Need(
        "pint.registry.Quantity.m_as",
        converting_a_quantity,
    ),
    "sqlalchemy": Need(
        "sqlalchemy.engine.Engine.connect",
        reading_a_database,
        InputError,
        "no connection to sqlite:.*: made to fail",
    ),
    "lxml": Need("lxml.etree.iterparse", reading_xml),
    "rapidocr": Need("rapidocr.RapidOCR.__call__", reading_a_page),
    "markdown_it": Need("markdown_it.MarkdownIt.parse", reading_markdown),
    "charset_normalizer": Need("charset_normalizer.from_bytes", finding_an_encoding),
    "pypdfium2": Need("pypdfium2.PdfDocument.__init__", reading_a_pdf),
    "soundfile": Need("soundfile.SoundFile.read", reading_a_recording),
    "pocketsphinx": Need("pocketsphinx.Decoder", recognising_speech),
    "py3langid": Need("py3langid.langid.LanguageIdentifier.from_model_file", finding_a_language),
    "sacrebleu": Need("sacrebleu.metrics.BLEU.sentence_score", scoring_an_answer),
    "rouge_score": Need("rouge_score.rouge_scorer.RougeScorer.score", scoring_an_answer),
    "torchao": Need("torchao.quantization.Int8WeightOnlyConfig", quantizing_a_model),
    "pyarrow": Need("pyarrow.parquet.ParquetWriter.write_table", writing_records),
}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised for, and so on, also where it hides it from a reader."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# Great Expectations 1.24 imports a module that Python 3.11 deprecated.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:module 'sre_parse' is deprecated:DeprecationWarning")
@pytest.mark.parametrize("package", NEEDS)
def test_a_piece_of_the_project_fails_with_its_package(
    package: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = NEEDS[package]
    assert need.function.split(".")[0] == package
    call = need.piece(request.getfixturevalue)
    with monkeypatch.context() as patch:
        patch.setattr(need.function, broken)
        with pytest.raises(need.error, match=need.message) as caught:
            call()
    assert any(isinstance(error, BrokenError) for error in causes(caught.value))
    assert call()


def test_the_pipeline_is_dvcs(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\nanalytics = false\n")

    def list_stages(*before: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dvc", "stage", "list", "--name-only"],
            cwd=tmp_path,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(map(str, before)),
                "DVC_GLOBAL_CONFIG_DIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    shadow = tmp_path / "shadow"
    (shadow / "dvc").mkdir(parents=True)
    (shadow / "dvc/__init__.py").write_text('raise RuntimeError("made to fail")\n')
    failed = list_stages(shadow)
    assert failed.returncode != 0
    assert "made to fail" in failed.stderr
    done = list_stages()
    assert done.returncode == 0, done.stderr
    assert tuple(done.stdout.split()) == STAGES
