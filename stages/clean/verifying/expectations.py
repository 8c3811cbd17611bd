"""Rules in the words of Great Expectations (docs.greatexpectations.io): conditions, expectations, and what broke them.

Its result format COMPLETE lists every failing row, by number; nothing is capped or sampled.
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
    """The frame as a Great Expectations batch."""
    context = quiet_context()
    asset = context.data_sources.add_pandas("records").add_dataframe_asset("facts")
    return asset.add_batch_definition_whole_dataframe("all").get_batch(
        {"dataframe": table.reset_index(names="row")}
    )


def validate(batch: Any, name: str, expectation: Any) -> list[int]:
    """Row numbers that break the rule of that name, all of them. Raises ParamsError where it cannot be judged."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "This pattern is interpreted as a regular expression", UserWarning
        )  # groups are fine
        result = batch.validate(
            expectation,
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["row"]},
        )
    if failures := sorted(set(exceptions_in(result.exception_info))):
        raise ParamsError(f"rule {name} could not be judged: {'; '.join(failures)}")
    return sorted(int(entry["row"]) for entry in result.result.get("unexpected_index_list") or [])


def exceptions_in(info: Any) -> Iterator[str]:
    """Messages of what was raised while judging; Great Expectations reports it once, or by metric, and goes on."""
    if isinstance(info, dict) and info.get("raised_exception"):
        yield str(info["exception_message"])
    elif isinstance(info, dict):
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
    """The expectation of a column in the rows `where` chooses; of the others, exactly one, or `low` and `high`, is said."""
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
    """A row condition of which all parts must hold: column → value, list of values, or (above, below)."""
    from great_expectations.expectations.row_conditions import Column

    whole: Any = Column("id").is_not_null()
    for name, wanted in when.items():
        column = Column(name)
        if isinstance(wanted, tuple):
            above, below = wanted
            parts = [column > above] if above is not None else []
            parts += [column < below] if below is not None else []
        else:
            parts = [column.is_in(wanted) if isinstance(wanted, list) else column == wanted]
        for part in parts:
            whole = whole & part
    return whole
