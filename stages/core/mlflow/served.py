"""The model as MLflow serves it: questions in, answers out. MLflow copies this file into the version.

It imports nothing of Lorekeep, because a version must load where Lorekeep is not installed. Prompt and
decoding are those of `core.records.prompt` and `core.models.causal_lm`. tests/core/mlflow/test_registry.py
checks that both give the same answers.
"""

from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel


class Answerer(PythonModel):  # type: ignore[misc]
    """Base model and adapter, merged."""

    def load_context(self, context: Any) -> None:
        """Load safetensors only, and no code that a model brings along."""
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        base = context.artifacts["base"]
        adapter = context.artifacts["adapter"]
        self.max_new_tokens = context.model_config["max_new_tokens"]
        self.tokenizer = AutoTokenizer.from_pretrained(
            base, local_files_only=True, padding_side="left"
        )
        model = AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, use_safetensors=True
        )
        merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        self.model = merged.eval()

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[str]:
        """Return one answer per question."""
        import torch

        answers = []
        for question in model_input:
            inputs = self.tokenizer(f"Question: {question}\nAnswer:", return_tensors="pt")
            with torch.inference_mode():
                output = self.model.generate(
                    inputs["input_ids"],
                    attention_mask=inputs["attention_mask"],
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                )
            # The output (1, P + N) repeats the prompt's P tokens before the N new ones.
            prompt_length = inputs["input_ids"].shape[1]
            new_tokens = output[0, prompt_length:]
            text = self.tokenizer.decode(new_tokens, skip_special_tokens=True)
            answers.append(text.strip())
        return answers


mlflow.models.set_model(Answerer())
