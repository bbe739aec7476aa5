"""One suite for every scorer, one for every critic: whole curves, the same each time, and a fair verdict."""

import math
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import Clip, Relief, Unlike, scorer_folder
from torch import nn

from farm.errors import InputError, TakeError
from farm.score.learned import LearnedCritic
from farm.score.score import StillReferenceScorer
from farm.score.scorer import Critic, Scorer
from farm.values import Frames, Measures, Pixels, Span

FPS = Fraction(24)
COUNT = 16  # frames of the curves that are made up


def take(count: int = 8, size: tuple[int, int] = (96, 64), seed: int = 0) -> Frames:
    """A slow pan over a soft random picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (size[1] // 8 + 2, (size[0] + count) // 8 + 2, 3))
    wide = cv2.resize(coarse.astype(np.uint8), (size[0] + count, size[1]), interpolation=cv2.INTER_CUBIC)
    return np.stack([wide[:, i : i + size[0]] for i in range(count)])


# --- who is tested ---


LEARNED: dict[str, tuple[nn.Module, dict[str, Any]]] = {
    "frames": (Relief(), {"name": "relief", "good": 8.0, "limit": 1.0}),
    "clip": (Clip(), {"name": "change", "input": "clip", "frames": 6, "good": 0.0, "limit": 0.5}),
    "pair": (Unlike(), {"name": "unlike", "input": "pair", "good": 0.0, "limit": 0.5, "size_px": "48x48"}),
}


def learned(folder: Path, kind: str) -> Critic:
    network, card = LEARNED[kind]
    return LearnedCritic(scorer_folder(folder, network, **card))


def faces(folder: Path) -> Critic:
    from farm.score.faces import FaceCritic

    try:
        return FaceCritic()
    except InputError as e:
        pytest.skip(str(e))


CRITICS: dict[str, Callable[[Path], Critic]] = {
    "faces": faces,
    **{f"learned-{kind}": partial(learned, kind=kind) for kind in LEARNED},
}
SCORERS: dict[str, Callable[[Path], Scorer]] = {
    "still-reference": lambda folder: StillReferenceScorer(),
    "with-learned": lambda folder: StillReferenceScorer([learned(folder / kind, kind) for kind in LEARNED]),
    "with-faces": lambda folder: StillReferenceScorer([faces(folder)]),
}


@pytest.fixture(scope="module", params=sorted(SCORERS))
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return SCORERS[request.param](tmp_path_factory.mktemp("scorer"))


@pytest.fixture(scope="module", params=sorted(CRITICS))
def critic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Critic:
    return CRITICS[request.param](tmp_path_factory.mktemp("critic"))


TAKES = [
    (2, (16, 16), Fraction(24)),
    (2, (96, 64), Fraction(1)),
    (3, (33, 17), Fraction(120)),
    (9, (101, 57), Fraction(30000, 1001)),
    (30, (64, 96), Fraction(8)),
]
STILLS: dict[str, Callable[[Frames], tuple[Pixels | None, Pixels | None]]] = {
    "still": lambda frames: (frames[0], None),
    "no still": lambda frames: (None, None),
    "still and character": lambda frames: (frames[-1], take(1, (40, 52))[0]),
    "character": lambda frames: (None, take(1, (300, 200))[0]),
}


def views(frames: Frames) -> Iterator[tuple[str, Frames]]:
    """The same frames, laid out otherwise in memory."""
    padded = np.pad(frames, ((1, 1), (2, 3), (4, 1), (0, 0)))
    yield "a part of larger frames", padded[1:-1, 2:-3, 4:-1]
    yield "flipped", np.ascontiguousarray(frames[:, ::-1, ::-1])[:, ::-1, ::-1]
    yield "BGR turned to RGB", np.ascontiguousarray(frames[..., ::-1])[..., ::-1]
    yield "every second of more", np.repeat(frames, 2, axis=0)[::2]
    yield "columns first", np.asfortranarray(frames)
    read_only = frames.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


# --- what a scorer measures ---


def assert_same(one: Measures, other: Measures) -> None:
    assert one.cuts == other.cuts and one.curves.keys() == other.curves.keys()
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve, other.curves[name], err_msg=name)
    np.testing.assert_array_equal(one.composite, other.composite)


@pytest.mark.parametrize("given_with", sorted(STILLS))
@pytest.mark.parametrize(("count", "size", "fps"), TAKES)
def test_measures_are_whole(scorer, count, size, fps, given_with):
    frames = take(count, size)
    measures = scorer.measure(frames, fps, *STILLS[given_with](frames))
    assert tuple(measures.curves) == scorer.dimensions
    for name, curve in (*measures.curves.items(), ("composite", measures.composite)):
        assert curve.shape == (count,) and curve.dtype == np.float32, name
        assert (curve >= 0).all() and (curve <= 1).all(), name
    assert list(measures.cuts) == sorted(set(measures.cuts) & set(range(1, count)))
    assert 0 <= scorer.judge(measures, Span(0, count), fps, 0.7).score <= 1


def test_names_of_dimensions_can_be_columns_and_stand_once(scorer):
    assert len(set(scorer.dimensions)) == len(scorer.dimensions) > 0
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in scorer.dimensions)


def test_the_same_take_measures_the_same_after_others_and_in_any_thread(scorer):
    frames, other = take(), take(12, (64, 80), seed=1)
    first = scorer.measure(frames, FPS, frames[0])
    scorer.measure(other, Fraction(8), None)
    assert_same(first, scorer.measure(frames.copy(), FPS, frames[0].copy()))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(scorer.measure, given, FPS, None) for given in (other, frames, other, frames)]
    assert_same(both[1].result(), both[3].result())
    assert_same(both[0].result(), both[2].result())
    assert_same(both[1].result(), scorer.measure(frames, FPS, None))


def test_what_is_judged_is_left_as_it_is(scorer):
    frames, still, character = take(), take(1)[0], take(1, (50, 50))[0]
    before = [given.copy() for given in (frames, still, character)]
    measures = scorer.measure(frames, FPS, still, character)
    for given_then, now in zip(before, (frames, still, character), strict=True):
        np.testing.assert_array_equal(given_then, now)
    kept = pickle.loads(pickle.dumps(measures))
    scorer.judge(measures, Span(1, 7), FPS, 0.7)
    assert_same(kept, measures)


def test_how_frames_lie_in_memory_is_no_matter(scorer):
    frames = take(5, (64, 48))
    expected = scorer.measure(frames, FPS, frames[0])
    for how, view in views(frames):
        np.testing.assert_array_equal(view, frames, err_msg=how)
        assert_same(expected, scorer.measure(view, FPS, view[0]))


@pytest.mark.parametrize(
    ("frames", "still"),
    [
        (np.zeros((1, 64, 64, 3), np.uint8), None),
        (np.zeros((0, 64, 64, 3), np.uint8), None),
        (np.zeros((4, 8, 64, 3), np.uint8), None),
        (np.zeros((4, 64, 64), np.uint8), None),
        (np.zeros((4, 64, 64, 4), np.uint8), None),
        (np.zeros((4, 64, 64, 3), np.float32), None),
        (np.zeros((4, 64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)),
    ],
    ids=["one", "none", "narrow", "grey", "alpha", "floats", "other still"],
)
def test_frames_that_cannot_be_judged_are_refused_by_kind_in_one_line(scorer, frames, still):
    with pytest.raises(TakeError) as caught:
        scorer.measure(frames, FPS, still)
    assert re.fullmatch("score_[a-z_]+", caught.value.kind)
    assert str(caught.value) and "\n" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).kind == caught.value.kind


# --- how it judges ---
levels = st.floats(0, 1, width=32)
spans = st.tuples(st.integers(0, COUNT - 1), st.integers(1, COUNT)).map(
    lambda ends: Span(ends[0], min(COUNT, ends[0] + ends[1]))
)


@st.composite
def made_up(draw: st.DrawFn, names: tuple[str, ...]) -> Measures:
    """Curves for `names`, most of them good, some worse from some frame on."""
    curves = {}
    for name in names:
        curve = np.full(COUNT, draw(st.sampled_from([1.0, 1.0, 0.95, 0.8])), np.float32)
        if draw(st.integers(0, 4)) == 0:
            curve[draw(st.integers(0, COUNT - 1)) :] = draw(levels)
        curves[name] = curve
    cuts = tuple(draw(st.lists(st.integers(1, COUNT - 1), max_size=2, unique=True).map(sorted)))
    return Measures(curves, np.min(list(curves.values()), axis=0), cuts)


@given(data=st.data(), span=spans, accept=st.floats(0, 1))
def test_a_take_is_accepted_exactly_when_no_reason_is_given(scorer, data, span, accept):
    measures = data.draw(made_up(scorer.dimensions))
    review = scorer.judge(measures, span, FPS, accept)
    assert review.accepted == (review.reasons == ())
    assert not review.accepted or review.score >= accept
    assert review == scorer.judge(measures, span, FPS, accept)
    assert tuple(review.dimensions) == scorer.dimensions
    assert all(0 <= value <= 1 for value in (review.score, *review.dimensions.values()))
    assert all(type(value) is float for value in (review.score, *review.dimensions.values()))
    assert all(reason.strip() == reason != "" and reason.isprintable() for reason in review.reasons)


@given(data=st.data(), span=spans, low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_stricter_limit_accepts_no_more_and_scores_the_same(scorer, data, span, low, high):
    measures = data.draw(made_up(scorer.dimensions))
    lenient, strict = (scorer.judge(measures, span, FPS, accept) for accept in sorted((low, high)))
    assert lenient.score == strict.score
    assert lenient.accepted or not strict.accepted


@given(data=st.data(), span=spans)
def test_worse_curves_never_score_better(scorer, data, span):
    measures = data.draw(made_up(scorer.dimensions))
    name, start = data.draw(st.sampled_from(scorer.dimensions)), data.draw(st.integers(0, COUNT - 1))
    curve = measures.curves[name].copy()
    curve[start:] = np.minimum(curve[start:], data.draw(levels))
    curves = {**measures.curves, name: curve}
    worse = replace(measures, curves=curves, composite=np.min(list(curves.values()), axis=0))
    before, after = (scorer.judge(given_then, span, FPS, 0.7) for given_then in (measures, worse))
    assert after.score <= before.score + 1e-6
    assert after.dimensions[name] <= before.dimensions[name] + 1e-6
    assert before.accepted or not after.accepted


@given(data=st.data(), span=spans)
def test_frames_outside_a_span_do_not_count(scorer, data, span):
    measures = data.draw(made_up(scorer.dimensions))
    ruined = {name: np.zeros(COUNT, np.float32) for name in scorer.dimensions}
    for name, curve in ruined.items():
        span.of(curve)[:] = span.of(measures.curves[name])
    elsewhere = replace(measures, curves=ruined, composite=np.min(list(ruined.values()), axis=0))
    one, other = (scorer.judge(given_then, span, FPS, 0.7) for given_then in (measures, elsewhere))
    assert one == other


# --- critics ---


@pytest.mark.parametrize("given_with", sorted(STILLS))
@pytest.mark.parametrize(("count", "size", "fps"), TAKES)
def test_figures_are_whole_finite_and_not_negative(critic, count, size, fps, given_with):
    frames = take(count, size)
    figures = critic.figures(frames, fps, *STILLS[given_with](frames))
    assert figures.shape == (count,) and figures.dtype == np.float32
    assert np.isfinite(figures).all() and (figures >= 0).all()


def test_the_same_take_has_the_same_figures(critic):
    frames, still, character = take(), take(1)[0], take(1, (50, 50))[0]
    before = [given_then.copy() for given_then in (frames, still, character)]
    first = critic.figures(frames, FPS, still, character)
    critic.figures(take(5, (40, 40), seed=1), Fraction(8), None, None)
    np.testing.assert_array_equal(first, critic.figures(*before[:1], FPS, *before[1:]))
    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(critic.figures, frames, FPS, still, character).result()
    np.testing.assert_array_equal(first, elsewhere)
    for given_then, now in zip(before, (frames, still, character), strict=True):
        np.testing.assert_array_equal(given_then, now)


def test_how_the_frames_of_a_critic_lie_in_memory_is_no_matter(critic):
    frames = take(5, (64, 48))
    expected = critic.figures(frames, FPS, frames[0], None)
    for how, view in views(frames):
        np.testing.assert_array_equal(expected, critic.figures(view, FPS, view[0], None), err_msg=how)


def test_a_critic_joins_a_scorer_and_leaves_its_dimensions_as_they_are(critic):
    alone = StillReferenceScorer()
    joined = StillReferenceScorer([critic])
    dimension = critic.dimension
    assert joined.dimensions == (*alone.dimensions, dimension.name)
    assert 0 < dimension.limit < math.inf and 0 <= dimension.worst <= 1
    assert dimension.says.isprintable() and dimension.says.strip() == dimension.says != ""
    frames = take()
    without, measures = (one.measure(frames, FPS, frames[0]) for one in (alone, joined))
    assert all((measures.curves[name] == curve).all() for name, curve in without.curves.items())
    assert (measures.composite <= without.composite).all()
