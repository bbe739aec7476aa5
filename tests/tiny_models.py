"""Tiny random checkpoints of image-to-video families, made from configurations alone: no download, seconds to build.

Invariant: the same family is always the same weights. They are saved as diffusers saves them, so that what a test
loads went through the real `from_pretrained`. What they render is noise; that it is the right noise is the point.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers as D
import transformers as T
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from tiny_hunyuan import framepack, hunyuanvideo, hunyuanvideo15
from tiny_parts import clip_vision, flow, pixels_of, seeded, t5, t5_tokenizer, umt5, wan_transformer, wan_vae
from tiny_worlds import cosmos1, cosmos2, kandinsky5


@dataclass(frozen=True)
class Tiny:
    """One family's checkpoint, and what a job must say to render a small take of it."""

    make: Callable[[], Any]
    frames: int
    size: str = "64x64"
    options: dict[str, Any] = field(default_factory=dict)
    steps: int = 2


def wan21() -> Any:
    return D.WanImageToVideoPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=wan_vae(), scheduler=flow(3.0),
        image_processor=pixels_of(32), image_encoder=clip_vision(T.CLIPVisionModel),
        transformer=wan_transformer(image_dim=32),
    )  # fmt: skip


def wan22_a14b() -> Any:
    return D.WanImageToVideoPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=wan_vae(), scheduler=flow(3.0), image_processor=None,
        image_encoder=None, transformer=wan_transformer(), transformer_2=wan_transformer(seed=1), boundary_ratio=0.9,
    )  # fmt: skip


def wan22_ti2v_5b() -> Any:
    vae = wan_vae(
        z_dim=48, in_channels=12, out_channels=12, is_residual=True, patch_size=2, latents_mean=[0.0] * 48,
        latents_std=[1.0] * 48, scale_factor_spatial=16, scale_factor_temporal=4,
    )  # fmt: skip
    return D.WanImageToVideoPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=vae, scheduler=flow(5.0), image_processor=None,
        image_encoder=None, transformer=wan_transformer(in_channels=48, out_channels=48), expand_timesteps=True,
    )  # fmt: skip


def skyreels() -> Any:
    return D.SkyReelsV2ImageToVideoPipeline(
        tokenizer=t5_tokenizer(), text_encoder=umt5(), vae=wan_vae(), scheduler=flow(5.0),
        image_processor=pixels_of(32), image_encoder=clip_vision(T.CLIPVisionModelWithProjection),
        transformer=wan_transformer(D.SkyReelsV2Transformer3DModel, image_dim=32),
    )  # fmt: skip


def ltx() -> Any:
    transformer = seeded(
        D.LTXVideoTransformer3DModel, in_channels=8, out_channels=8, patch_size=1, patch_size_t=1,
        num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32, num_layers=2, caption_channels=32,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLLTXVideo, latent_channels=8, block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=(1,) * 5, decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, True, False), decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5, upsample_residual=(False,) * 4, upsample_factor=(1,) * 4,
        timestep_conditioning=False, patch_size=4, patch_size_t=1, encoder_causal=True, decoder_causal=False,
    )  # fmt: skip
    return D.LTXImageToVideoPipeline(
        scheduler=D.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), vae=vae, text_encoder=t5(),
        tokenizer=t5_tokenizer(128), transformer=transformer,
    )  # fmt: skip


def cogvideox(*, newer: bool = False) -> Any:
    own = (
        {"patch_size_t": 2, "ofs_embed_dim": 2, "patch_bias": False}
        if newer
        else {"use_learned_positional_embeddings": True}
    )
    transformer = seeded(
        D.CogVideoXTransformer3DModel, num_attention_heads=2, attention_head_dim=16, in_channels=8, out_channels=4,
        time_embed_dim=2, text_embed_dim=32, num_layers=2, sample_width=8, sample_height=8, sample_frames=9,
        patch_size=2, temporal_compression_ratio=4, max_text_seq_length=16,
        use_rotary_positional_embeddings=True, **own,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLCogVideoX, block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1,
        norm_num_groups=2, temporal_compression_ratio=4, sample_height=64, sample_width=64,
    )  # fmt: skip
    scheduler = D.CogVideoXDPMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="trailing"
    )  # fmt: skip
    return D.CogVideoXImageToVideoPipeline(
        tokenizer=t5_tokenizer(226), text_encoder=t5(), vae=vae, transformer=transformer, scheduler=scheduler
    )


def svd() -> Any:
    unet = seeded(
        D.UNetSpatioTemporalConditionModel, block_out_channels=(32, 64), layers_per_block=1, sample_size=32,
        in_channels=8, out_channels=4, down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=32,
        num_attention_heads=4, projection_class_embeddings_input_dim=96, addition_time_embed_dim=32, num_frames=14,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLTemporalDecoder, block_out_channels=(32, 32, 32, 32), layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
    )  # fmt: skip
    scheduler = D.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        sigma_max=700.0, sigma_min=0.002, steps_offset=1, timestep_spacing="leading", timestep_type="continuous",
        use_karras_sigmas=True,
    )  # fmt: skip
    return D.StableVideoDiffusionPipeline(
        vae=vae, image_encoder=clip_vision(T.CLIPVisionModelWithProjection, 224, 32), unet=unet, scheduler=scheduler,
        feature_extractor=pixels_of(224),
    )  # fmt: skip


