"""Tiny random checkpoints of HunyuanVideo and what was built on it; see tiny_models.py."""

from typing import Any

import diffusers as D
import transformers as T
from tiny_parts import pixels_of, qwen_tokenizer, seeded, siglip, words_tokenizer


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


def framepack() -> Any:
    """A HunyuanVideo that reads its history in three grains and its still through SigLIP."""
    parts = hunyuanvideo().components
    transformer = seeded(
        D.HunyuanVideoFramepackTransformer3DModel, in_channels=4, out_channels=4, num_attention_heads=2,
        attention_head_dim=10, num_layers=1, num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1,
        guidance_embeds=True, text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(2, 4, 4),
        image_condition_type=None, has_image_proj=True, image_proj_dim=12, has_clean_x_embedder=True,
    )  # fmt: skip
    text = T.LlamaConfig(
        vocab_size=len(parts["tokenizer"]), hidden_size=16, intermediate_size=16, num_hidden_layers=4,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=2048, pad_token_id=0,
    )  # fmt: skip
    return D.HunyuanVideoFramepackPipeline(
        text_encoder=seeded(T.LlamaModel, text), tokenizer=parts["tokenizer"], transformer=transformer,
        vae=parts["vae"],
        scheduler=parts["scheduler"], text_encoder_2=parts["text_encoder_2"], tokenizer_2=parts["tokenizer_2"],
        image_encoder=siglip(), feature_extractor=T.SiglipImageProcessorPil(size={"height": 27, "width": 27}),
    )  # fmt: skip


def hunyuanvideo15() -> Any:
    transformer = seeded(
        D.HunyuanVideo15Transformer3DModel, in_channels=9, out_channels=4, num_attention_heads=2, attention_head_dim=8,
        num_layers=2, num_refiner_layers=1, mlp_ratio=2.0, patch_size=1, patch_size_t=1, text_embed_dim=16,
        text_embed_2_dim=32, image_embed_dim=12, rope_axes_dim=(2, 2, 4), target_size=64, task_type="i2v",
    )  # fmt: skip
    vae = seeded(
        D.AutoencoderKLHunyuanVideo15, latent_channels=4, block_out_channels=(16,) * 5, layers_per_block=1,
        spatial_compression_ratio=16, temporal_compression_ratio=4, downsample_match_channel=False,
        upsample_match_channel=False,
    )  # fmt: skip
    text = T.models.qwen2_5_vl.configuration_qwen2_5_vl.Qwen2_5_VLTextConfig(
        vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=2,
        rope_parameters={"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
    )  # fmt: skip
    byt5 = T.T5Config(
        vocab_size=400, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
        dropout_rate=0.0
    )  # fmt: skip
    return D.HunyuanVideo15ImageToVideoPipeline(
        text_encoder=seeded(T.Qwen2_5_VLTextModel, text), tokenizer=qwen_tokenizer(), transformer=transformer, vae=vae,
        scheduler=D.FlowMatchEulerDiscreteScheduler(shift=7.0), text_encoder_2=seeded(T.T5EncoderModel, byt5),
        tokenizer_2=T.ByT5Tokenizer(), guider=D.ClassifierFreeGuidance(guidance_scale=6.0), image_encoder=siglip(),
        feature_extractor=T.SiglipImageProcessorPil(size={"height": 27, "width": 27}),
    )  # fmt: skip
