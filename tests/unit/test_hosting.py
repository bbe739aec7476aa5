"""Settings of a model: each is made true, or refused in one line before weights are read wherever that can be known."""

import dataclasses
import gc
import re
import shutil
import weakref
from importlib.util import find_spec
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName
from diffusers.utils.constants import DIFFUSERS_ATTN_BACKEND
from tiny_models import TINY
from tiny_takes import render, resident, still, task, tiny_model

from farm.errors import InputError
from farm.render.families import backend
from farm.render.hosting import can_tile, unhookable
from farm.render.settings import PIXELS

WAN = "wan2.2-ti2v-5b"
# Families whose denoiser computes attention by torch alone.
FIXED = {
    "svd": "UNetSpatioTemporalConditionModel",
    "cogvideox-i2v": "CogVideoXTransformer3DModel",
    "cogvideox1.5-i2v": "CogVideoXTransformer3DModel",
    "cosmos1-v2w": "CosmosTransformer3DModel",
    "cosmos2-v2w": "CosmosTransformer3DModel",
}

here = pytest.mark.skipif(torch.cuda.is_available(), reason="what is refused here is there where CUDA is")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hollow(tiny, tmp_path):
    """A checkpoint without weights: what is refused for it was refused before they were looked for."""

    def make(family):
        return Path(
            shutil.copytree(
                tiny(family),
                tmp_path / family,
                ignore=shutil.ignore_patterns("*.safetensors"),
                dirs_exist_ok=True,
            )
        )

    return make


@here
@pytest.mark.parametrize("offload", ["model", "group", "sequential"])
def test_there_is_nothing_to_offload_from_on_a_cpu(offload, hollow):
    said = rf"tiny: offload={offload}: there is no GPU to offload from; allowed here: none"
    with pytest.raises(InputError, match=f"^{said}$"):
        resident(WAN, hollow, offload=offload)


def test_a_vae_that_cannot_tile_is_refused(hollow):
    said = "tiny: vae_tiling=True: AutoencoderKLTemporalDecoder cannot render in tiles; allowed: false"
    with pytest.raises(InputError, match=f"^{said}$"):
        resident("svd", hollow, vae_tiling=True)


@pytest.mark.parametrize("family", TINY)
def test_tiles_are_set_or_refused_in_every_family(family, tiny):
    one = resident(family, tiny)
    if can_tile(one._pipe.vae):
        told = resident(family, tiny, vae_tiling=True)
        assert told._pipe.vae.use_tiling and told.fingerprint()["vae_tiling"] == "true"
    else:
        with pytest.raises(InputError, match="vae_tiling=True"):
            resident(family, tiny, vae_tiling=True)
    assert one.fingerprint()["vae_tiling"] == "false"


@here
@pytest.mark.parametrize("quantization", ["bnb-8bit", "bnb-4bit"])
def test_bitsandbytes_needs_a_gpu(quantization, hollow):
    said = f"tiny: quantization={quantization}: needs a GPU; allowed here: none, fp8-storage, torchao-int8"
    with pytest.raises(InputError, match=f"^{said}$"):
        resident(WAN, hollow, quantization=quantization)


def test_a_package_that_is_missing_is_named_with_its_command(hollow, monkeypatch):
    monkeypatch.setattr("farm.render.hosting.find_spec", lambda package: None)
    said = "tiny: quantization=torchao-int8: torchao is not installed: pip install 'circletake[quantization]'"
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        resident(WAN, hollow, quantization="torchao-int8")


