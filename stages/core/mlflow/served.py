"""The model as MLflow serves it: questions in, answers out. MLflow copies this file into the version.

It imports nothing of Lorekeep, because a version must load where Lorekeep is not installed. Prompt, begin
token, end tokens and answer are those of `core.models.conversation` and `core.models.causal_lm`, in short.
tests/core/mlflow/test_registry.py checks that both give the same answers.
"""

from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel

ANSWER_MARK = "\ue000"
"""Stands for the answer while a chat template is rendered."""
THOUGHT_END = "</think>"
"""Ends the thoughts of a reasoning model."""


class Answerer(PythonModel):  # type: ignore[misc]
    """Base model and adapter, merged."""

    def load_context(self, context: Any) -> None:
        """Load safetensors only, and no code that a model brings along."""
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        base = context.artifacts["base"]
        adapter = context.artifacts["adapter"]
        self.tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        # In a smaller type than that of the adapter, merging would lose what was learned.
        model = AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        ends = self.end_tokens(model.generation_config.eos_token_id)
        merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        self.model = merged.eval()
        # Greedy, whatever the checkpoint says about sampling.
        self.model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=context.model_config["max_new_tokens"],
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
        self.adds_begin = self.begins_texts(base)

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[str]:
        """Return one answer per question."""
        import torch

        answers = []
        for question in model_input:
            prompt = self.prompt_tokens(question)
            input_ids = torch.tensor([prompt])
            with torch.inference_mode():
                output = self.model.generate(
                    input_ids=input_ids, attention_mask=torch.ones_like(input_ids)
                )
            # The output (1, P + N) repeats the prompt's P tokens before the N new ones.
            answers.append(self.answer_of(output[0, len(prompt) :].tolist()))
        return answers

    def around_answer(self, question: str) -> tuple[str, str]:
        """Return what the chat template writes before an answer and behind it."""
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": ANSWER_MARK},
        ]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False)
        before, _, behind = text.rpartition(ANSWER_MARK)
        return before.rstrip(" "), behind

    def begins_texts(self, base: str) -> bool:
        """Return whether the tokenizer is to put the begin token before every text.

        transformers 5 loses the `add_bos_token` of DeepSeek's tokenizers.
        """
        import json
        from pathlib import Path

        begin = self.tokenizer.bos_token_id
        if begin is None:
            return False
        if self.tokenizer("a")["input_ids"][0] == begin:
            return True
        path = Path(base) / "tokenizer_config.json"
        if not path.is_file():
            return False
        return json.loads(path.read_text(encoding="utf-8")).get("add_bos_token") is True

    def prompt_tokens(self, question: str) -> list[int]:
        """Return the prompt's tokens, with the begin token once where there is one."""
        if self.tokenizer.chat_template:
            prompt, _ = self.around_answer(question)
        else:
            prompt = f"Question: {question}\nAnswer:"
        tokens: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        begin = self.tokenizer.bos_token_id
        if self.adds_begin and tokens[:1] != [begin]:
            tokens = [begin, *tokens]
        return tokens

    def end_tokens(self, configured: Any) -> list[int]:
        """Return the tokenizer's end token, those of the generation config, and that of the template."""
        ends = [self.tokenizer.eos_token_id]
        if isinstance(configured, int):
            ends.append(configured)
        elif configured is not None:
            ends += configured
        if self.tokenizer.chat_template:
            _, behind = self.around_answer("?")
            for token in self.tokenizer(behind.lstrip(), add_special_tokens=False)["input_ids"][:1]:
                added = self.tokenizer.added_tokens_decoder.get(token)
                if added is not None and added.special:
                    ends.append(token)
        return ends

    def answer_of(self, tokens: list[int]) -> str:
        """Return the first line, or with a chat template the whole turn behind the thoughts."""
        if not self.tokenizer.chat_template:
            text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
            return text.strip().partition("\n")[0].strip()
        thought_end = self.tokenizer(THOUGHT_END, add_special_tokens=False)["input_ids"]
        if len(thought_end) == 1:
            while thought_end[0] in tokens:
                tokens = tokens[tokens.index(thought_end[0]) + 1 :]
        turn: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return turn.strip()


mlflow.models.set_model(Answerer())
