"""Ask exported files the probes of evaluate, without PyTorch: `python docs/experiments/export.py models/export`.

ONNX files are run by onnxruntime, GGUF files by llama.cpp itself. For these, `--peers PYTHON` names the Python of
an environment with the package `xllamacpp`, which is llama.cpp in a wheel. The questions and the answers of the float
model are those of `data/evaluate/probes.parquet`, so the model must be the one that evaluate judged. Questions go in
as text, so the tokenizer in each file is tried too. The prompt is the plain one: for a model with a chat template
this program is of no use.

It prints for each format how many answers are those of the float model letter by letter. At most as many were lost as
differ where the float model was right, and at most as many gained as state the value where it was wrong.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LONGEST = 64
"""Tokens of an answer, as in evaluate."""


def main() -> None:
    """Ask each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exports", type=Path, help="models/export")
    parser.add_argument("--probes", type=Path, default=Path("data/evaluate/probes.parquet"))
    parser.add_argument("--variant", default="distill", help="variant that was exported")
    parser.add_argument("--most", type=int, default=1000, help="most questions, drawn by a hash")
    parser.add_argument("--peers", help="python of an environment with xllamacpp")
    parser.add_argument("--ask", action="store_true", help="internal: this is that environment")
    options = parser.parse_args()
    if options.ask:
        json.dump(asked(options.exports, json.load(sys.stdin)), sys.stdout)
        return

    import pandas as pd

    from stages.core.models.conversation import first_answer
    from stages.core.records.prompt import question_prompt
    from stages.core.records.stated import states

    probes = pd.read_parquet(options.probes)
    probes = probes[(probes["variant"] == options.variant) & (probes["probe"] == "stated")]
    order = [hashlib.sha256(question.encode()).hexdigest() for question in probes["question"]]
    probes = probes.assign(order=order).sort_values("order").head(options.most)
    prompts = [question_prompt(question) for question in probes["question"]]
    print(f"{len(probes)} probes, {int(probes['correct'].sum())} right in float")
    for folder in sorted(path for path in options.exports.iterdir() if path.is_dir()):
        if (folder / "model.onnx").is_file():
            result = asked_onnx(folder, prompts)
        elif (folder / "model.gguf").is_file() and options.peers:
            command = [options.peers, __file__, str(folder / "model.gguf"), "--ask"]
            said = subprocess.run(
                command, input=json.dumps(prompts), check=True, capture_output=True, text=True
            )
            result = json.loads(said.stdout.splitlines()[-1])
        else:
            continue
        same = lost = gained = 0
        for text, row in zip(result["texts"], probes.itertuples(), strict=True):
            answer = first_answer(text)
            is_same = answer == row.answer
            same += is_same
            lost += row.correct and not is_same
            gained += not row.correct and not is_same and states(answer, row.expected)
        print(
            f"{folder.name}: {same} same texts, at most {lost} lost and {gained} gained; "
            f"{result['tokens_per_second']:.0f} tokens/s"
        )


def asked_onnx(folder: Path, prompts: list[str]) -> dict[str, Any]:
    """Ask a file by onnxruntime, one prompt at a time, greedily, on one thread."""
    from tokenizers import Tokenizer

    from stages.export.onnx_model import OnnxDecoder

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
    end = config["model"]["eos_token_id"]
    decoder = OnnxDecoder(folder, 1)
    texts = []
    tokens = 0
    started = time.perf_counter()
    for prompt in prompts:
        written = [decoder.first(tokenizer.encode(prompt).ids)]
        text = tokenizer.decode(written)
        while written[-1] != end and "\n" not in text.lstrip() and len(written) < LONGEST:
            written.append(decoder.following(written[-1]))
            text = tokenizer.decode(written)
        texts.append(text)
        tokens += len(written)
    return {"texts": texts, "tokens_per_second": tokens / (time.perf_counter() - started)}


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
                "max_tokens": LONGEST,
                "temperature": 0,
                "top_k": 1,
                "stop": ["\n"],
                "cache_prompt": False,
            }
        )
        if "choices" not in answer:
            raise SystemExit(f"llama.cpp: {answer}")
        texts.append(answer["choices"][0]["text"])
        tokens += answer["timings"]["predicted_n"]
        milliseconds += answer["timings"]["prompt_ms"] + answer["timings"]["predicted_ms"]
    return {"texts": texts, "tokens_per_second": 1000 * tokens / milliseconds}


if __name__ == "__main__":
    main()
