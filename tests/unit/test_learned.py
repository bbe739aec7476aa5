"""Learned scorers: what is in the folder is what judges, with the words and between the limits of its card."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from devset_takes import FPS, camera, photo
from hypothesis import given
from hypothesis import strategies as st
from networks import (
    Brightness,
    Clip,
    Features,
    LightOnly,
    Relief,
    Unlike,
    save,
    scorer_folder,
    write_card,
)

from farm.documents import validate
from farm.errors import TakeError
from farm.score.dimensions import Dimension
from farm.score.learned import LearnedCritic, check
from farm.score.learned_card import Card
from farm.score.score import StillReferenceScorer
from farm.values import Curve, Frames, Pixels, Span

LEVELS = (0, 51, 102, 153, 204, 255)


def steps(levels: tuple[int, ...] = LEVELS, size: tuple[int, int] = (64, 48)) -> Frames:
    """A frame of each level."""
    return np.stack([np.full((size[1], size[0], 3), level, np.uint8) for level in levels])


def figures(folder: Path, frames: Frames, still: Pixels | None = None) -> Curve:
    return LearnedCritic(folder).figures(frames, FPS, still, None)


# --- what the figures are ---


def test_a_number_for_each_frame_becomes_a_figure_between_good_and_limit(tmp_path):
    """Levels 0, .2, .4 ... 1 with good .4 and limit .1: 0.4 and more is faultless, 0.1 is at the limit."""
    found = figures(scorer_folder(tmp_path, Brightness()), steps())
    np.testing.assert_allclose(found, [4 / 3, 2 / 3, 0, 0, 0, 0], atol=1e-6)
    assert found.dtype == np.float32


def test_where_low_numbers_are_good_the_limit_is_the_higher_one(tmp_path):
    found = figures(scorer_folder(tmp_path, Brightness(), good=0.2, limit=0.6), steps())
    np.testing.assert_allclose(found, [0, 0, 0.5, 1, 1.5, 2], atol=1e-6)


def test_frames_between_those_that_the_network_saw_are_interpolated(tmp_path):
    folder = scorer_folder(tmp_path, Brightness(), frames=3, good=1.0, limit=0.0)
    found = figures(folder, steps((255, 7, 127, 7, 255)))
    np.testing.assert_allclose(found, [0, 0.251, 0.502, 0.251, 0], atol=1e-3)


def test_a_clip_has_one_number_throughout_and_always_its_length(tmp_path):
    folder = scorer_folder(tmp_path, Clip(), input="clip", frames=6, good=0.0, limit=0.5)
    for levels in ((0, 102), LEVELS[:3], (0, *(7,) * 30, 102)):
        np.testing.assert_allclose(figures(folder, steps(levels)), [0.8] * len(levels), atol=1e-6)
    assert check(folder) == Dimension("brightness", 1.0, "too dark", timed=False)


def test_a_pair_is_each_frame_beside_the_still_or_beside_the_first_frame(tmp_path):
    folder = scorer_folder(tmp_path, Unlike(), input="pair", good=0.0, limit=0.2)
    still = steps((51,))[0]
    np.testing.assert_allclose(figures(folder, steps(LEVELS[:3]), still), [1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(figures(folder, steps(LEVELS[:3])), [0, 1, 2], atol=1e-6)


def test_a_head_judges_what_its_backbone_sees(tmp_path):
    """max(0, mean - .5) - max(0, .5 - mean) + .25 of mean and largest level."""
    safetensors = pytest.importorskip("safetensors.torch")
    folder = scorer_folder(
        tmp_path, Features(), weights="head.safetensors", backbone="network.pt", good=1.0, limit=0.0
    )
    head = {
        "0.weight": torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float16),
        "0.bias": torch.tensor([-0.5, 0.5]),
        "2.weight": torch.tensor([[1.0, -1.0]]),
        "2.bias": torch.tensor([0.25]),
    }
    safetensors.save_file(head, folder / "head.safetensors")
    levels = np.asarray(LEVELS) / 255
    np.testing.assert_allclose(figures(folder, steps()), np.clip(1 - (levels - 0.25), 0, None), atol=1e-6)


def test_the_network_sees_rgb_less_mean_over_std(tmp_path):
    folder = scorer_folder(
        tmp_path, Brightness(), mean=[0.2, 0.0, 0.0], std=[1.0, 2.0, 4.0], good=0.0, limit=1.0
    )
    frames = np.broadcast_to(np.array([255, 204, 102], np.uint8), (2, 32, 32, 3))
    np.testing.assert_allclose(figures(folder, frames), [(0.8 + 0.4 + 0.1) / 3] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("size_px", "picture", "scaled", "kept"),
    [
        (224, (1280, 720), (398, 224), (398, 224)),
        (224, (720, 1280), (224, 398), (224, 398)),
        (32, (17, 21), (32, 40), (32, 40)),
        (100, (4000, 16), (400, 2), (400, 2)),
        ("224x224", (1280, 720), (398, 224), (224, 224)),
        ("320x180", (720, 720), (320, 320), (320, 180)),
        ("32x64", (33, 65), (32, 64), (32, 64)),
    ],
)
def test_sizes_keep_the_aspect(size_px, picture, scaled, kept):
    card = {"name": "a", "says": "b", "weights": "c.pt", "input": "clip", "good": 1.0, "limit": 0.0}
    assert validate(Card, card | {"size_px": size_px}, where="").cover_px(*picture) == (scaled, kept)


def test_what_hangs_over_a_given_size_is_cropped_on_both_sides(tmp_path):
    folder = scorer_folder(tmp_path, Brightness(), size_px="32x32", good=1.0, limit=0.0)
    frames = np.zeros((2, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 255
    np.testing.assert_allclose(figures(folder, frames), [0, 0], atol=0.02)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=6),
    st.booleans(),
)
def test_figures_are_finite_and_follow_the_numbers(raw, downwards):
    """The one property on which the composite's monotony rests, for any finite number a network may give."""
    critic = object.__new__(LearnedCritic)
    good, limit = (0.0, 1e-3) if downwards else (0.0, -1e-3)  # float32 ends at 3e38 of them
    card = {"name": "a", "says": "b", "weights": "c.pt", "input": "frames", "size_px": 32}
    critic._card = validate(Card, card | {"good": good, "limit": limit, "frames": len(raw)}, where="")
    critic._network = lambda x: torch.tensor(raw)
    found = critic.figures(steps((9,) * len(raw)), FPS, None, None)
    assert np.isfinite(found).all() and (found >= 0).all()
    order = np.argsort(raw if downwards else [-value for value in raw], kind="stable")
    assert (np.diff(found[order]) >= 0).all()


