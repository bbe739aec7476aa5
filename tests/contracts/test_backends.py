"""What every renderer must do: previz, and diffusers families on tiny random checkpoints loaded by from_pretrained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import TINY
from tiny_takes import FRAME, render, resident, still, task

from farm.errors import InputError

RENDERERS = ["previz", *TINY]


@pytest.fixture(scope="module", params=RENDERERS)
def backend(request, tiny):
    one = resident(request.param, tiny)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def threads():
    """Backends on a CPU set one thread; the tests after these have their own again."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_frames_are_of_the_size_and_number_that_were_asked_for(backend):
    assert backend.frame_size(160, 120) == FRAME[::-1]
    frames = render(backend, seed=1)
    assert frames.shape == (backend._model.frames, *FRAME, 3) and frames.dtype == np.uint8
    assert frames.std() > 1 and frames.flags.c_contiguous


def test_the_same_task_gives_the_same_bytes_and_another_seed_others(backend):
    first = render(backend, seed=1)
    other = render(backend, seed=2)
    assert np.array_equal(render(backend, seed=1), first)
    assert not np.array_equal(other, first)


def test_another_still_gives_other_frames(backend):
    assert not np.array_equal(render(backend, seed=1, number=1), render(backend, seed=1))


def test_what_others_draw_from_the_global_generator_changes_nothing(backend):
    first = render(backend, seed=1)
    torch.manual_seed(99)
    torch.rand(7)
    assert np.array_equal(render(backend, seed=1), first)


def test_beats_count_up_to_their_total(backend):
    beats = []
    render(backend, seed=1, beat=lambda done, total: beats.append((done, total)))
    total = beats[-1][1]
    assert beats == [(done, total) for done in range(1, total + 1)]


class Cancelled(Exception):
    pass


def test_a_cancelled_take_ends_at_once_and_leaves_nothing_behind(backend):
    first = render(backend, seed=1)
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


@pytest.mark.parametrize("name", RENDERERS)
def test_a_second_one_gives_the_bytes_of_the_first(name, tiny):
    frames = []
    for _ in range(2):
        one = resident(name, tiny)
        frames.append(render(one, seed=5))
        one.close()
    assert np.array_equal(*frames)


@pytest.mark.parametrize("family", [name for name in TINY if name != "svd"])
def test_the_prompt_reaches_the_model(family, tiny):
    one = resident(family, tiny)
    words = [
        one.render(still(), task(one._model, 1, prompt=prompt), lambda done, total: None)
        for prompt in ("push in", "wind")
    ]
    one.close()
    assert not np.array_equal(*words)


def test_weights_of_another_family_are_refused_with_their_place(tiny, tmp_path):
    with pytest.raises(InputError, match="cannot be loaded as WanImageToVideoPipeline"):
        resident("wan2.1-i2v", lambda family: tiny("svd"))


def test_a_damaged_weight_file_is_refused(tiny, tmp_path):
    import shutil

    folder = Path(shutil.copytree(tiny("ltx-video"), tmp_path / "broken"))
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"broken cannot be loaded as LTXImageToVideoPipeline: .+"):
        resident("ltx-video", lambda family: folder)
