"""Tiny checkpoints of pipelines that are in no table of the farm; see tiny_models.py."""

from pathlib import Path
from typing import Any

import diffusers as D
import transformers as T
from tiny_models import ltx
from tiny_parts import clip_vision, flow, pixels_of, t5_tokenizer, umt5, wan_transformer, wan_vae


def ltx_condition() -> Any:
    """Space by 32, time by 8; it is told a frame rate."""
    parts = ltx().components
    scheduler = D.FlowMatchEulerDiscreteScheduler()
    return D.LTXConditionPipeline(**(parts | {"scheduler": scheduler}))


def diffusion_forcing() -> Any:
    """Space by 16, time by 4; `fps` is an argument, and its transformer knows frame rates."""
    return D.SkyReelsV2DiffusionForcingImageToVideoPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=wan_vae(),
        scheduler=D.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0),
        transformer=wan_transformer(D.SkyReelsV2Transformer3DModel, in_channels=16, inject_sample_info=True),
    )  # fmt: skip


def chrono_edit() -> Any:
    """Nothing says its frame rate."""
    return D.ChronoEditPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=wan_vae(), scheduler=flow(3.0),
        image_processor=pixels_of(32), image_encoder=clip_vision(T.CLIPVisionModel),
        transformer=wan_transformer(D.ChronoEditTransformer3DModel, image_dim=32),
    )  # fmt: skip


TINY = {
    "LTXConditionPipeline": ltx_condition,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": diffusion_forcing,
    "ChronoEditPipeline": chrono_edit,
}


def save(pipeline: str, folder: Path) -> Path:
    """The tiny checkpoint of a pipeline, as a folder."""
    TINY[pipeline]().save_pretrained(folder)
    return folder
