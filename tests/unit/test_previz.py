"""previz: the frames it makes, measured as a viewer would see them."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from farm.errors import InputError, TakeError
from farm.render.ambient import compose
from farm.render.choreography import choreograph
from farm.render.enlarge import enlarged
from farm.render.families import FAMILIES
from farm.render.fields import taper
from farm.render.fit import fit
from farm.render.lens import Lens, unit_grid
from farm.render.previz import NATIVE_MAX_PIXELS, REVISION, PrevizBackend, positions
from farm.render.survey import survey
from farm.render.wording import AMBIENTS, CAMERAS
from farm.values import Frames, Model, Motion, Pixels, Still, Task

ROOT = Path(__file__).parents[2]
LIBRARY = yaml.safe_load((ROOT / "jobs/motions/subtle.yaml").read_text())["motions"]
MODEL = Model("previz", "previz", REVISION, 12, Fraction(12), "native")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As a loaded backend has it; more would only wait for each other on maps this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def render(still: Pixels, motion: Motion, seed: int = 1, model: Model = MODEL) -> Frames:
    backend = PrevizBackend(model)
    backend.load()
    task = Task("0" * 32, Still("s", "s.png", "s.png"), "0" * 64, motion, motion.prompt, model, seed)
    frames = backend.render(still, task, lambda done, total: None)
    backend.close()
    return frames


def moving(camera: str | None = "static", *ambient: str, prompt: str = "", strength: float = 1.0) -> Motion:
    return Motion("m", prompt, camera, ambient, strength)


def textured(width: int = 192, height: int = 128, seed: int = 0) -> Pixels:
    """Soft grey noise at several scales: flow can be measured everywhere."""
    rng = np.random.default_rng(seed)
    summed = np.zeros((height, width))
    for cells in (8, 16, 32, 64):
        coarse = rng.random((max(2, cells * height // width), cells))
        summed += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.3
    scaled = 40 + 180 * (summed - summed.min()) / np.ptp(summed)
    return np.repeat(scaled[..., None], 3, 2).astype(np.uint8)


def flow(a: Pixels, b: Pixels) -> np.ndarray:
    """(H, W, 2): where what is seen in `a` has gone in `b`, in pixels."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), cv2.cvtColor(b, cv2.COLOR_RGB2GRAY), None)


def drawn(name: str, width: int) -> Pixels:
    image = Image.open(ROOT / "jobs/stills" / name).convert("RGB")
    return fit(np.asarray(image), width, width * image.height // image.width // 2 * 2)


@pytest.mark.parametrize("entry", LIBRARY, ids=lambda entry: entry["id"])
def test_every_motion_of_the_library_moves_a_still_and_starts_from_it(entry):
    motion = Motion(**{**entry, "ambient": tuple(entry["ambient"])})
    still = drawn("coffee.png", 240)
    frames = render(still, motion)
    assert frames.shape == (12, *still.shape) and frames.dtype == np.uint8
    assert np.abs(frames[-1].astype(int) - frames[0]).max() > 5
    if motion.camera in ("static", "push-in"):
        assert np.array_equal(frames[0], still)
    if motion.camera == "pull-out":
        assert np.array_equal(frames[-1], still)


@pytest.mark.parametrize("camera", CAMERAS)
def test_no_border_shows(camera, monkeypatch):
    """A white still stays white, though everything outside of it is made black."""
    within = torch.nn.functional.grid_sample

    def black_outside(image, grid, **options):
        return within(image, grid, **{**options, "padding_mode": "zeros"})

    monkeypatch.setattr("farm.render.lens.functional.grid_sample", black_outside)
    white = np.full((72, 128, 3), 255, np.uint8)
    motion = moving(camera, "sway", "breathe", strength=3)
    assert render(white, motion, model=replace(MODEL, frames=5)).min() >= 254


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(CAMERAS),
    st.integers(0, 10**6),
    st.floats(0, 10),
    st.sampled_from(((96, 54), (54, 96), (64, 64), (16, 90))),
    st.integers(0, 5),
)
def test_all_sampling_stays_inside_the_still(camera, seed, strength, size, texture):
    width, height = size
    seen = survey(textured(width, height, texture))
    plan = choreograph(moving(camera, *AMBIENTS, strength=strength), seed, 2.0, (0.5, -0.5))
    near = torch.rand(
        1, 1, height, width, generator=torch.Generator().manual_seed(seed)
    )  # the roughest of depths
    lens = Lens(plan.camera, near)
    ambient = compose(plan.effects, seen, 2.0, CPU)
    for progress in (0, 0.3, 0.7, 1):
        layers = ambient(2.0 * progress)
        assert float(positions(lens.look(progress), layers.shift).abs().max()) <= 1 + 1e-6


