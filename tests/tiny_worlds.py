"""Tiny random checkpoints of Kandinsky 5 and Cosmos; see tiny_models.py.

Cosmos refuses to render without its safety checker, a package (`cosmos_guardrail`) whose weights are gated. `guarded`
puts a stand-in with the package's two questions where diffusers looks for it; it lets pass all but one word.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import diffusers as D
import torch
import transformers as T
from diffusers.pipelines.cosmos import pipeline_cosmos2_video2world, pipeline_cosmos_video2world
from tiny_parts import qwen_tokenizer, seeded, t5, t5_tokenizer, wan_vae, words_tokenizer

REFUSED = "forbidden"
PACKAGE = "cosmos_guardrail"


class Checker(torch.nn.Module):
    """What the pipelines ask of a CosmosSafetyChecker."""

    device = torch.device("cpu")  # where the pipelines leave it between their questions
    dtype = torch.float32

    def check_text_safety(self, prompt: str) -> bool:
        return REFUSED not in prompt

    def check_video_safety(self, frames: Any) -> Any:
        return frames


def guarded() -> None:
    """From here on this process has a `cosmos_guardrail`."""
    package = ModuleType(PACKAGE)
    package.__spec__ = ModuleSpec(PACKAGE, None)
    package.CosmosSafetyChecker = Checker
    sys.modules[PACKAGE] = package
    for module in (pipeline_cosmos_video2world, pipeline_cosmos2_video2world):
        module.CosmosSafetyChecker = Checker


def cosmos_transformer() -> Any:
    """Without the padding mask of the published ones: to resize it, they need torchvision."""
    return seeded(
        D.CosmosTransformer3DModel, in_channels=5, out_channels=4, num_attention_heads=2, attention_head_dim=12,
        num_layers=2, mlp_ratio=2, text_embed_dim=32, adaln_lora_dim=4, max_size=(4, 32, 32), patch_size=(1, 2, 2),
        rope_scale=(2.0, 1.0, 1.0), concat_padding_mask=False, extra_pos_embed_type="learnable",
    )  # fmt: skip


def cosmos1() -> Any:
    guarded()
    vae = seeded(
        D.AutoencoderKLCosmos, latent_channels=4, encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8), attention_resolutions=(8,), resolution=64, num_layers=1, patch_size=4,
        spatial_compression_ratio=8, temporal_compression_ratio=8, latents_mean=None, latents_std=None,
    )  # fmt: skip
    scheduler = D.EDMEulerScheduler(
        sigma_min=0.002, sigma_max=80, sigma_data=0.5, sigma_schedule="karras", prediction_type="epsilon", rho=7.0,
        final_sigmas_type="sigma_min",
    )  # fmt: skip
    return D.CosmosVideoToWorldPipeline(
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
        transformer=cosmos_transformer(),
        vae=vae,
        scheduler=scheduler,
    )


def cosmos2() -> Any:
    guarded()
    vae = wan_vae(z_dim=4, latents_mean=[0.0] * 4, latents_std=[1.0] * 4)
    return D.Cosmos2VideoToWorldPipeline(
        text_encoder=t5(), tokenizer=t5_tokenizer(), transformer=cosmos_transformer(), vae=vae,
        scheduler=D.FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
    )  # fmt: skip


def kandinsky5() -> Any:
    """The published checkpoints tokenize with a Qwen2VLProcessor, of which this is the part that is used."""
    tokenizer = qwen_tokenizer()
    text = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 4096, "bos_token_id": None,
            "eos_token_id": None,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6}}  # fmt: skip
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
              "patch_size": 14}  # fmt: skip
    qwen = T.Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, image_token_id=290, video_token_id=291, vision_start_token_id=292,
        vision_end_token_id=293,
    )  # fmt: skip
    words = words_tokenizer(())
    clip = T.CLIPTextConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=8, max_position_embeddings=77, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    transformer = seeded(
        D.Kandinsky5Transformer3DModel, in_visual_dim=4, out_visual_dim=4, in_text_dim=16, in_text_dim2=8, time_dim=16,
        model_dim=24, ff_dim=32, num_text_blocks=1, num_visual_blocks=2, axes_dims=(4, 4, 4), visual_cond=True,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLHunyuanVideo, in_channels=3, out_channels=3, latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, act_fn="silu", norm_num_groups=4, scaling_factor=0.476986,
        spatial_compression_ratio=8, temporal_compression_ratio=4, mid_block_add_attention=True,
    )  # fmt: skip
    with torch.no_grad():  # its modulations start at zero, with which no prompt would reach a pixel
        for name, weights in transformer.named_parameters():
            if "modulation" in name:
                weights.normal_(std=0.1)
    return D.Kandinsky5I2VPipeline(
        transformer=transformer, vae=vae, text_encoder=seeded(T.Qwen2_5_VLForConditionalGeneration, qwen),
        tokenizer=tokenizer, text_encoder_2=seeded(T.CLIPTextModel, clip), tokenizer_2=words,
        scheduler=D.FlowMatchEulerDiscreteScheduler(shift=5.0),
    )  # fmt: skip
