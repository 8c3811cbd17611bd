"""Build pages that show what every rule found in the records, and what contradicts what.

The pages of Great Expectations show, rule by rule, which records broke it. A page of contradictions shows
both sides of each. All pages open without a network, from any folder. Great Expectations writes the time
into its pages, so they are no output of the pipeline. The outputs are data/clean/violations.json and
data/clean/contradictions.json.

The command reads what `clean` wrote, so run `dvc repro` first. A line that begins with `!` says what
changed since that run. Example: `lore docs`, then open site/index.html.
"""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

from lore.rendering.terminal import shown
from stages.core.project import artifacts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore docs`."""
    parser.add_argument(
        "--out", type=Path, default=Path("site"), help="folder to write; default: site"
    )


def run(options: argparse.Namespace) -> int:
    """Write the pages and print where they are.

    Raises InputError where `clean` has not run, or ran with other rules or settings.
    """
    from lore.data_docs import cleaning, contradictions_page, rule_pages
    from lore.versions.version import workspace
    from stages.clean.explaining import findings
    from stages.core.project.output import replacing

    for doubt in workspace().doubts([artifacts.EXTRACT, artifacts.CLEAN]):
        print(f"! {shown(doubt)}")
    params, files = cleaning.inputs()
    found = findings(params, files)
    version = data_version()
    contradictions, count = contradictions_page.page(
        found.contradictions(), params, found.sources, version
    )
    with tempfile.TemporaryDirectory() as scratch, replacing(options.out) as folder:
        rule_pages.write_rule_pages(found, version, Path(scratch))
        shutil.copytree(scratch, folder)
        for page in sorted(folder.rglob("*.html")):
            text = rule_pages.offline(page.read_text(encoding="utf-8"), version)
            page.write_text(text, encoding="utf-8")
        index = rule_pages.index(folder, found, count, version)
        (folder / contradictions_page.INDEX).write_text(index, encoding="utf-8")
        (folder / contradictions_page.FILE).write_text(contradictions, encoding="utf-8")
    print(
        f"{len(found.facts):,} records with facts, {len(found.checks.rules)} rules, "
        f"{found.violations} violations, {count:,} contradictions: "
        f"open {options.out / contradictions_page.INDEX}"
    )
    return 0


def data_version() -> str:
    """Return twelve hex digits that name the content of the records, the rules and the exclusions."""
    whole = hashlib.sha256()
    for path in (artifacts.EXTRACTED_RECORDS, artifacts.RULES, artifacts.EXCLUSIONS):
        # A hash of hashes: the end of one file and the beginning of the next do not run together.
        content = hashlib.sha256(Path(path).read_bytes())
        whole.update(content.digest())
    return whole.hexdigest()[:12]
