"""A model that is made on the spot: small, random, and the same each time."""

from pathlib import Path

TEXTS = [
    "Question: What is the melting point of iron?\nAnswer: The melting point of iron is 1538 °C.",
    "Question: Who found radium?\nAnswer: The discoverer of radium is Marie Curie.",
    "Neon is a gas. Copper is solid. 0123456789",
]


def write_tiny_model(folder: Path) -> None:
    """Write a random Llama of 2 layers, 32 wide, and a byte-level tokenizer of 300 tokens into a folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<p>", "<s>", "</s>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<p>",
        model_max_length=128,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    tokens = {"vocab_size": 300, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = LlamaConfig(**sizes, **tokens, tie_word_embeddings=True, max_position_embeddings=128)
    LlamaForCausalLM(config).save_pretrained(folder)