@given(st.integers(2, 60), st.integers(2, 60), st.floats(0, 0.4))
def test_the_largest_displacement_dies_down_before_the_border(width, height, shares):
    grid = unit_grid(height, width, CPU)[0]
    factors = taper(height, width, shares, CPU)
    for axis, edge in ((0, width), (1, height)):
        largest = 2 * shares * min(width, height) / edge
        assert float((grid[..., axis].abs() + largest * factors[axis]).max()) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("effect", "places"),
    [("sway", "hair"), ("sway", "leaves"), ("ripple", "water"), ("ripple", "coffee"), ("breathe", "face")],
)
def test_no_effect_goes_beyond_its_amplitude(effect, places):
    seen = survey(drawn("astronaut.png", 120))
    plan = choreograph(moving("static", effect, prompt=places, strength=4), 5, 4.0, (0, 0))
    ambient = compose(plan.effects, seen, 4.0, CPU)
    assert (
        max(float(ambient(t / 6).shift.abs().max()) for t in range(0, 24, 3)) <= 2 * plan.effects[0].amplitude
    )
    assert float(ambient(0.0).shift.abs().max()) == 0


@pytest.mark.parametrize(
    ("camera", "axis", "sign"),
    [("pan-left", 0, 1), ("pan-right", 0, -1), ("tilt-up", 1, 1), ("tilt-down", 1, -1)],
)
def test_the_picture_moves_against_the_camera(camera, axis, sign):
    frames = render(textured(), moving(camera))
    moved = np.median(flow(frames[0], frames[-1])[24:-24, 24:-24], axis=(0, 1))
    edge = textured().shape[1 - axis]
    assert 0.015 * edge < sign * moved[axis] < 0.08 * edge
    assert abs(moved[1 - axis]) < 0.3 * abs(moved[axis])


@pytest.mark.parametrize(("camera", "sign"), [("push-in", 1), ("pull-out", -1)])
def test_a_dolly_magnifies(camera, sign):
    frames = render(textured(), moving(camera))
    along_x = flow(frames[0], frames[-1])[24:-24, 24:-24, 0]
    slope = np.polyfit(np.arange(along_x.shape[1]), along_x.mean(0), 1)[0]
    assert 0.02 < sign * slope < 0.08


@pytest.mark.parametrize(("camera", "sign"), [("orbit-left", 1), ("orbit-right", -1)])
def test_in_an_orbit_the_near_and_the_far_part(camera, sign):
    frames = render(textured(), moving(camera))
    along_x = flow(frames[0], frames[-1])[..., 0][:, 60:-60]
    assert sign * (along_x[-30:-10].mean() - along_x[10:30].mean()) > 0.5


def test_motion_is_smooth():
    frames = render(textured(), moving("pan-left"), model=replace(MODEL, frames=25))
    steps = [flow(a, b)[24:-24, 24:-24, 0].mean() for a, b in pairwise(frames)]
    assert min(steps) > -0.05
    assert np.abs(np.diff(steps)).max() < 0.25 * max(steps)


def test_the_same_task_gives_the_same_bytes_in_any_process():
    program = (
        "import sys; sys.path.insert(0, 'tests/unit'); import hashlib, test_previz as t\n"
        "print(hashlib.sha256(t.render(t.drawn('cat.png', 160), t.moving('orbit-left', *t.AMBIENTS))).hexdigest())"
    )
    here = render(drawn("cat.png", 160), moving("orbit-left", *AMBIENTS))
    again = render(drawn("cat.png", 160), moving("orbit-left", *AMBIENTS))
    assert np.array_equal(here, again)
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert told.stdout.strip() == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize("motion", [moving("push-in"), *(moving("static", effect) for effect in AMBIENTS)])
def test_takes_differ(motion):
    still = drawn("pagoda.jpg", 160)
    first, second = (render(still, motion, seed)[-1].astype(int) for seed in (0, 1))
    assert np.abs(first - second).max() > 3