# Not among what contributors install: where it is, diffusers imports it at every start, and it is not silent then.
@pytest.mark.skipif(find_spec("torchao") is None, reason="needs pip install 'circletake[quantization]'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torchao")
def test_torchao_really_quantizes_the_denoiser_alone(tiny):
    plain, one = resident(WAN, tiny), resident(WAN, tiny, quantization="torchao-int8")
    weight = one._pipe.transformer.blocks[0].attn1.to_q.weight
    assert hasattr(weight, "__tensor_flatten__") and "Int8" in type(weight).__name__
    assert type(one._pipe.text_encoder.shared.weight) is torch.nn.Parameter
    assert one.held_bytes() < plain.held_bytes()
    assert one.fingerprint()["quantization"] == "torchao-int8"
    assert not np.array_equal(render(one, seed=1), render(plain, seed=1))
    assert np.array_equal(render(one, seed=1), render(one, seed=1))


@pytest.mark.parametrize("family", ["svd", WAN, "wan2.2-i2v-a14b", "hunyuanvideo1.5-i2v"])
def test_fp8_storage_holds_less_and_renders(family, tiny):
    plain, one = resident(family, tiny), resident(family, tiny, quantization="fp8-storage")
    for name in ("transformer", "transformer_2", "unet"):
        if (denoiser := one._pipe.components.get(name)) is not None:
            assert torch.float8_e4m3fn in {parameter.dtype for parameter in denoiser.parameters()}, name
    assert one.held_bytes() < plain.held_bytes()
    assert one.fingerprint()["quantization"] == "fp8-storage"
    first = render(one, seed=1)
    assert not np.array_equal(first, render(plain, seed=1))
    assert np.array_equal(first, render(one, seed=1))


# torch's own, at its own import of what compiles.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_blocks_are_set_to_be_compiled(tiny):
    """Compiling them takes most of a minute, so that no take is rendered here."""
    if shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler: apt-get install g++")
    one = resident("wan2.2-i2v-a14b", tiny, compile="regional")
    blocks = [*one._pipe.transformer.blocks, *one._pipe.transformer_2.blocks]
    assert blocks and all(block._compiled_call_impl is not None for block in blocks)
    assert one.fingerprint()["compile"] == "regional"


@here
def test_compiling_is_refused_without_a_compiler(hollow, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        InputError, match=r"compile=regional: there is no C\+\+ compiler \(no-such-compiler\) here"
    ):
        resident(WAN, hollow, compile="regional")


def test_a_denoiser_without_repeated_blocks_is_not_compiled(hollow, monkeypatch):
    monkeypatch.setenv("CXX", "true")  # a program that is everywhere; it is only looked for
    said = "compile=regional: UNetSpatioTemporalConditionModel names no repeated blocks; allowed: none"
    with pytest.raises(InputError, match=said):
        resident("svd", hollow, compile="regional")


def test_attention_names_are_those_of_diffusers():
    assert set(PIXELS["attention"]) - {"auto"} <= {name.value for name in AttentionBackendName}


@here
@pytest.mark.parametrize("attention", ["flash", "_flash_3", "sage", "xformers"])
def test_attention_that_needs_a_gpu_is_refused_on_a_cpu(attention, hollow):
    with pytest.raises(
        InputError, match=f"^tiny: attention={attention}: needs a GPU; allowed here: auto, native"
    ):
        resident(WAN, hollow, attention=attention)


@here
def test_attention_is_tried_before_weights_are_read(hollow):
    with pytest.raises(InputError, match=r"^tiny: attention=_native_cudnn: No viable backend"):
        resident(WAN, hollow, attention="_native_cudnn")


def test_attention_is_chosen_for_one_model_and_not_for_its_neighbours(tiny):
    plain, one = resident(WAN, tiny), resident(WAN, tiny, attention="_native_math")
    used = []

    def beat(done, total):
        from diffusers.models.attention_dispatch import _AttentionBackendRegistry

        used.append(_AttentionBackendRegistry.get_active_backend()[0].value)

    frames = render(one, seed=1, beat=beat)
    assert set(used) == {"_native_math"}
    used.clear()
    same = render(plain, seed=1, beat=beat)
    assert set(used) == {DIFFUSERS_ATTN_BACKEND}
    assert np.abs(frames.astype(int) - same).max() <= 1, "the same sums in another order"
    assert one.fingerprint()["attention"] == "_native_math"
    assert plain.fingerprint()["attention"] == DIFFUSERS_ATTN_BACKEND


