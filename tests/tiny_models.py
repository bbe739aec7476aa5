"""Tiny random checkpoints of image-to-video families, made from configurations alone: no download, seconds to build.

Invariant: the same family is always the same weights. They are saved as diffusers saves them, so that what a test
loads went through the real `from_pretrained`. What they render is noise; that it is the right noise is the point.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers as D
import tokenizers
import torch
import transformers as T


@dataclass(frozen=True)
class Tiny:
    """One family's checkpoint, and what a job must say to render a small take of it."""

    make: Callable[[], Any]
    frames: int
    size: str = "64x64"
    options: dict[str, Any] = field(default_factory=dict)
    steps: int = 2


def seeded(make: Callable[..., Any], *args: Any, seed: int = 0, **config: Any) -> Any:
    torch.manual_seed(seed)
    return make(*args, **config).eval()


# --- parts ------------------------------------------------------------------------------------------------


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


# --- families ---------------------------------------------------------------------------------------------


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


def llava(image_token: int, vocabulary: int) -> Any:
    """336 px in patches of 14: the 576 image tokens that HunyuanVideo's template counts on."""
    config = T.LlavaConfig(
        vision_config=T.CLIPVisionConfig(
            hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, image_size=336,
            patch_size=14, projection_dim=8,
        ),
        text_config=T.LlamaConfig(
            vocab_size=vocabulary, hidden_size=16, intermediate_size=16, num_hidden_layers=4, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=2048, pad_token_id=0,
        ),
        image_token_index=image_token, pad_token_id=0, vision_feature_layer=-1,
    )  # fmt: skip
    return seeded(T.LlavaForConditionalGeneration, config)


def hunyuanvideo(condition: str = "token_replace") -> Any:
    """Both kinds that are published: token_replace, and latent_concat with its 2n+1 input channels."""
    marks = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")
    tokenizer = words_tokenizer(marks)
    transformer = seeded(
        D.HunyuanVideoTransformer3DModel, in_channels=4 if condition == "token_replace" else 9, out_channels=4,
        num_attention_heads=2, attention_head_dim=10, num_layers=1, num_single_layers=1, num_refiner_layers=1,
        patch_size=1, patch_size_t=1, guidance_embeds=condition == "token_replace", text_embed_dim=16,
        pooled_projection_dim=8, rope_axes_dim=(2, 4, 4), image_condition_type=condition,
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLHunyuanVideo, in_channels=3, out_channels=3, latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), layers_per_block=1, act_fn="silu", norm_num_groups=4, scaling_factor=0.476986,
        spatial_compression_ratio=8, temporal_compression_ratio=4, mid_block_add_attention=True,
    )  # fmt: skip
    clip = T.CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=8, max_position_embeddings=77, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return D.HunyuanVideoImageToVideoPipeline(
        text_encoder=llava(tokenizer.convert_tokens_to_ids("<image>"), len(tokenizer)), tokenizer=tokenizer,
        transformer=transformer, vae=vae, scheduler=D.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=seeded(T.CLIPTextModel, clip), tokenizer_2=words_tokenizer(marks),
        image_processor=pixels_of(336),
    )  # fmt: skip


# Keyed by what the family table calls them.
TINY: dict[str, Tiny] = {
    "svd": Tiny(svd, 14),
    "cogvideox-i2v": Tiny(cogvideox, 9, options={"max_sequence_length": 16}),
    "cogvideox1.5-i2v": Tiny(lambda: cogvideox(newer=True), 9, options={"max_sequence_length": 16}),
    "ltx-video": Tiny(ltx, 17),
    "wan2.1-i2v": Tiny(wan21, 9),
    "wan2.2-i2v-a14b": Tiny(wan22_a14b, 9),
    "wan2.2-ti2v-5b": Tiny(wan22_ti2v_5b, 9),
    "skyreels-v2-i2v": Tiny(skyreels, 9),
    "hunyuanvideo-i2v": Tiny(hunyuanvideo, 9),
}


def save(family: str, folder: Path) -> Path:
    TINY[family].make().save_pretrained(folder)
    return folder
