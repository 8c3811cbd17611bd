"""Build Data Docs: pages of Great Expectations that show, rule by rule, which records broke it, and a page of contradictions with
both sides. They open without network, from any folder. Those of Great Expectations carry the time they were made, so they are no
output of the pipeline; data/clean/violations.json and contradictions.json are.
"""

import argparse
import hashlib
import html
import json
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

EXTRACTED, RULES = Path("data/extract/records.parquet"), Path("data/raw/rules.yaml")
SOURCES = Path("data/extract/sources.json")
EXCLUSIONS = Path("data/raw/exclusions.yaml")
FROM_THE_NETWORK = re.compile(
    r"<link[^>]*https?://[^>]*>|<script[^>]*src=\"https?://[^>]*>\s*</script>|<img[^>]*src=\"https?://[^>]*>",
    re.DOTALL,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore docs`."""
    parser.add_argument(
        "--out", type=Path, default=Path("site"), help="folder to write; default: site"
    )


def run(options: argparse.Namespace) -> int:
    """Write the pages and print where they are. Raises InputError where extract has not run."""
    from lore.data_docs import contradictions_page
    from stages import clean
    from stages.clean import exclusions, personal
    from stages.clean.passes.excluding import excluded_in
    from stages.clean.passes.filtering import filtered
    from stages.clean.verifying import rules
    from stages.core.executors.local import Local
    from stages.core.project.output import replacing
    from stages.core.project.params import load

    params, run_params = load("clean", clean.Params)
    treatment = personal.treatment_of(params.personal)
    engine = Local(run_params.threads)
    excluded = excluded_in(EXTRACTED, [], exclusions.read(EXCLUSIONS), engine)
    with tempfile.TemporaryDirectory() as between:
        corpus = filtered(
            EXTRACTED, params.normalise, params.filter, engine, Path(between), treatment, excluded
        )
        facts = corpus.facts().drop("place").to_dicts()
        checks, version = rules.read_rules(RULES), digest(EXTRACTED, RULES, EXCLUSIONS)
        verified = clean.verify(corpus, checks, params, treatment)
        sources = [source["name"] for source in json.loads(SOURCES.read_text(encoding="utf-8"))]
        disputes, count = contradictions_page.page(
            verified.contradictions(), params, sources, version
        )
    found = verified.violations
    with tempfile.TemporaryDirectory() as scratch, replacing(options.out) as folder:
        build(rules.frame(facts, checks), checks, version, Path(scratch))
        shutil.copytree(scratch, folder)
        for page in sorted(folder.rglob("*.html")):
            page.write_text(offline(page.read_text(encoding="utf-8"), version), encoding="utf-8")
        # Great Expectations' own list of pages is made by scripts from the network.
        (folder / "index.html").write_text(
            index(folder, checks, found, len(facts), count, version), encoding="utf-8"
        )
        (folder / contradictions_page.FILE).write_text(disputes, encoding="utf-8")
    print(
        f"{len(facts):,} facts, {len(checks.rules)} rules, {len(found)} violations, {count:,} contradictions: "
        f"open {options.out / 'index.html'}"
    )
    return 0


def digest(*paths: Path) -> str:
    """Twelve hex digits that name the content of the files."""
    return hashlib.sha256(
        b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)
    ).hexdigest()[:12]


def build(table: Any, checks: Any, version: str, folder: Path) -> None:
    """Validate the frame as `clean` does, and let Great Expectations write its pages into `folder`."""
    import great_expectations as gx

    from stages.clean.verifying import expectations, rules

    context = expectations.quiet_context()
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    builder = {"class_name": "SiteBuilder", "store_backend": store}
    context.add_data_docs_site(
        "site", builder | {"site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}
    )
    batch = (
        context.data_sources.add_pandas("records")
        .add_dataframe_asset("facts")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = context.suites.add(gx.ExpectationSuite(name=f"rules-{version}"))
    for rule in checks.rules:
        rules.check_columns(rule, table)
        expectation = rules.expected(rule, table)
        expectation.notes = f"{rule.name}: {rule.message}"
        suite.add_expectation(expectation)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="facts", data=batch, suite=suite)
    )
    results = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id", "locator"]}
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="rules", validation_definitions=[definition], result_format=results)
    )
    checkpoint.run(batch_parameters={"dataframe": table})
    context.build_data_docs(site_names=["site"])


def offline(page: str, version: str) -> str:
    """The page with a style of its own in place of all it would fetch from the network, stamped with the version."""
    style = (Path(__file__).parents[1] / "rendering/docs.css").read_text(encoding="utf-8")
    page = FROM_THE_NETWORK.sub("", page).replace("</head>", f"<style>{style}</style></head>", 1)
    return page.replace(
        "<body>", f'<body><p class="lorekeep">Lorekeep · data and rules {version}</p>', 1
    )


def index(
    folder: Path, checks: Any, found: list[dict[str, Any]], facts: int, disputes: int, version: str
) -> str:
    """The first page: every rule with what it found, and the way to the other pages in the folder."""
    from lore.data_docs.contradictions_page import FILE

    (results,) = folder.glob("validations/**/*.html")
    (suite,) = folder.glob("expectations/*.html")
    counts = Counter((entry["rule"], entry["message"]) for entry in found)
    rules = dict.fromkeys((rule.name, rule.message) for rule in checks.rules)
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(message)}</td><td>{counts[name, message]}</td></tr>"
        for name, message in rules
    )
    return offline(
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Lorekeep: what the rules found</title></head><body>"
        f"<h1>What the rules found</h1><p>{facts:,} facts after normalising and filtering, before any rule.</p>"
        f"<p><a href='{results.relative_to(folder)}'>Records that broke a rule</a> · "
        f"<a href='{suite.relative_to(folder)}'>The rules in Great Expectations' words</a> · "
        f"<a href='{FILE}'>Contradictions: {disputes:,}</a></p>"
        f"<table><tr><th>rule</th><th>what must hold</th><th>violations</th></tr>{rows}</table></body></html>",
        version,
    )
