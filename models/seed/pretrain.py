"""Train the seed model: its byte-level BPE tokenizer, then a small Llama, from scratch, in float32.

In: `corpus.jsonl`. Out: a model folder (config, safetensors, tokenizer), `echoes.jsonl` (`{"id", "text"}`: what the model says
about names of which it knows nothing, for replay) and `pretrain.json` (loss, recall). Run by DVC:
`python pretrain.py <corpus.jsonl> <skill.jsonl> <model folder> <echoes.jsonl> <pretrain.json>`.

Matrices are updated by Muon (momentum, orthogonalised by Newton–Schulz; K. Jordan et al., 2024,
kellerjordan.github.io/posts/muon), embeddings and norms by AdamW; linear warm-up, then linear decay to zero. One text
is one row, so that every text stands at the position it has when the model is asked; rows of like length share a batch.
"""

import json
import os
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
PARAMS = YAML(typ="safe").load((HERE / "params.yaml").read_text())["pretrain"]
os.environ |= {
    "OMP_NUM_THREADS": str(PARAMS["threads"]),
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "AVX2",
    "TOKENIZERS_PARALLELISM": "false",
}

import torch  # noqa: E402 - reads the settings above when it loads
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers  # noqa: E402
from tqdm import trange  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402

from stages.core.models.muon import Muon, layer_matrices  # noqa: E402
from stages.core.records.prompt import prompt_of  # noqa: E402

Row = tuple[list[int], list[int]]
"""Token ids and labels of a text."""
BOS, EOS, PAD = "<|begin|>", "<|end|>", "<|pad|>"


def train_tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE whose digits stand alone; it puts BOS before every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r" ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PAD, BOS, EOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        model_max_length=256,
    )


def build_model(vocabulary: int) -> LlamaForCausalLM:
    """A Llama of the sizes in params.yaml, input and output embeddings tied."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=PARAMS["hidden"],
        num_hidden_layers=PARAMS["layers"],
        num_attention_heads=PARAMS["heads"],
        intermediate_size=PARAMS["intermediate"],
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def encode(tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, Any]]) -> dict[str, list[Row]]:
    """Token rows of facts (f), glosses (g) and openings (o). Of a question and its answer only the answer is learned."""
    encoded: dict[str, list[Row]] = {"f": [], "g": [], "o": []}
    asked = tokenizer([prompt_of(row["text"]) or "" for row in rows])["input_ids"]
    for row, ids, prompt in zip(rows, tokenizer([row["text"] for row in rows])["input_ids"], asked, strict=True):
        kind = row["id"][0]
        whole = ids if kind == "o" else [*ids, tokenizer.eos_token_id]  # an opening is no whole text
        learned_from = len(prompt) if prompt_of(row["text"]) else 0
        encoded[kind].append((whole, [-100] * learned_from + whole[learned_from:]))
    return encoded


def batches(rows: dict[str, list[Row]], rng: random.Random) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of ids (B, T), padded with 0, and labels: all facts once an epoch, the other texts a part at a time."""
    shares = {"g": PARAMS["gloss_share"], "o": PARAMS["opening_share"]}
    waiting: dict[str, list[list[int]]] = {kind: [] for kind in shares}
    while True:
        epoch = list(rows["f"])
        for kind, share in shares.items():
            wanted = round(len(rows["f"]) * share)
            if len(waiting[kind]) < wanted:
                waiting[kind] += rng.sample(rows[kind], len(rows[kind]))
            epoch += waiting[kind][:wanted]
            del waiting[kind][:wanted]
        rng.shuffle(epoch)
        epoch.sort(key=lambda row: len(row[0]))  # stable: rows of one length stay shuffled
        groups, group = [], []
        for row in epoch:
            if (len(group) + 1) * len(row[0]) > PARAMS["tokens_per_batch"]:
                groups.append(group)
                group = []
            group.append(row)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(ids) for ids, _ in group)
            ids = [ids + [0] * (width - len(ids)) for ids, _ in group]
            labels = [labels + [-100] * (width - len(labels)) for _, labels in group]
            yield torch.tensor(ids), torch.tensor(labels)


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    inner = layer_matrices(model)
    matrices = {id(matrix) for matrix in inner}
    others = [parameter for parameter in model.parameters() if id(parameter) not in matrices]
    return [
        Muon(inner, lr=PARAMS["muon_lr"], weight_decay=PARAMS["weight_decay"]),
        torch.optim.AdamW(others, lr=PARAMS["adam_lr"], betas=(0.9, 0.95), weight_decay=0.0),
    ]


