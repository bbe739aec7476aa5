"""Conditioning: what is kept between takes, and that it changes no bit of what the bare pipeline renders."""

import numpy as np
import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from tiny_bare import bare
from tiny_models import TINY
from tiny_offload import copied, offloaded
from tiny_parts import umt5
from tiny_takes import render, resident, still, task

from farm.render.conditioning import Conditioning
from farm.render.families import FAMILIES

TAKES = [(0, "push in", 1), (0, "push in", 2), (0, "wind", 1), (1, "push in", 1), (0, "push in", 1)]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", TINY)
def test_pixels_are_those_of_the_bare_pipeline(family, tiny):
    backend, plain = resident(family, tiny), bare(family, tiny(family))
    for number, prompt, seed in TAKES:
        frames = backend.render(still(number), task(backend._model, seed, prompt), lambda done, total: None)
        assert np.array_equal(frames, plain(number, prompt, seed)), (number, prompt, seed)
    hits = backend.conditioning.hits
    assert hits["vae"] >= 1 and hits["text_encoder" if FAMILIES[family].takes_text else "image_encoder"] >= 2
    backend.close()


class Encoder(torch.nn.Module):
    """Counts how often it is really asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, x, scale=1.0, thing=None):
        self.asked += 1
        return x * scale


def attached(max_bytes=1 << 20):
    encoder, cache = Encoder(), Conditioning(max_bytes, text_bytes=max_bytes)
    cache.attach({"text_encoder": encoder, "image_encoder": None, "scheduler": object()})
    return encoder, cache


def test_equal_content_is_asked_once_and_any_difference_again():
    encoder, cache = attached()
    x = torch.arange(4.0)
    assert torch.equal(encoder(x), encoder(x.clone()))
    assert encoder.asked == 1 and cache.hits == {"text_encoder": 1}
    for different in ((x.double(),), (x.reshape(2, 2),), (x, 2.0), (x, 2), (x + 1,)):
        encoder(*different)
    encoder(x, scale=1.0)
    assert encoder.asked == 7


def test_what_cannot_be_compared_is_never_kept():
    encoder, cache = attached()
    x = torch.arange(4.0)
    for _ in range(2):
        encoder(x, thing=object())
    assert encoder.asked == 2 and not cache.misses


def test_the_oldest_is_let_go_and_nothing_larger_than_the_whole_is_kept():
    encoder, _ = attached(max_bytes=8 * 4)
    first, second, third = (torch.full((4,), float(n)) for n in range(3))
    for x in (first, second, first, third, first):
        encoder(x)
    assert encoder.asked == 3
    encoder(second)
    assert encoder.asked == 4, "second was used longest ago, so it went for third"
    large = torch.zeros(9)
    encoder(large)
    encoder(large)
    assert encoder.asked == 6
    encoder(second)
    assert encoder.asked == 6, "what is too large to keep drives nothing out"


def test_pictures_drive_no_texts_out():
    text, picture = Encoder(), Encoder()
    cache = Conditioning(8 * 4, text_bytes=4 * 4)
    cache.attach({"text_encoder": text, "image_encoder": picture})
    text(torch.ones(4))
    for number in range(9):
        picture(torch.full((4,), float(number)))
    text(torch.ones(4))
    assert text.asked == 1 and picture.asked == 9 and cache.held_bytes == 12 * 4


def test_detached_modules_are_as_they_were():
    encoder, cache = attached()
    x = torch.ones(2)
    encoder(x)
    cache.detach()
    encoder(x)
    encoder(x)
    assert encoder.asked == 3 and type(encoder) is Encoder


class Counting(ModelHook):
    """accelerate's way of being asked before a module runs, which is where weights would be moved."""

    def __init__(self):
        self.asked = 0

    def pre_forward(self, module, *args, **named):
        self.asked += 1
        return args, named


@pytest.mark.parametrize("hooked_first", [True, False])
def test_hooks_come_and_go_beneath_what_is_remembered(hooked_first):
    encoder, cache, hook = umt5(), Conditioning(), Counting()
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        alone = encoder(tokens).last_hidden_state
        if hooked_first:
            add_hook_to_module(encoder, hook)
        cache.attach({"text_encoder": encoder})
        if not hooked_first:
            add_hook_to_module(encoder, hook)
        for _ in range(3):
            assert torch.equal(encoder(tokens).last_hidden_state, alone)
            # As pipelines do after each call with offloading: all hooks off, and on again.
            remove_hook_from_module(encoder, recurse=True)
            add_hook_to_module(encoder, hook)
    assert cache.misses == {"text_encoder": 1} and cache.hits == {"text_encoder": 2}
    assert hook.asked == 1, "what is remembered brings no weights anywhere"
    cache.detach()
    remove_hook_from_module(encoder)
    with torch.no_grad():
        assert torch.equal(encoder(tokens).last_hidden_state, alone) and hook.asked == 1


@pytest.mark.parametrize("way", ["model", "group", "sequential"])
@pytest.mark.parametrize(
    ("family", "encoders"),
    [("svd", "keep"), ("wan2.1-i2v", "keep"), ("wan2.1-i2v", "cpu"), ("framepack-i2v", "keep")],
)
def test_offloading_changes_no_pixel_and_nothing_that_is_remembered(family, encoders, way, tiny):
    plain = copied(resident(family, tiny))
    one = offloaded(copied(resident(family, tiny, encoders=encoders)), way)
    for seed in (1, 2, 1):
        assert np.array_equal(render(one, seed), render(plain, seed))
    assert one.conditioning.hits == plain.conditioning.hits
    assert one.conditioning.misses == plain.conditioning.misses
    one.close()
