"""Conditioning: what is kept between takes, and that it changes no bit of what the bare pipeline renders."""

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from tiny_models import TINY
from tiny_takes import FRAME, resident, still, task
from tiny_worlds import Checker

from farm.render.conditioning import Conditioning
from farm.render.families import FAMILIES

TAKES = [(0, "push in", 1), (0, "push in", 2), (0, "wind", 1), (1, "push in", 1), (0, "push in", 1)]


def bare(family, folder):
    """The pipeline as its own documentation calls it: no cache, no hook, arguments written out."""
    row, tiny = FAMILIES[family], TINY[family]
    checked = {"safety_checker": Checker()} if family.startswith("cosmos") else {}
    pipe = getattr(diffusers, row.pipeline).from_pretrained(folder, dtype=torch.float32, **checked)
    pipe.set_progress_bar_config(disable=True)
    sized = {"height": FRAME[0], "width": FRAME[1], "num_frames": tiny.frames}
    own = {
        "svd": {**sized, "fps": 7, "max_guidance_scale": 3.0},
        "ltx-video": {**sized, "frame_rate": 25, "guidance_scale": 3.0},
        "ltx-2": {**sized, "frame_rate": 24, "guidance_scale": 3.0},
        "sana-video-i2v": {
            "height": 64,
            "width": 64,
            "frames": 9,
            "use_resolution_binning": False,
            "guidance_scale": 6.0,
        },
        "framepack-i2v": {**sized, "num_frames": 33, "guidance_scale": 6.0},
        "hunyuanvideo1.5-i2v": {"num_frames": 9},
        "cosmos1-v2w": {**sized, "fps": 30, "guidance_scale": 7.0},
        "cosmos2-v2w": {**sized, "fps": 16, "guidance_scale": 7.0},
    }.get(family, {**sized, "guidance_scale": row.guidance})

    def render(number, prompt, seed):
        words = {"prompt": prompt} if row.takes_text else {}
        torch.manual_seed(seed)
        video = pipe(
            image=Image.fromarray(still(number)), num_inference_steps=2, output_type="np",
            generator=torch.Generator("cpu").manual_seed(seed), **words, **own, **tiny.options,
        ).frames[0]  # fmt: skip
        return (np.asarray(video) * 255).round().astype(np.uint8)

    return render


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
