"""Every family on a GPU, as a tiny random checkpoint in the precision that the farm renders in there."""

import numpy as np
import pytest
import torch
from tiny_bare import bare
from tiny_models import TINY
from tiny_takes import FRAME, render, resident, still, task

from farm.errors import InputError
from farm.render.families import FAMILIES

TAKES = [(0, "push in", 1), (0, "push in", 2), (0, "wind", 1), (1, "push in", 1), (0, "push in", 1)]


class Cancelled(Exception):
    pass


def frames_of(one, number, prompt, seed):
    return one.render(still(number), task(one._model, seed, prompt), lambda done, total: None)


@pytest.fixture(scope="module", params=TINY)
def backend(request, tiny):
    one = resident(request.param, tiny, device="cuda")
    yield one
    one.close()


@pytest.fixture(scope="module")
def rendered(backend):
    """All of TAKES in their order, from the back-end with its conditioning."""
    return [frames_of(backend, *take) for take in TAKES]


def test_frames_are_pictures_of_the_right_size_and_number(backend, rendered):
    assert all(frames.shape == (backend._model.frames, *FRAME, 3) for frames in rendered)
    assert all(frames.std() > 1 for frames in rendered)
    assert "bfloat16" in backend.fingerprint()["dtype"]
    assert backend.accelerator == torch.cuda.get_device_name()


def test_the_same_take_gives_the_same_bytes_and_others_others(backend, rendered):
    assert np.array_equal(rendered[0], rendered[-1])
    different = [1, 3] + ([2] if FAMILIES[backend._model.family].takes_text else [])
    assert not any(np.array_equal(rendered[0], rendered[at]) for at in different)


def test_conditioning_changes_no_bit_of_the_bare_pipelines(backend, rendered, tiny):
    family = backend._model.family
    plain = bare(family, tiny(family), "cuda")
    for take, frames in zip(TAKES, rendered, strict=True):
        assert np.array_equal(frames, plain(*take)), take
    hits = backend.conditioning.hits
    assert hits["vae"] >= 1 and hits["text_encoder" if FAMILIES[family].takes_text else "image_encoder"] >= 2


def test_a_cancelled_take_ends_at_its_step_and_leaves_nothing_behind(backend, rendered):
    beats = []

    def cancel(done, total):
        beats.append(done)
        raise Cancelled

    with pytest.raises(Cancelled):
        render(backend, seed=3, number=1, beat=cancel)
    assert beats == [1]
    assert np.array_equal(frames_of(backend, *TAKES[0]), rendered[0])


@pytest.mark.parametrize("offload", ["model", "group", "sequential"])
@pytest.mark.parametrize("family", TINY)
def test_weights_that_wait_in_the_cpus_memory_change_no_bit(family, offload, tiny):
    assert_alike(family, tiny, offload=offload)


@pytest.mark.parametrize("encoders", ["cpu", "drop"])
@pytest.mark.parametrize("family", [name for name in TINY if FAMILIES[name].takes_text])
def test_encoders_that_leave_change_no_bit(family, encoders, tiny):
    assert_alike(family, tiny, encoders=encoders)


@pytest.mark.parametrize("family", ["wan2.2-ti2v-5b", "ltx-video"])
def test_encoders_may_leave_while_weights_wait(family, tiny):
    assert_alike(family, tiny, encoders="drop", offload="model")


def assert_alike(family, tiny, **hosting):
    """Where a family cannot be held so, it says so by name before it renders anything."""
    home = resident(family, tiny, device="cuda")
    try:
        one = resident(family, tiny, device="cuda", **hosting)
    except InputError as e:
        home.close()
        assert any(f"{key}={value}" in str(e) for key, value in hosting.items())
        pytest.skip(str(e))
    for take in TAKES:
        assert np.array_equal(frames_of(one, *take), frames_of(home, *take)), take
    one.close()
    home.close()


def test_a_generator_of_the_cpu_draws_for_every_device(tiny):
    """So that a seed names the same noise on any GPU, whatever is made of it there."""
    one = resident("wan2.2-ti2v-5b", tiny, device="cuda")
    drawn = []
    prepare = one._pipe.prepare_latents
    one._pipe.prepare_latents = lambda *args, **named: drawn.append(prepare(*args, **named)) or drawn[-1]
    frames_of(one, *TAKES[0])
    again = resident("wan2.2-ti2v-5b", tiny, device="cpu")
    prepare_again = again._pipe.prepare_latents
    again._pipe.prepare_latents = lambda *args, **named: (
        drawn.append(prepare_again(*args, **named)) or drawn[-1]
    )
    frames_of(again, *TAKES[0])
    assert torch.equal(drawn[0][0].cpu(), drawn[1][0])
    one.close()
    again.close()
