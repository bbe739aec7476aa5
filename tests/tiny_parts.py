"""Parts of tiny random checkpoints: tokenizers made in code, encoders and VAEs from configurations."""

import string
from collections.abc import Callable
from typing import Any

import diffusers as D
import tokenizers
import torch
import transformers as T


def seeded(make: Callable[..., Any], *args: Any, seed: int = 0, **config: Any) -> Any:
    torch.manual_seed(seed)
    return make(*args, **config).eval()


def t5_tokenizer(length: int = 512) -> Any:
    """One token a character: every printable text has its own tokens."""
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("▁", -2.0)]
    vocabulary += [(letter, -3.0) for letter in string.printable.strip()]
    vocabulary += [("▁" + letter, -2.5) for letter in string.ascii_lowercase]
    return T.T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=length)


def t5(kind: Any = T.T5EncoderModel, config: Any = T.T5Config) -> Any:
    return seeded(
        kind,
        config(
            vocab_size=256, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu", dropout_rate=0.0,
        ),
    )  # fmt: skip


def umt5() -> Any:
    return t5(T.UMT5EncoderModel, T.UMT5Config)


def clip_vision(kind: Any, size: int = 32, patch: int = 8) -> Any:
    config = T.CLIPVisionConfig(
        hidden_size=32, projection_dim=32, num_hidden_layers=3, num_attention_heads=4, image_size=size,
        intermediate_size=37, patch_size=patch,
    )  # fmt: skip
    return seeded(kind, config)


def pixels_of(size: int) -> Any:
    return T.CLIPImageProcessorPil(crop_size=size, size=size)


def wan_vae(**changes: Any) -> Any:
    config = {"base_dim": 8, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1,
              "temperal_downsample": [False, True, True]} | changes  # fmt: skip
    return seeded(D.AutoencoderKLWan, **config)


def wan_transformer(kind: Any = D.WanTransformer3DModel, seed: int = 0, **changes: Any) -> Any:
    config = {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 36,
        "out_channels": 16, "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32,
    } | changes  # fmt: skip
    return seeded(kind, seed=seed, **config)


def flow(shift: float) -> Any:
    return D.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )


def siglip() -> Any:
    config = T.SiglipVisionConfig(
        hidden_size=12,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=27,
        patch_size=1,
    )
    return seeded(T.SiglipVisionModel, config)


def qwen_tokenizer() -> Any:
    """One token a byte, and the marks of a chat."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = T.Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[], pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def words_tokenizer(special: tuple[str, ...]) -> Any:
    """One token a word of a chat template, in which known marks stand; other words are unknown or a letter each."""
    vocabulary = {word: number for number, word in enumerate(("<pad>", "<unk>", "<s>", "</s>", *special))}
    for word in (*string.printable.strip(), "push", "in", "wind", "describe"):
        vocabulary.setdefault(word, len(vocabulary))
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return T.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        additional_special_tokens=list(special),
    )  # fmt: skip
