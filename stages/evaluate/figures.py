"""Pictures of the scores, for MLflow: drawn without a screen, and no input of a hash."""

from typing import Any

GROUP_HEIGHT = 0.8
"""Height of the bars of one attribute together. The distance between two attributes is 1."""


def attributes(table: Any) -> Any:
    """Draw exact match per attribute and variant with its 95 % interval, and the majority control as a line.

    `table` is attributes.csv: variant, attribute, exact_match, low, high, n, control. Returns a matplotlib
    Figure.
    """
    from matplotlib.figure import Figure

    variants = list(table["variant"].unique())
    names = sorted(table["attribute"].unique(), reverse=True)  # matplotlib draws from below
    figure = Figure(figsize=(8, 1.5 + 0.7 * len(names)), layout="constrained")
    axes = figure.subplots()

    bar_height = GROUP_HEIGHT / len(variants)
    for number, variant in enumerate(variants):
        rows = table[table["variant"] == variant].set_index("attribute").loc[names]
        # The first variant's bar is the topmost of each group.
        offset = GROUP_HEIGHT * (0.5 - (number + 0.5) / len(variants))
        heights = [position + offset for position in range(len(names))]
        spread = [rows["exact_match"] - rows["low"], rows["high"] - rows["exact_match"]]
        axes.barh(
            heights,
            rows["exact_match"],
            bar_height,
            xerr=spread,
            label=variant,
            error_kw={"elinewidth": 0.8},
        )

    # The control is the same for every variant.
    control = table[table["variant"] == variants[0]].set_index("attribute").loc[names, "control"]
    for position, share in enumerate(control):
        axes.plot(
            [share, share],
            [position - GROUP_HEIGHT / 2, position + GROUP_HEIGHT / 2],
            color="black",
            linestyle=":",
            label="most frequent value" if position == 0 else None,  # one entry in the legend
        )
    axes.set(
        xlim=(0, 1),
        xlabel="share of facts answered right, with 95 % interval",
        yticks=range(len(names)),
    )
    axes.set_yticklabels(names)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)
    return figure