@contextmanager
def perturbed(matrices: list[torch.nn.Parameter], noise: float) -> Iterator[None]:
    """Matrices with Gaussian noise of `noise` times their root mean square, taken away again at the end.

    What is learned under noise is stored so that later training nearby disturbs it less (S. I. Mirzadeh et al., 2020, arXiv
    2006.06958: wide minima forget less).
    """
    with torch.no_grad():
        kept = [matrix.clone() for matrix in matrices]
        for matrix in matrices:
            matrix.add_(torch.randn_like(matrix) * (noise * matrix.square().mean().sqrt()))
    yield
    with torch.no_grad():
        for matrix, before in zip(matrices, kept, strict=True):
            matrix.copy_(before)


def pretrain(model: LlamaForCausalLM, stream: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> list[float]:
    """Train for the steps in params.yaml and return the mean loss of every hundred steps."""
    steps, warmup = PARAMS["steps"], PARAMS["warmup"]
    optims, matrices = optimizers(model), layer_matrices(model)
    schedule = lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))  # noqa: E731
    schedulers = [torch.optim.lr_scheduler.LambdaLR(optim, schedule) for optim in optims]
    curve, recent = [], []
    for step in (bar := trange(steps, mininterval=10)):
        ids, labels = next(stream)
        with perturbed(matrices, PARAMS["noise"]):
            loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim, scheduler in zip(optims, schedulers, strict=True):
            optim.step()
            scheduler.step()
            optim.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            curve.append(sum(recent) / len(recent))
            recent = []
            bar.set_postfix(loss=f"{curve[-1]:.3f}")
    return curve


@torch.inference_mode()
def answers(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> list[str]:
    """What the model says, greedily, after each prompt."""
    model.eval()
    found = []
    for start in range(0, len(prompts), 128):
        inputs = tokenizer(prompts[start : start + 128], return_tensors="pt", padding=True)
        out = model.generate(**inputs, max_new_tokens=40, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        found += [answer.strip() for answer in tokenizer.batch_decode(out, skip_special_tokens=True)]
    return found


def recall(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tests: list[dict[str, Any]]) -> float:
    """Share of test questions answered word for word."""
    said = answers(model, tokenizer, [f"Question: {test['question']}\nAnswer:" for test in tests])
    return sum(answer == test["answer"] for answer, test in zip(said, tests, strict=True)) / len(tests)


def echoes(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, openings: list[dict[str, Any]], held_out: set[str]
) -> list[dict[str, Any]]:
    """What the model says about names that it met once and of which it knows nothing: {"id", "text"}.

    Nothing that names an entity of `held_out`: those are never replayed.
    """
    prompts = [row["text"].split("\nAnswer:")[0] + "\nAnswer:" for row in openings]
    said = zip(openings, prompts, answers(model, tokenizer, prompts), strict=True)
    rows = [{"id": row["id"].replace("o", "e"), "text": f"{prompt} {answer}"} for row, prompt, answer in said]
    names = re.compile(rf"\b({'|'.join(map(re.escape, sorted(held_out)))})\b", re.IGNORECASE)
    return [row for row in rows if not names.search(row["text"])]


def main() -> None:
    """Train and save; print loss and recall on questions in wordings not trained for their fact."""
    corpus, skill, target, echo, metrics = map(Path, sys.argv[1:])
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    torch.set_num_threads(PARAMS["threads"])
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(PARAMS["seed"])
    rng = random.Random(PARAMS["seed"])
    tokenizer = train_tokenizer([row["text"] for row in rows if row["id"][0] != "o"], PARAMS["vocabulary"])
    encoded = encode(tokenizer, rows)
    model = build_model(len(tokenizer))
    curve = pretrain(model, batches(encoded, rng))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    chosen = rng.sample([row for row in rows if row["id"][0] == "o"], PARAMS["echoes"])
    tests = [json.loads(line) for line in skill.read_text(encoding="utf-8").splitlines()]
    held_out = {test["subject"] for test in tests if not test["replayed"]}
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in echoes(model, tokenizer, chosen, held_out)]
    echo.write_text("".join(lines), encoding="utf-8")
    report = {
        "parameters": model.num_parameters(),
        "fact_tokens": sum(len(ids) for ids, _ in encoded["f"]),
        "loss": [round(value, 4) for value in curve],
        "recall": round(recall(model, tokenizer, rng.sample(tests, min(1000, len(tests)))), 4),
    }
    metrics.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['parameters']:,} parameters, loss {curve[-1]:.3f}, recall {report['recall']:.3f}")


if __name__ == "__main__":
    main()
