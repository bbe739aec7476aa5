"""What every renderer must do: previz, and diffusers families on tiny random checkpoints loaded by from_pretrained."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_hunyuan import hunyuanvideo
from tiny_models import TINY
from tiny_takes import FRAME, render, resident, still, task, tiny_model

from farm.errors import InputError, StillError, TakeError
from farm.render.families import FAMILIES
from farm.render.families import backend as make

RENDERERS = ["previz", *TINY]


@pytest.fixture(scope="module", params=RENDERERS)
def backend(request, tiny):
    one = resident(request.param, tiny)
    yield one
    one.close()


@pytest.fixture(scope="module")
def first(backend):
    """The take of seed 1, as it was rendered first."""
    return render(backend, seed=1)


@pytest.fixture(autouse=True)
def threads():
    """Backends on a CPU set one thread; the tests after these have their own again."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_frames_are_of_the_size_and_number_that_were_asked_for(backend, first):
    assert backend.frame_size(128, 128) == FRAME[::-1]
    assert first.shape == (backend._model.frames, *FRAME, 3) and first.dtype == np.uint8
    assert first.std() > 1 and first.flags.c_contiguous


def test_the_same_task_gives_the_same_bytes_and_another_seed_others(backend, first):
    assert not np.array_equal(render(backend, seed=2), first)
    torch.manual_seed(99)
    torch.rand(7)  # what others draw from the global generator changes nothing
    assert np.array_equal(render(backend, seed=1), first)


def test_another_still_gives_other_frames(backend, first):
    assert not np.array_equal(render(backend, seed=1, number=1), first)


def test_beats_count_up_to_their_total(backend):
    beats = []
    render(backend, seed=1, beat=lambda done, total: beats.append((done, total)))
    total = beats[-1][1]
    assert beats == [(done, total) for done in range(1, total + 1)]


class Cancelled(Exception):
    pass


def test_a_cancelled_take_ends_at_once_and_leaves_nothing_behind(backend, first):
    beats = []

    def cancel(done, total):
        beats.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        render(backend, seed=3, number=1, beat=cancel)
    assert beats == [1]
    assert np.array_equal(render(backend, seed=1), first)


def test_the_fingerprint_is_text_and_names_the_versions(backend):
    fingerprint = dict(backend.fingerprint())
    assert json.loads(json.dumps(fingerprint)) == fingerprint and fingerprint["torch"] == torch.__version__
    assert fingerprint["threads"] == "1"


def test_the_fingerprint_is_of_the_take_that_was_rendered_last(backend):
    render(backend, seed=1)
    before = dict(backend.fingerprint())
    render(backend, seed=2, number=1)
    assert dict(backend.fingerprint()) == before
    if backend._model.family == "previz":
        return
    assert before["shape"] == f"64x64x{backend._model.frames}"
    assert before["vae_tiling"] == "false" and before["offload"] == before["quantization"] == "none"
    assert before["compile"] == "none" and before["attention"] in {"native", "torch"}
    assert before["dtype"] == "float32" and before["device"] == backend.accelerator


def test_what_it_holds_is_said_in_bytes(backend, first):
    weights = 0 if backend._model.family == "previz" else 1
    held = backend.held_bytes()
    assert isinstance(held, int) and (held > 0) == bool(weights)
    render(backend, seed=1)
    assert backend.held_bytes() == held, "a take that was rendered before leaves nothing new"


def test_how_many_prompts_are_expected_changes_no_pixel(backend, first):
    backend.expect(3)
    assert np.array_equal(render(backend, seed=1), first)


def test_a_second_one_gives_the_bytes_of_the_first(backend, first, tiny):
    model = backend._model
    second = resident(model.family, tiny)
    frames = render(second, seed=1)
    second.close()
    assert np.array_equal(frames, first)


def test_the_prompt_reaches_the_model(backend, first):
    words = task(backend._model, 1, prompt="it pans left over the sea")
    frames = backend.render(still(), words, lambda done, total: None)
    assert np.array_equal(frames, first) != FAMILIES[backend._model.family].takes_text


def test_hunyuanvideo_checkpoints_that_drop_frames_give_as_many_as_were_asked_for(tmp_path):
    hunyuanvideo("latent_concat").save_pretrained(tmp_path)
    one = resident("hunyuanvideo-i2v", lambda family: tmp_path)
    frames = render(one, seed=1)
    one.close()
    assert len(frames) == 9


def test_framepack_renders_section_by_section(tiny):
    model = dataclasses.replace(tiny_model("framepack-i2v", tiny), frames=73, steps=1)
    one = make(model)
    one.load()
    beats = []
    frames = render(one, seed=1, beat=lambda done, total: beats.append((done, total)))
    one.close()
    assert len(frames) == 73 and beats == [(1, 2), (2, 2)]


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "render_nan"), (-1.0, "render_black")])
def test_frames_that_are_no_picture_are_a_failed_take(value, kind, tiny):
    one = resident("wan2.2-ti2v-5b", tiny)
    vae = one._pipe.vae
    decode = vae.decode
    vae.decode = lambda *args, **named: (torch.full_like(decode(*args, **named)[0], value),)
    with pytest.raises(TakeError) as told:
        render(one, seed=1)
    assert (
        told.value.kind == kind and "9 of 9 frames" in str(told.value) and "frame 0 first" in str(told.value)
    )
    del vae.decode
    assert render(one, seed=1).std() > 1
    one.close()


def test_a_device_that_is_not_there_is_refused(tiny):
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(InputError, match="torch sees no CUDA device here"):
        resident("svd", tiny, device="cuda")


def test_half_precision_renders_and_is_in_the_fingerprint(tiny):
    one = resident("wan2.2-ti2v-5b", tiny, dtype="bfloat16")
    full = resident("wan2.2-ti2v-5b", tiny)
    assert one.fingerprint()["dtype"] == "bfloat16" and full.fingerprint()["dtype"] == "float32"
    assert not np.array_equal(render(one, seed=1), render(full, seed=1))


def test_stills_are_never_enlarged_unless_a_size_is_asked_for(tiny):
    one = resident("wan2.1-i2v", tiny)
    sizes = {
        "native": ((1920, 1080), (832, 464)),
        "480p": ((300, 200), (288, 192)),
        "832x480": ((300, 200), (832, 480)),
    }
    for size, (own, frame) in sizes.items():
        one._model = dataclasses.replace(one._model, size=size)
        assert one.frame_size(*own) == frame
    one.close()


def test_a_family_that_chooses_its_size_does_so_by_the_stills_aspect(tiny):
    one = resident("hunyuanvideo1.5-i2v", tiny)
    assert one.frame_size(128, 128) == (64, 64)
    width, height = one.frame_size(160, 120)
    assert width > height and width % 16 == height % 16 == 0
    with pytest.raises(StillError, match="32x32 px is less than the 64x64"):
        one.frame_size(32, 32)
    frames = one.render(np.resize(still(), (height, width, 3)), task(one._model, 1), lambda done, total: None)
    assert frames.shape == (9, height, width, 3)
    one.close()


def test_weights_of_another_family_are_refused_with_their_place(tiny, tmp_path):
    with pytest.raises(InputError, match=r"svd: is a StableVideoDiffusionPipeline, which is not wan2.1-i2v"):
        resident("wan2.1-i2v", lambda family: tiny("svd"))


def test_a_damaged_weight_file_is_refused(tiny, tmp_path):
    folder = Path(shutil.copytree(tiny("ltx-video"), tmp_path / "broken"))
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken cannot be loaded as LTXImageToVideoPipeline: .+"):
        resident("ltx-video", lambda family: folder)
