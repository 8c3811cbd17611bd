"""Ask exported GGUF files by llama.cpp itself: `python docs/experiments/export.py models/export --peers PYTHON`.

PYTHON is that of an environment with the package `xllamacpp`, which is llama.cpp in a wheel. The questions are those
of `answers.parquet`, as text, so the tokenizer in the file is tried too. The prompt is the plain one: for a model with
a chat template this program is of no use.

It prints for each GGUF format how many answers are those of the float model letter by letter, and how many are right.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LONGEST = 64
"""Tokens of an answer, as in evaluate."""


def main() -> None:
    """Ask each GGUF format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exports", type=Path, help="models/export")
    parser.add_argument("--peers", help="python of an environment with xllamacpp")
    parser.add_argument("--ask", action="store_true", help="internal: this is that environment")
    options = parser.parse_args()
    if options.ask:
        json.dump(asked(options.exports, json.load(sys.stdin)), sys.stdout)
        return

    import pandas as pd

    from stages.core.models.conversation import first_answer
    from stages.core.records.prompt import question_prompt

    answers = pd.read_parquet(options.exports / "answers.parquet")
    twin = answers[answers["format"] == "float"].reset_index(drop=True)
    prompts = [question_prompt(question) for question in twin["question"]]
    for path in sorted(options.exports.glob("gguf_*/model.gguf")):
        command = [options.peers, __file__, str(path), "--ask"]
        said = subprocess.run(
            command, input=json.dumps(prompts), check=True, capture_output=True, text=True
        )
        result = json.loads(said.stdout.splitlines()[-1])
        texts = [first_answer(text) for text in result["texts"]]
        same = 0
        right = 0
        for text, row in zip(texts, twin.itertuples(), strict=True):
            same += text == row.answer
            right += text.split() == row.expected.split()
        print(
            f"{path.parent.name}: {len(texts)} asked, {same} same texts, {right} right "
            f"(float {int(twin['right'].sum())}); {result['tokens_per_second']:.0f} tokens/s by llama.cpp"
        )


def asked(path: Path, prompts: list[str]) -> dict[str, Any]:
    """Ask a file by llama.cpp, one prompt at a time, greedily, on one thread."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 256
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.warmup = False
    server = xllamacpp.Server(params)
    texts = []
    tokens = 0
    milliseconds = 0.0
    for prompt in prompts:
        answer = server.handle_completions(
            {
                "prompt": prompt,
                "n_predict": LONGEST,
                "temperature": 0,
                "top_k": 1,
                "stop": ["\n"],
                "cache_prompt": False,
            }
        )
        if "content" not in answer:
            raise SystemExit(f"llama.cpp: {answer}")
        texts.append(answer["content"])
        tokens += answer["timings"]["predicted_n"]
        milliseconds += answer["timings"]["prompt_ms"] + answer["timings"]["predicted_ms"]
    return {"texts": texts, "tokens_per_second": 1000 * tokens / milliseconds}


if __name__ == "__main__":
    main()
