"""Train the seed model: its byte-level BPE tokenizer, then a small Llama, from scratch, in float32.

In: `corpus.jsonl`. Out: a model folder (config, safetensors, tokenizer) and `pretrain.json` (loss, recall).
Run by DVC: `python pretrain.py <corpus.jsonl> <skill.jsonl> <model folder> <pretrain.json>`.

Matrices are updated by Muon (momentum, orthogonalised by Newton–Schulz; K. Jordan et al., 2024,
kellerjordan.github.io/posts/muon), embeddings and norms by AdamW; linear warm-up, then linear decay to zero. One text
is one row, so that every text stands at the position it has when the model is asked; rows of like length share a batch.
"""

import json
import os
import random
import sys
from collections.abc import Iterator
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

from stages.core.muon import Muon, layer_matrices  # noqa: E402

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


def batches(rows: dict[str, list[list[int]]], rng: random.Random) -> Iterator[torch.Tensor]:
    """Endless batches (rows, tokens), padded with 0: all facts once an epoch, the other texts a part at a time.

    `rows` holds the token rows of facts (f), glosses (g) and openings (o).
    """
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
        epoch.sort(key=len)  # stable: rows of one length stay shuffled
        groups, group = [], []
        for row in epoch:
            if (len(group) + 1) * len(row) > PARAMS["tokens_per_batch"]:
                groups.append(group)
                group = []
            group.append(row)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            width = max(map(len, group))
            yield torch.tensor([row + [0] * (width - len(row)) for row in group])


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    inner = layer_matrices(model)
    matrices = {id(matrix) for matrix in inner}
    others = [parameter for parameter in model.parameters() if id(parameter) not in matrices]
    return [
        Muon(inner, lr=PARAMS["muon_lr"], weight_decay=PARAMS["weight_decay"]),
        torch.optim.AdamW(others, lr=PARAMS["adam_lr"], betas=(0.9, 0.95), weight_decay=0.0),
    ]


def pretrain(model: LlamaForCausalLM, stream: Iterator[torch.Tensor]) -> list[float]:
    """Train for the steps in params.yaml and return the mean loss of every hundred steps."""
    steps, warmup = PARAMS["steps"], PARAMS["warmup"]
    optims = optimizers(model)
    schedule = lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))  # noqa: E731
    schedulers = [torch.optim.lr_scheduler.LambdaLR(optim, schedule) for optim in optims]
    curve, recent = [], []
    for step in (bar := trange(steps, mininterval=10)):
        ids = next(stream)
        loss = model(input_ids=ids, attention_mask=(ids != 0).long(), labels=ids.masked_fill(ids == 0, -100)).loss
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
def recall(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tests: list[dict[str, Any]]) -> float:
    """Share of test questions answered word for word."""
    model.eval()
    right = 0
    for start in range(0, len(tests), 128):
        part = tests[start : start + 128]
        inputs = tokenizer([f"Question: {test['question']}\nAnswer:" for test in part], return_tensors="pt", padding=True)
        out = model.generate(**inputs, max_new_tokens=40, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        answers = tokenizer.batch_decode(out, skip_special_tokens=True)
        right += sum(answer.strip() == test["answer"] for answer, test in zip(answers, part, strict=True))
    return right / len(tests)


def main() -> None:
    """Train and save; print loss and recall on questions in wordings not trained for their fact."""
    corpus, skill, target, metrics = map(Path, sys.argv[1:])
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    torch.set_num_threads(PARAMS["threads"])
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(PARAMS["seed"])
    rng = random.Random(PARAMS["seed"])
    tokenizer = train_tokenizer([row["text"] for row in rows if row["id"][0] != "o"], PARAMS["vocabulary"])
    encoded: dict[str, list[list[int]]] = {"f": [], "g": [], "o": []}
    for row, ids in zip(rows, tokenizer([row["text"] for row in rows])["input_ids"], strict=True):
        kind = row["id"][0]
        encoded[kind].append(ids if kind == "o" else [*ids, tokenizer.eos_token_id])  # an opening is no whole text
    model = build_model(len(tokenizer))
    curve = pretrain(model, batches(encoded, rng))
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    tests = [json.loads(line) for line in skill.read_text(encoding="utf-8").splitlines()]
    report = {
        "parameters": model.num_parameters(),
        "fact_tokens": sum(map(len, encoded["f"])),
        "loss": [round(value, 4) for value in curve],
        "recall": round(recall(model, tokenizer, rng.sample(tests, min(1000, len(tests)))), 4),
    }
    metrics.write_text(json.dumps(report, indent=2) + "\n")
    print(f"{report['parameters']:,} parameters, loss {curve[-1]:.3f}, recall {report['recall']:.3f}")


if __name__ == "__main__":
    main()