def test_attention_that_cannot_be_chosen_is_refused(tiny):
    for family, kind in FIXED.items():
        with pytest.raises(
            InputError, match=f"attention=native: {kind} does not let its attention be chosen"
        ):
            resident(family, tiny, attention="native")
        assert resident(family, tiny).fingerprint()["attention"] == "torch"


@pytest.mark.parametrize("family", [name for name in TINY if name not in FIXED])
def test_every_other_family_lets_its_attention_be_chosen(family, tiny):
    assert resident(family, tiny, attention="native").fingerprint()["attention"] == "native"


def test_a_closed_model_leaves_nothing_behind(tiny):
    one = resident(WAN, tiny)
    render(one, seed=1)
    gone = [weakref.ref(one._pipe.transformer), weakref.ref(one._pipe.text_encoder)]
    assert one.held_bytes() > 0
    one.close()
    gc.collect()
    assert not any(ref() for ref in gone) and one.held_bytes() == 0


def test_an_image_encoder_that_hooks_cannot_see_into_stays_whole(tiny):
    assert unhookable(resident("framepack-i2v", tiny)._pipe) == ["image_encoder"]
    assert unhookable(resident("hunyuanvideo1.5-i2v", tiny)._pipe) == ["image_encoder"]
    assert unhookable(resident("ltx-2", tiny)._pipe) == unhookable(resident("wan2.1-i2v", tiny)._pipe) == []


def test_held_bytes_are_those_of_the_weights_and_of_what_is_remembered(tiny):
    one = resident(WAN, tiny)
    weights = sum(
        tensor.numel() * tensor.element_size()
        for component in one._pipe.components.values()
        if isinstance(component, torch.nn.Module)
        for tensor in {*component.parameters(), *component.buffers()}
    )
    # What is measured is storage: files are mapped and shared, so that it may be more, by little.
    assert weights <= one.held_bytes() < 1.1 * weights
    before = one.held_bytes()
    render(one, seed=1)
    assert one.held_bytes() - before == one.conditioning.held_bytes > 0


def test_the_checkpoints_commit_is_in_the_fingerprint_where_the_folder_shows_one(tiny, tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = Path(shutil.copytree(tiny(WAN), tmp_path / "models--x--y" / "snapshots" / commit))
    assert resident(WAN, lambda family: folder).fingerprint()["checkpoint"] == commit
    assert "checkpoint" not in resident(WAN, tiny).fingerprint()


def test_components_of_several_dtypes_are_told_one_by_one(tiny):
    one = resident(WAN, tiny)
    one._pipe.transformer.to(torch.bfloat16)
    assert one.fingerprint()["dtype"] == "text_encoder=float32 transformer=bfloat16 vae=float32"


def test_a_repository_is_loaded_from_its_snapshot_and_encoders_come_back_from_there(
    tiny, tmp_path, monkeypatch
):
    """The hub's cache as its own client lays it out; the client is told that there is no network."""
    commit = "89abcdef0123456789abcdef0123456789abcdef"
    home = tmp_path / "models--studio--tiny"
    shutil.copytree(tiny(WAN), home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = dataclasses.replace(
        tiny_model(WAN, tiny), path="studio/tiny", revision="main", hosting=(("encoders", "drop"),)
    )
    plain, one = resident(WAN, tiny), backend(model)
    one.load()
    assert one.fingerprint()["checkpoint"] == commit
    for prompt in ("push in", "wind"):
        words = task(model, 1, prompt)
        frames = one.render(still(), words, lambda done, total: None)
        assert np.array_equal(frames, plain.render(still(), words, lambda done, total: None))
    missing = dataclasses.replace(model, path="studio/another")
    with pytest.raises(InputError, match="tiny: studio/another at main is not in the local cache"):
        backend(missing).load()
