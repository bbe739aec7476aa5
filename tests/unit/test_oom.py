"""A take that does not fit: the ladder on real pipelines. The error is torch's own, raised where memory would end."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from tiny_offload import copied
from tiny_takes import PROMPT, resident, still, task

from farm.errors import MemoryFull, TakeError
from farm.render.memory import Ladder
from farm.values import Blame

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def tiles(one):
    """Tiles so small that a tiny frame has several."""
    vae = one._pipe.vae
    vae.tile_sample_min_height = vae.tile_sample_min_width = 32
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = 16
    return one


def full(one, unless=lambda vae: False):
    """From now on the decoder has too little memory, unless something was done; gives the attempts, one each."""
    vae, tried = one._pipe.vae, []
    bare = vae.decode

    @functools.wraps(bare)
    def decode(*args, **named):
        tried.append(vae.use_tiling)
        if not unless(vae):
            raise torch.OutOfMemoryError(FULL)
        return bare(*args, **named)

    vae.decode = decode
    return tried


def rendered(one, seed=1, frames=9, beat=lambda done, total: None):
    words = task(dataclasses.replace(one._model, frames=frames), seed, PROMPT)
    return one.render(still(), words, beat)


@pytest.mark.parametrize("family", ["wan2.1-i2v", "wan2.2-i2v-a14b", "skyreels-v2-i2v"])
def test_a_take_that_fits_in_tiles_is_the_one_that_tiles_give(family, tiny):
    plain, told = tiles(resident(family, tiny)), tiles(resident(family, tiny, vae_tiling=True))
    one = tiles(resident(family, tiny))
    whole, tiled = rendered(plain), rendered(told)
    assert not np.array_equal(whole, tiled), "tiles change pixels, or this test says nothing"
    assert np.array_equal(rendered(one), whole) and one.fingerprint()["vae_tiling"] == "false"
    tried = full(one, unless=lambda vae: vae.use_tiling)
    beats = []
    assert np.array_equal(rendered(one, beat=lambda done, total: beats.append(done)), tiled)
    assert tried == [False, True] and beats == [1, 2, 1, 2]
    assert one.fingerprint()["vae_tiling"] == told.fingerprint()["vae_tiling"] == "true"
    assert one.fingerprint() == told.fingerprint()
    tried.clear()
    assert np.array_equal(rendered(one, seed=2), rendered(told, seed=2))
    assert tried == [True], "the next take of the shape begins on the rung that was reached"


def test_a_smaller_shape_is_rendered_as_asked(tiny):
    plain, one = tiles(resident("wan2.1-i2v", tiny)), tiles(resident("wan2.1-i2v", tiny))
    full(one, unless=lambda vae: vae.use_tiling)
    rendered(one)
    del one._pipe.vae.decode
    small = rendered(one, frames=5)
    assert one.fingerprint()["vae_tiling"] == "false" and one.fingerprint()["shape"] == "64x64x5"
    assert np.array_equal(small, rendered(plain, frames=5))
    rendered(one)
    assert one.fingerprint()["vae_tiling"] == "true" and one.fingerprint()["shape"] == "64x64x9"


def test_a_take_that_fits_on_no_rung_is_a_failed_take_of_its_own(tiny):
    one = resident("wan2.1-i2v", tiny)
    tried = full(one)
    with pytest.raises(TakeError) as told:
        rendered(one)
    assert tried == [False, True]
    assert told.value.kind == "render_oom" and told.value.blame is Blame.TASK
    assert str(told.value) == (
        "tiny: 9 frames of 64x64 px do not fit into the memory of CPU; tried as asked, vae_tiling=True; "
        "ask for fewer frames or a smaller size"
    )
    del one._pipe.vae.decode
    assert rendered(one).std() > 1


def test_what_was_asked_for_is_no_rung(tiny):
    one = resident("wan2.1-i2v", tiny, vae_tiling=True)
    tried = full(one)
    with pytest.raises(TakeError, match="tried as asked; ask"):
        rendered(one)
    assert tried == [True]


def test_the_last_rung_offloads_and_stays(tiny):
    """accelerate's own hooks, between the CPU and the CPU: all of it but the way to a GPU."""
    told = copied(tiles(resident("wan2.1-i2v", tiny, vae_tiling=True)))
    one = copied(tiles(resident("wan2.1-i2v", tiny)))
    one._ladder = Ladder(tiling=True, offload=True)
    tried = full(one, unless=lambda vae: hasattr(vae, "_hf_hook"))
    assert np.array_equal(rendered(one), rendered(told))
    assert tried == [False, True, True] and one.fingerprint()["offload"] == "model"
    before = dict(one.conditioning.hits)
    assert np.array_equal(rendered(one, seed=2), rendered(told, seed=2))
    assert one.conditioning.hits["text_encoder"] > before["text_encoder"], "memory outlives new hooks"
    assert one.conditioning.misses["text_encoder"] == told.conditioning.misses["text_encoder"]
    rendered(one, frames=5)
    assert one.fingerprint()["offload"] == "model" and one.fingerprint()["vae_tiling"] == "false"
    one.close()


@pytest.mark.parametrize(
    "error",
    [RuntimeError("CUDA error: an illegal memory access"), torch.AcceleratorError("CUDA error: launch")],
)
def test_a_broken_gpu_is_no_matter_of_memory(error, tiny):
    one = resident("wan2.2-ti2v-5b", tiny)

    def decode(*args, **named):
        raise error

    one._pipe.vae.decode = decode
    with pytest.raises(type(error)) as told:
        rendered(one)
    assert told.value is error


def test_a_model_that_does_not_fit_is_not_called_bad_input(tiny, monkeypatch):
    import diffusers

    def to(self, *args, **named):
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr(diffusers.WanImageToVideoPipeline, "to", to)
    with pytest.raises(
        MemoryFull, match=r"tiny: does not fit into the GPU \(.+\); what needs less: offload"
    ) as told:
        resident("wan2.2-ti2v-5b", tiny)
    assert "encoders: cpu or drop; quantization" in str(told.value) and "\n" not in str(told.value)
    with pytest.raises(MemoryFull) as told:
        resident("wan2.2-ti2v-5b", tiny, encoders="drop", quantization="fp8-storage")
    assert "encoders" not in str(told.value) and "quantization" not in str(told.value)

    def none_left(self, *args, **named):
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
        )

    monkeypatch.setattr(diffusers.WanImageToVideoPipeline, "to", none_left)
    with pytest.raises(MemoryFull, match="does not fit into the CPU's memory"):
        resident("wan2.2-ti2v-5b", tiny)

    def broken(self, *args, **named):
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")

    monkeypatch.setattr(diffusers.WanImageToVideoPipeline, "to", broken)
    with pytest.raises(torch.AcceleratorError, match="uncorrectable"):
        resident("wan2.2-ti2v-5b", tiny)
