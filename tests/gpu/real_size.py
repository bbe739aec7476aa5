"""Models of the published sizes with random weights: what they render is noise, what they cost is real.

Each is built on the device in bfloat16, saved as diffusers saves, and let go; whoever uses it goes through the real
`from_pretrained`. Only the text encoder is small, with the published one's width: it runs once a prompt. `tiny` builds
the same models by the same code with small numbers, on any machine.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers as D
import torch
import transformers as T
from tiny_parts import flow, t5_tokenizer


@dataclass(frozen=True)
class RealSize:
    """One model: its networks, how they become a pipeline, and the take that its publisher shows.

    `transformer`, `vae` and `text` are what the published configurations say; `small` replaces some of their values.
    """

    networks: tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]
    pipeline: Callable[..., Any]
    transformer: dict[str, Any]
    vae: dict[str, Any]
    size: tuple[int, int]
    frames: int
    steps: int
    small: dict[str, dict[str, Any]]
    text: dict[str, Any]


_TEXT = {
    "vocab_size": 256, "d_model": 4096, "d_kv": 64, "d_ff": 1024, "num_layers": 2, "num_heads": 8,
    "feed_forward_proj": "gated-gelu", "dropout_rate": 0.0,
}  # fmt: skip
_SMALL_TEXT = {"d_model": 32, "d_kv": 8, "d_ff": 37, "num_heads": 4}


def _umt5(**config: Any) -> Any:
    return T.UMT5EncoderModel(T.UMT5Config(**config))


def _t5(**config: Any) -> Any:
    return T.T5EncoderModel(T.T5Config(**config))


def _wan(**parts: Any) -> Any:
    return D.WanImageToVideoPipeline(
        tokenizer=t5_tokenizer(), scheduler=flow(5.0), image_processor=None, image_encoder=None, expand_timesteps=True,
        **parts,
    )  # fmt: skip


def _ltx(**parts: Any) -> Any:
    scheduler = D.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, max_image_seq_len=4096,
        shift_terminal=0.1,
    )  # fmt: skip
    return D.LTXImageToVideoPipeline(tokenizer=t5_tokenizer(128), scheduler=scheduler, **parts)


REAL_SIZE: dict[str, RealSize] = {
    "wan2.2-ti2v-5b": RealSize(
        networks=(D.WanTransformer3DModel, D.AutoencoderKLWan, _umt5),
        pipeline=_wan,
        transformer={
            "patch_size": (1, 2, 2), "num_attention_heads": 24, "attention_head_dim": 128, "in_channels": 48,
            "out_channels": 48, "text_dim": 4096, "freq_dim": 256, "ffn_dim": 14336, "num_layers": 30,
            "cross_attn_norm": True, "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024,
        },
        vae={
            "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2,
            "attn_scales": [], "temperal_downsample": [False, True, True], "is_residual": True, "in_channels": 12,
            "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16, "scale_factor_temporal": 4,
            "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
        },
        text=_TEXT,
        size=(1280, 704),
        frames=121,
        steps=50,
        small={
            "transformer": {"num_attention_heads": 2, "attention_head_dim": 12, "text_dim": 32, "ffn_dim": 32,
                            "num_layers": 2},
            "vae": {"base_dim": 8, "decoder_base_dim": 8, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
            "text": _SMALL_TEXT,
        },
    ),
    "ltx-video": RealSize(
        networks=(D.LTXVideoTransformer3DModel, D.AutoencoderKLLTXVideo, _t5),
        pipeline=_ltx,
        transformer={
            "in_channels": 128, "out_channels": 128, "patch_size": 1, "patch_size_t": 1, "num_attention_heads": 32,
            "attention_head_dim": 64, "cross_attention_dim": 2048, "num_layers": 28, "caption_channels": 4096,
        },
        vae={"latent_channels": 128},  # diffusers' defaults are the 0.9 checkpoint's
        text=_TEXT,
        size=(704, 512),
        frames=161,
        steps=50,
        small={
            "transformer": {"in_channels": 8, "out_channels": 8, "num_attention_heads": 4, "attention_head_dim": 8,
                            "cross_attention_dim": 32, "num_layers": 2, "caption_channels": 32},
            "vae": {"latent_channels": 8, "block_out_channels": (8, 8, 8, 8),
                    "decoder_block_out_channels": (8, 8, 8, 8), "layers_per_block": (1,) * 5,
                    "decoder_layers_per_block": (1,) * 5},
            "text": _SMALL_TEXT,
        },
    ),
}  # fmt: skip


def configured(name: str, *, tiny: bool) -> list[dict[str, Any]]:
    """The configurations of transformer, VAE and text encoder."""
    model = REAL_SIZE[name]
    published = {"transformer": model.transformer, "vae": model.vae, "text": model.text}
    return [own | model.small[part] if tiny else own for part, own in published.items()]


def built(name: str, *, device: str, tiny: bool = False) -> Any:
    """The pipeline, its weights drawn on the device in bfloat16 from one seed."""
    model = REAL_SIZE[name]
    torch.manual_seed(0)
    with torch.device(device), _default(torch.bfloat16):
        transformer, vae, text = (
            make(**config).eval()
            for make, config in zip(model.networks, configured(name, tiny=tiny), strict=True)
        )
    return model.pipeline(transformer=transformer, vae=vae, text_encoder=text)


def save(name: str, folder: Path, *, device: str, tiny: bool = False) -> Path:
    """Writes the model into `folder`; nothing of it is left on the device."""
    pipe = built(name, device=device, tiny=tiny)
    pipe.save_pretrained(folder)
    del pipe
    gc.collect()
    if device != "cpu":
        torch.cuda.empty_cache()
    return folder


def billions(name: str) -> tuple[float, float]:
    """(transformer's, VAE's) parameters in billions at the published size; no memory is needed to count them."""
    pipe = built(name, device="meta")
    counts = [sum(one.numel() for one in part.parameters()) / 1e9 for part in (pipe.transformer, pipe.vae)]
    return counts[0], counts[1]


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
