"""The model as MLflow serves it: questions in, answers out. MLflow copies this file into the version (models from code).

It stands alone: a version must load where Lorekeep is not installed. Prompt and decoding are those of `core.prompt` and
`core.models`; tests/core/mlflow/test_registry.py holds them together.
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
        self.tokenizer = AutoTokenizer.from_pretrained(
            base, local_files_only=True, padding_side="left"
        )
        model = AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, use_safetensors=True
        )
        self.max_new_tokens = context.model_config["max_new_tokens"]
        self.model = (
            PeftModel.from_pretrained(model, context.artifacts["adapter"]).merge_and_unload().eval()
        )

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[str]:
        """One answer per question."""
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
            text = self.tokenizer.decode(
                output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
            )
            answers.append(text.strip())
        return answers


mlflow.models.set_model(Answerer())