# --- in the composite ---


def test_a_learned_dimension_joins_the_score_and_rejects_with_its_words(tmp_path):
    shot = photo("coffee", (256, 144))
    frames = camera(shot, 30, zoom=0.06)
    bar = {"name": "exposure", "says": "too dark", "good": 0.4, "limit": 0.1}
    scorer = StillReferenceScorer([LearnedCritic(scorer_folder(tmp_path, Brightness(), **bar))])
    assert scorer.dimensions[-1] == "exposure"

    def review(light: float, shown: StillReferenceScorer) -> tuple[float, dict[str, float], tuple[str, ...]]:
        dark, still = ((picture * light).astype(np.uint8) for picture in (frames, shot.still))
        found = shown.judge(shown.measure(dark, FPS, still), Span(0, len(dark)), FPS, 0.7)
        return found.score, dict(found.dimensions), found.reasons

    score, dimensions, reasons = review(1.0, scorer)
    plain, without, _ = review(1.0, StillReferenceScorer())
    assert dimensions.pop("exposure") > 0.95 and dimensions == without
    assert abs(score - plain) < 0.05 and reasons == ()
    score, dimensions, reasons = review(0.1, scorer)
    assert dimensions["exposure"] < 0.5 and score < 0.5
    assert "too dark throughout" in reasons
    assert "too dark throughout" not in review(0.1, StillReferenceScorer())[2]


def test_a_fault_in_the_second_half_is_told_with_its_time(tmp_path):
    shot = photo("chelsea", (256, 144))
    frames = camera(shot, 36, zoom=0.05)
    smooth = np.stack([np.full_like(frame, frame.mean(axis=(0, 1)).round()) for frame in frames[18:]])
    spoiled = np.concatenate([frames[:18], smooth])
    folder = scorer_folder(tmp_path, Relief(), name="texture", says="waxy", frames=36, good=8.0, limit=2.0)
    scorer = StillReferenceScorer([LearnedCritic(folder)])
    measures = scorer.measure(spoiled, FPS, shot.still)
    whole = scorer.judge(measures, Span(0, 36), FPS, 0.7)
    assert "waxy from 0.8 s" in whole.reasons
    assert scorer.judge(measures, Span(0, 18), FPS, 0.7).dimensions["texture"] > 0.9


# --- takes of which no number can be made ---


@pytest.mark.parametrize(
    ("level", "kind", "said"),
    [
        (0, "score_learned_nan", "light: the network gave nan, which is no number"),
        (255, "score_learned_failed", "light: the network failed: .*too bright to be judged"),
    ],
)
def test_a_take_that_the_network_cannot_judge_is_a_fault_of_that_take(tmp_path, level, kind, said):
    critic = LearnedCritic(scorer_folder(tmp_path, LightOnly(), name="light"))
    at_100 = [(0.4 - 100 / 255) / 0.3] * 2
    np.testing.assert_allclose(critic.figures(steps((100, 100)), FPS, None, None), at_100, atol=1e-6)
    with pytest.raises(TakeError, match=said) as caught:
        critic.figures(steps((100, level)), FPS, None, None)
    assert caught.value.kind == kind and "\n" not in str(caught.value)
    assert critic.figures(steps((200, 200)), FPS, None, None).tolist() == [0, 0]


def test_checking_a_folder_loads_neither_torch_nor_opencv(tmp_path):
    folder = scorer_folder(tmp_path, Brightness())
    program = (
        "import sys; from pathlib import Path; from farm.score.learned import check\n"
        "print(check(Path(sys.argv[1])).name, [m for m in ('torch', 'cv2') if m in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == "brightness []\n"
    assert told.stderr == ""


def test_the_same_take_has_the_same_figures_in_any_thread_and_after_other_takes(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(1)
    one, other = (rng.integers(0, 256, (count, 48, 64, 3), np.uint8) for count in (9, 4))
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2), torch.nn.SiLU(), torch.nn.Conv2d(8, 8, 3, 2), torch.nn.GELU(), Relief()
    )
    critic = LearnedCritic(scorer_folder(tmp_path, network, size_px=64, good=100.0, limit=0.0))
    first = critic.figures(one, Fraction(24), None, None)
    with ThreadPoolExecutor(2) as pool:
        for take in [other, one] * 3:
            found = pool.submit(critic.figures, take, Fraction(24), None, None).result()
    np.testing.assert_array_equal(first, found)
    assert 0 < first.min() < 1


def test_a_second_name_for_torchscript(tmp_path):
    save(Brightness(), tmp_path / "network.ts")
    assert figures(write_card(tmp_path, weights="network.ts"), steps((102, 102))).tolist() == [0, 0]
