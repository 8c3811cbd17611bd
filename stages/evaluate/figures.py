"""Pictures of the scores, for MLflow: drawn without a screen, hashed nowhere."""

from typing import Any

BAR = 0.8
"""Height of an attribute's bars together, in the distance between two attributes."""


def attributes(table: Any) -> Any:
    """Exact match per attribute and variant with its 95 % interval, and the majority control as a line.

    `table` is attributes.csv: variant, attribute, exact_match, low, high, n, control. Returns a matplotlib Figure.
    """
    from matplotlib.figure import Figure

    variants, names = (
        list(table["variant"].unique()),
        sorted(table["attribute"].unique(), reverse=True),
    )
    figure = Figure(figsize=(8, 1.5 + 0.7 * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, variant in enumerate(variants):
        rows = table[table["variant"] == variant].set_index("attribute").loc[names]
        places = [
            place + BAR * (0.5 - (number + 0.5) / len(variants)) for place in range(len(names))
        ]
        spread = [rows["exact_match"] - rows["low"], rows["high"] - rows["exact_match"]]
        axes.barh(
            places,
            rows["exact_match"],
            BAR / len(variants),
            xerr=spread,
            label=variant,
            error_kw={"elinewidth": 0.8},
        )
    control = table[table["variant"] == variants[0]].set_index("attribute").loc[names, "control"]
    for place, share in enumerate(control):
        label = "most frequent value" if place == 0 else None
        axes.plot(
            [share, share],
            [place - BAR / 2, place + BAR / 2],
            color="black",
            linestyle=":",
            label=label,
        )
    axes.set(
        xlim=(0, 1),
        xlabel="share of facts answered right, with 95 % interval",
        yticks=range(len(names)),
    )
    axes.set_yticklabels(names)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)
    return figure