def sana() -> Any:
    gemma = T.Gemma2Config(
        vocab_size=256, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=512,
    )  # fmt: skip
    transformer = seeded(
        D.SanaVideoTransformer3DModel, in_channels=16, out_channels=16, num_attention_heads=2, attention_head_dim=12,
        num_layers=2, num_cross_attention_heads=2, cross_attention_head_dim=12, cross_attention_dim=24,
        caption_channels=8, mlp_ratio=2.5, sample_size=8, patch_size=(1, 2, 2), qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )  # fmt: skip
    tokenizer = t5_tokenizer(300)
    tokenizer.padding_side = "right"
    return D.SanaImageToVideoPipeline(
        tokenizer=tokenizer, text_encoder=seeded(T.Gemma2Model, gemma), vae=wan_vae(), transformer=transformer,
        scheduler=D.FlowMatchEulerDiscreteScheduler(shift=8.0),
    )  # fmt: skip


def ltx2() -> Any:
    """29 layers, since the pipeline guides by its 29th; audio is made beside the frames and dropped."""
    text = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 2048}  # fmt: skip
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16}  # fmt: skip
    gemma = T.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=255, boi_token_index=254,
        eoi_token_index=253,
    )  # fmt: skip
    transformer = seeded(
        D.LTX2VideoTransformer3DModel, in_channels=4, out_channels=4, patch_size=1, patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=8, cross_attention_dim=16, audio_in_channels=4, audio_out_channels=4,
        audio_num_attention_heads=2, audio_attention_head_dim=4, audio_cross_attention_dim=8, num_layers=29,
        qk_norm="rms_norm_across_heads", caption_channels=16, rope_double_precision=False, rope_type="split",
    )  # fmt: skip
    connectors = seeded(
        LTX2TextConnectors, caption_channels=16, text_proj_in_factor=3, video_connector_num_attention_heads=4,
        video_connector_attention_head_dim=4, video_connector_num_layers=1,
        video_connector_num_learnable_registers=None,
        audio_connector_num_attention_heads=4, audio_connector_attention_head_dim=4, audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=None, connector_rope_base_seq_len=32, rope_theta=10000.0,
        rope_double_precision=False, causal_temporal_positioning=False, rope_type="split",
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLLTX2Video, in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8), layers_per_block=(1,) * 3, decoder_layers_per_block=(1,) * 4,
        spatio_temporal_scaling=(True,) * 3, decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4, downsample_type=("spatiotemporal",) * 3, upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3, timestep_conditioning=False, patch_size=4, patch_size_t=1, encoder_causal=True,
        decoder_causal=False,
    )  # fmt: skip
    audio = seeded(
        D.AutoencoderKLLTX2Audio, base_channels=4, output_channels=2, ch_mult=(1,), num_res_blocks=1,
        attn_resolutions=None, in_channels=2, resolution=32, latent_channels=2, norm_type="pixel",
        causality_axis="height",
        dropout=0.0, mid_block_add_attention=False, sample_rate=16000, mel_hop_length=160, is_causal=True, mel_bins=8,
    )  # fmt: skip
    vocoder = seeded(
        LTX2Vocoder, in_channels=16, hidden_channels=32, out_channels=2, upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2], resnet_kernel_sizes=[3], resnet_dilations=[[1, 3, 5]], leaky_relu_negative_slope=0.1,
        output_sampling_rate=16000,
    )  # fmt: skip
    tokenizer = t5_tokenizer(1024)
    tokenizer.padding_side = "left"
    return D.LTX2ImageToVideoPipeline(
        transformer=transformer, vae=vae, audio_vae=audio, scheduler=D.FlowMatchEulerDiscreteScheduler(),
        text_encoder=seeded(T.Gemma3ForConditionalGeneration, gemma), tokenizer=tokenizer, connectors=connectors,
        vocoder=vocoder, processor=None, prompt_enhancer=None, duration_head=None,
    )  # fmt: skip


# Keyed by what the family table calls them.
TINY: dict[str, Tiny] = {
    "svd": Tiny(svd, 14),
    "cogvideox-i2v": Tiny(cogvideox, 9, options={"max_sequence_length": 16}),
    "cogvideox1.5-i2v": Tiny(lambda: cogvideox(newer=True), 9, options={"max_sequence_length": 16}),
    "ltx-video": Tiny(ltx, 17),
    "ltx-2": Tiny(ltx2, 9, options={"max_sequence_length": 64}),
    "wan2.1-i2v": Tiny(wan21, 9),
    "wan2.2-i2v-a14b": Tiny(wan22_a14b, 9),
    "wan2.2-ti2v-5b": Tiny(wan22_ti2v_5b, 9),
    "skyreels-v2-i2v": Tiny(skyreels, 9),
    "hunyuanvideo-i2v": Tiny(hunyuanvideo, 9),
    "hunyuanvideo1.5-i2v": Tiny(hunyuanvideo15, 9, size="native"),
    "framepack-i2v": Tiny(framepack, 37),
    "sana-video-i2v": Tiny(sana, 9),
    # Its template alone is 700 tokens to a tokenizer of bytes.
    "kandinsky5-i2v": Tiny(kandinsky5, 17, options={"max_sequence_length": 1024}),
    "cosmos1-v2w": Tiny(cosmos1, 9),
    "cosmos2-v2w": Tiny(cosmos2, 9),
}


def save(family: str, folder: Path) -> Path:
    TINY[family].make().save_pretrained(folder)
    return folder
