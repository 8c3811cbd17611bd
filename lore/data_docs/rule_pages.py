"""Draw what every rule found: the pages of Great Expectations, made to open offline, and a first page."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from lore.data_docs import contradictions_page
from lore.rendering import html
from lore.rendering.report import Section

if TYPE_CHECKING:
    from stages.clean.explaining import Findings, RuleFindings

FROM_THE_NETWORK = re.compile(
    r"<link[^>]*https?://[^>]*>"  # <link rel="stylesheet" href="https://…">
    r'|<script[^>]*src="https?://[^>]*>\s*</script>'  # <script src="https://…"></script>
    r'|<img[^>]*src="https?://[^>]*>',  # <img src="https://…">
    re.DOTALL,
)
"""Tags of Great Expectations' pages that fetch something."""


def write_rule_pages(findings: "Findings", version: str, folder: Path) -> None:
    """Validate the facts as `clean` does, and let Great Expectations write its pages into `folder`."""
    import great_expectations as gx

    from stages.clean.explaining import quiet_context

    table = findings.table()
    context = quiet_context()
    site = {
        "class_name": "SiteBuilder",
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context.add_data_docs_site("site", site)
    asset = context.data_sources.add_pandas("records").add_dataframe_asset("facts")
    batch = asset.add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=f"rules-{version}"))
    for rule, expectation in findings.expectations(table):
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
    escape_results(context)
    context.build_data_docs(site_names=["site"])


def escape_results(context: Any) -> None:
    """Escape every text of the stored results, because Great Expectations writes them into its pages as they are.

    A value `<script>…` of a record would run in the reader's browser otherwise. Great Expectations
    escapes the rest of a page itself: names, conditions, sets of values, notes.
    """
    store = context.validation_results_store
    for key in store.list_keys():
        stored = store.get(key)
        for result in stored.results:
            result.result = escaped(result.result)
        store.set(key, stored)


def escaped(value: Any) -> Any:
    """Return a value of JSON with every text in it escaped for HTML."""
    if isinstance(value, str):
        return str(escape(value))
    if isinstance(value, dict):
        return {name: escaped(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(part) for part in value]
    return value


def offline(page: str, version: str) -> str:
    """Return a page of Great Expectations with our style instead of what it would fetch.

    It is stamped with the version of the data and rules.
    """
    stamp = f'<p class="lorekeep">Lorekeep · data and rules {escape(version)}</p>'
    style = f"<style>{html.style('docs.css')}</style>"
    page = FROM_THE_NETWORK.sub("", page)
    page = page.replace("</head>", f"{style}</head>", 1)
    return page.replace("<body>", f"<body>{stamp}", 1)


def index(folder: Path, findings: "Findings", contradictions: int, version: str) -> str:
    """Return the first page: every rule with what it found, and links to the other pages in `folder`.

    Great Expectations' own list of pages is made by scripts from the network.
    """
    # Great Expectations names both files itself, one by the time. There is one of each.
    (results,) = folder.glob("validations/**/*.html")
    (suite,) = folder.glob("expectations/*.html")
    return html.render(
        "index.html",
        title="What the rules found",
        version=version,
        facts=len(findings.facts),
        results=results.relative_to(folder).as_posix(),
        suite=suite.relative_to(folder).as_posix(),
        contradictions_file=contradictions_page.FILE,
        contradictions=contradictions,
        rules=rules_table(findings.by_rule),
    )


def rules_table(by_rule: "Sequence[RuleFindings]") -> Section:
    """Return a table of the rules, with the number of violations of each."""
    rows: list[tuple[str, ...]] = []
    for rule in by_rule:
        rows.append((rule.name, rule.message, f"{len(rule.violations):,}"))
    columns = ("rule", "what must hold", "violations")
    return Section("", columns=columns, rows=rows)
