"""Tasks of lm-evaluation-harness (EleutherAI), by name, where the package is installed.

`pip install lm-eval` installs it. Most of its tasks fetch their questions from the Hugging Face hub when they
are first asked, so they need the network, or a filled cache (`HF_HOME`).
"""

from typing import Any

from stages.core.project.errors import ParamsError


def harness(tasks: list[str]) -> Any:
    """Return the harness' module. Raises ParamsError where it is not installed or does not know a task."""
    try:
        import lm_eval
        from lm_eval.tasks import TaskManager
    except ImportError:
        raise ParamsError(
            f"evaluate.harness: {', '.join(tasks)} needs the package lm-eval, which is not installed; "
            "run: pip install lm-eval. Or write [] to leave these tasks out"
        ) from None
    known = set(TaskManager().all_tasks)
    unknown = [task for task in tasks if task not in known]
    if unknown:
        raise ParamsError(
            f"evaluate.harness: no such task: {', '.join(unknown)}; `lm-eval ls tasks` lists them"
        )
    return lm_eval


def judge(module: Any, tasks: list[str], model: Any, tokenizer: Any, batch: int, seed: int) -> Any:
    """Return task → metric → number, as the harness gives them."""
    from lm_eval.models.huggingface import HFLM

    asked = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    results = module.simple_evaluate(
        model=asked,
        tasks=tasks,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )["results"]
    numbers: dict[str, dict[str, float]] = {}
    for task, metrics in sorted(results.items()):
        numbers[task] = {}
        for name, value in sorted(metrics.items()):
            if isinstance(value, (int, float)):
                # `acc,none` is the metric acc without a filter of answers.
                numbers[task][name.removesuffix(",none")] = round(float(value), 4)
    return numbers
