"""The pipeline, in flow order: base, extract, clean, pictures, index, augment, train, reward, align,
distill, quantize, export, evaluate, register.

One module per stage, same name as the DVC stage, the params section, the output folder and the test
file. `python -m stages <name> <paths…>` runs one; `dvc repro` runs what changed.
"""

STAGES = (
    "base",
    "extract",
    "clean",
    "pictures",
    "index",
    "augment",
    "train",
    "reward",
    "align",
    "distill",
    "quantize",
    "export",
    "evaluate",
    "register",
)