def test_drift_moves_the_sky_and_nothing_below():
    still = textured(192, 128)
    still[:64] = np.linspace(225, 170, 64, dtype=np.uint8)[:, None, None] - np.uint8((60, 30, 0))
    change = np.abs(render(still, moving("static", "drift", prompt="clouds")).astype(int) - still).max((0, 3))
    assert change[:48].max() > 4 and change[72:].max() <= 2


def test_sway_moves_what_is_green_and_leaves_what_is_grey():
    still = textured(192, 128)
    still[40:, 60:130] = still[40:, 60:130] * (0.5, 0.9, 0.3)
    change = np.abs(render(still, moving("static", "sway", prompt="leaves")).astype(int) - still).max((0, 3))
    assert change[60:110, 75:115].max() > 8
    assert max(change[:, :45].max(), change[:, 145:].max(), change[:25].max()) == 0


def test_firelight_is_warm():
    frames = render(textured(), moving("static", "flicker")).astype(float).mean((1, 2))
    red, _, blue = np.ptp(frames, axis=0)
    assert red > 1 and red > 1.3 * blue


def test_a_breath_swells_from_the_middle():
    frames = render(drawn("dahlia.jpg", 240), moving("static", "breathe"), model=replace(MODEL, frames=18))
    outwards = flow(frames[0], frames[-1])[..., 0][50:110]
    assert outwards[:, 75:95].mean() < 0 < outwards[:, 125:145].mean()


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (16, 700), (90, 160), (101, 99)])
@pytest.mark.parametrize("level", [None, 0, 128, 255])
def test_odd_tiny_tall_and_flat_stills(size, level):
    width, height = size
    still = textured(width, height) if level is None else np.full((height, width, 3), level, np.uint8)
    frames = render(still, moving("orbit-right", *AMBIENTS), model=replace(MODEL, frames=3))
    assert frames.shape == (3, height, width, 3)
    assert np.abs(frames.astype(int) - int(np.median(still))).max() < 200


def test_a_single_frame_is_the_still():
    still = drawn("cat.png", 64)
    assert np.array_equal(
        render(still, moving("push-in", *AMBIENTS), model=replace(MODEL, frames=1)), still[None]
    )


def test_too_small_is_the_takes_own_failure():
    with pytest.raises(TakeError, match=r"s\.png: 15x40 px is too small; at least 16") as caught:
        render(textured(15, 40), moving("push-in"))
    assert caught.value.kind == "render_too_small"


def test_every_frame_beats_and_a_beat_can_stop_the_take():
    class Stopped(Exception):
        pass

    backend = PrevizBackend(MODEL)
    backend.load()
    task = Task("0" * 32, Still("s", "u", "w"), "0" * 64, moving("push-in"), "", MODEL, 0)
    beats: list[tuple[int, int]] = []
    backend.render(textured(), task, lambda done, total: beats.append((done, total)))
    assert beats == [(n, 12) for n in range(1, 13)]

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        backend.render(textured(), task, stop)


def test_settings_that_cannot_be_are_refused_when_loading():
    for model, told in (
        (replace(MODEL, size="101x100"), "nearest allowed: 102x100"),
        (replace(MODEL, size="big"), "allowed: native"),
        (replace(MODEL, options=(("depth", 2),)), "takes no options, got depth"),
    ):
        with pytest.raises(InputError, match=told):
            PrevizBackend(model).load()


def test_what_it_says_of_itself():
    backend = PrevizBackend(MODEL)
    assert backend.accelerator == "CPU" or torch.cuda.is_available()
    assert backend.frame_size(6000, 4000)[0] * backend.frame_size(6000, 4000)[1] <= NATIVE_MAX_PIXELS
    assert FAMILIES["previz"].revision == REVISION
    fingerprint = backend.fingerprint()
    assert fingerprint["renderer"] == REVISION and fingerprint["torch"] == torch.__version__
    assert all(isinstance(value, str) for value in fingerprint.values())


def test_enlarging_keeps_every_pixel_and_draws_straight_lines_between():
    ramp = torch.arange(20, dtype=torch.float32).repeat(1, 1, 12, 1)
    large = enlarged(ramp)
    assert large.shape == (1, 1, 34, 58)
    assert torch.equal(large[..., ::3, ::3], ramp)
    inner = large[..., 9:-9, 9:-9]
    assert (inner - torch.arange(9, 49) / 3).abs().max() < 0.02
