"""Conditioning: what is kept between takes, and that it changes no bit of what the bare pipeline renders."""

import numpy as np
import pytest
import torch
from tiny_bare import bare
from tiny_models import TINY
from tiny_takes import resident, still, task

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
    encoder, cache = Encoder(), Conditioning(max_bytes)
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


def test_detached_modules_are_as_they_were():
    encoder, cache = attached()
    x = torch.ones(2)
    encoder(x)
    cache.detach()
    encoder(x)
    encoder(x)
    assert encoder.asked == 3 and "forward" not in vars(encoder)
