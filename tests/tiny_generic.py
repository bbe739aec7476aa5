"""Tiny checkpoints of pipelines that are in no table of the farm; see tiny_models.py."""

from pathlib import Path
from typing import Any

import diffusers as D
import transformers as T
from tiny_models import ltx
from tiny_parts import (
    clip_vision,
    flow,
    pixels_of,
    seeded,
    t5_tokenizer,
    umt5,
    wan_transformer,
    wan_vae,
    words_tokenizer,
)


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


def i2vgen() -> Any:
    """A VAE of single images, and a U-Net that halves its latents once: any number of frames.

    It can be looked at, not rendered: with transformers 5 the class of diffusers 0.42.1 does not find its text encoder.
    """
    unet = seeded(
        D.I2VGenXLUNet, block_out_channels=(4, 8), layers_per_block=1, sample_size=32, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=4, attention_head_dim=4, num_attention_heads=None, norm_num_groups=2,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKL, block_out_channels=(8, 8, 8, 8), in_channels=3, out_channels=3, latent_channels=4,
        norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    tokenizer = words_tokenizer(())
    text = T.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=4, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=32, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return D.I2VGenXLPipeline(
        vae=vae, text_encoder=seeded(T.CLIPTextModel, text), tokenizer=tokenizer, unet=unet,
        image_encoder=clip_vision(T.CLIPVisionModelWithProjection), feature_extractor=pixels_of(32),
        scheduler=D.DDIMScheduler(clip_sample=False, set_alpha_to_one=False),
    )  # fmt: skip


TINY = {
    "I2VGenXLPipeline": i2vgen,
    "LTXConditionPipeline": ltx_condition,
    "SkyReelsV2DiffusionForcingImageToVideoPipeline": diffusion_forcing,
    "ChronoEditPipeline": chrono_edit,
}


def save(pipeline: str, folder: Path) -> Path:
    """The tiny checkpoint of a pipeline, as a folder."""
    TINY[pipeline]().save_pretrained(folder)
    return folder
