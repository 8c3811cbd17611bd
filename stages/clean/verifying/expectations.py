"""Rules in the words of Great Expectations (docs.greatexpectations.io).

Its result format COMPLETE lists every failing row by number. Nothing is cut off or sampled.
"""

import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stages.core.project.errors import ParamsError

if TYPE_CHECKING:
    import pandas as pd


def quiet_context() -> Any:
    """A context of Great Expectations that lives in memory only and prints nothing."""
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return context


def batch_of(table: "pd.DataFrame") -> Any:
    """The frame as a Great Expectations batch, with its row numbers as the column `row`."""
    context = quiet_context()
    asset = context.data_sources.add_pandas("records").add_dataframe_asset("facts")
    whole = asset.add_batch_definition_whole_dataframe("all")
    return whole.get_batch({"dataframe": table.reset_index(names="row")})


def validate(batch: Any, name: str, expectation: Any) -> list[int]:
    """The numbers of all rows that break the rule of that name.

    Raises ParamsError where it cannot be judged.
    """
    result_format = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]}
    with warnings.catch_warnings():
        # pandas warns of patterns with groups, which are allowed here.
        warnings.filterwarnings(
            "ignore", "This pattern is interpreted as a regular expression", UserWarning
        )
        result = batch.validate(expectation, result_format=result_format)
    failures = sorted(set(exceptions_in(result.exception_info)))
    if failures:
        raise ParamsError(f"rule {name} could not be judged: {'; '.join(failures)}")
    broken = result.result.get("unexpected_index_list") or []
    return sorted(int(entry["row"]) for entry in broken)


def exceptions_in(info: Any) -> Iterator[str]:
    """Messages of errors that were raised while judging.

    Great Expectations goes on after an error. It reports one error, or one for each metric in a
    nested mapping.
    """
    if not isinstance(info, dict):
        return
    if info.get("raised_exception"):
        yield str(info["exception_message"])
        return
    for entry in info.values():
        yield from exceptions_in(entry)


def of_column(
    column: str,
    where: Any,
    one_of: list[str] | None,
    none_of: list[str] | None,
    matches: str | None,
    above: float | None,
    low: float | None,
    high: float | None,
) -> Any:
    """The expectation of a column in the rows that `where` chooses.

    Of the other arguments exactly one is given, or `low` and `high` together.
    """
    import great_expectations.expectations as gxe

    common = {"column": column, "row_condition": where}
    if one_of is not None:
        return gxe.ExpectColumnValuesToBeInSet(value_set=one_of, **common)
    if none_of is not None:
        return gxe.ExpectColumnValuesToNotBeInSet(value_set=none_of, **common)
    if matches is not None:
        return gxe.ExpectColumnValuesToMatchRegex(regex=matches, **common)
    if above is not None:
        return gxe.ExpectColumnValuesToBeBetween(min_value=above, strict_min=True, **common)
    return gxe.ExpectColumnValuesToBeBetween(min_value=low, max_value=high, **common)


def condition(when: dict[str, Any]) -> Any:
    """A row condition, all of whose parts must hold.

    Column → value, list of values, or (above, below).
    """
    from great_expectations.expectations.row_conditions import Column

    whole: Any = Column("id").is_not_null()  # holds for every row
    for name, wanted in when.items():
        column = Column(name)
        if isinstance(wanted, tuple):
            above, below = wanted
            if above is not None:
                whole = whole & (column > above)
            if below is not None:
                whole = whole & (column < below)
        elif isinstance(wanted, list):
            whole = whole & column.is_in(wanted)
        else:
            whole = whole & (column == wanted)
    return whole
