"""The scorer on takes of known worth: what is good is accepted, what is broken is not, and says why."""

import io
from fractions import Fraction
from functools import cache
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from devset_faults import SPOILS, spoil
from devset_takes import CLEAN, FPS, Scene, ambient, camera, clean, photo

from farm.errors import TakeError
from farm.score.calibration import CALIBRATION
from farm.score.score import StillReferenceScorer
from farm.values import Frames, Measures, Pixels, Review, Span

SCORER = StillReferenceScorer()
ACCEPT = 0.7
CEILING = CALIBRATION.keep.ceiling
PHOTOS = ("coffee", "chelsea")

# The dimension that each fault is a fault of; those after it may suffer too.
FAULTS = {
    "flicker": ("temporal_flickering", "exposure_stability"),
    "region_flicker": ("temporal_flickering",),
    "frozen": ("dynamic_degree",),
    "still_image": ("dynamic_degree",),
    "noise": ("noise", "sharpness"),
    "blur": ("sharpness",),
    "pump": ("exposure_stability", "color_consistency"),
    "cut": ("shot_continuity", "appearance_consistency", "color_consistency"),
    "morph": ("appearance_consistency",),
    "wobble": ("motion_smoothness",),
    "boil": (
        "warping_error", "motion_smoothness", "temporal_flickering", "first_frame_fidelity",
        "appearance_consistency", "shot_continuity",
    ),
    "shake": ("motion_smoothness",),
    "huge": ("motion_magnitude", "exposure_stability", "color_consistency", "sharpness"),
    "ghost": ("ghosting", "appearance_consistency"),
    "pop": ("shot_continuity", "appearance_consistency", "color_consistency"),
}  # fmt: skip
HARMLESS = 0.65  # goodness above which no viewer would name a dimension


@cache
def scene(name: str) -> Scene:
    return photo(name)


@cache
def base(name: str) -> Frames:
    return clean("push_sway", scene(name))


@cache
def measured(name: str, kind: str, severity: int = 0) -> Measures:
    """Measures of a clean kind (severity 0), or of a fault on the photograph's base take."""
    frames = spoil(kind, base(name), severity) if severity else clean(kind, scene(name))
    return SCORER.measure(frames, FPS, scene(name).still)


def judged(measures: Measures, span: Span | None = None, accept: float = ACCEPT) -> Review:
    return SCORER.judge(measures, span or Span(0, len(measures.composite)), FPS, accept)


def review(frames: Frames, still: Pixels | None, fps: Fraction = FPS) -> Review:
    return SCORER.judge(SCORER.measure(frames, fps, still), Span(0, len(frames)), fps, ACCEPT)


def encoded(frames: Frames) -> Frames:
    """Through H.264 at crf 18 and back."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(io.BytesIO(file.getvalue())) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(
    ("name", "kind"), [("chelsea", kind) for kind in CLEAN] + [("coffee", kind) for kind in CLEAN[::2]]
)
def test_clean_movement_is_accepted(name, kind):
    verdict = judged(measured(name, kind))
    assert verdict.accepted, verdict.reasons
    assert measured(name, kind).cuts == ()


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("fault", SPOILS)
def test_an_obvious_fault_is_rejected_and_a_lesser_one_ranks_lower_than_none(name, fault):
    """On one photograph also at the least severity, on the other at the worst only."""
    severities = (1, 3) if name == "chelsea" else (3,)
    scores = [judged(measured(name, "push_sway")).score]
    scores += [judged(measured(name, fault, severity)).score for severity in severities]
    assert max(scores[1:]) < scores[0] > 0.9 * CEILING
    assert all(worse < better + 0.01 for better, worse in pairwise(scores))
    worst = judged(measured(name, fault, 3))
    assert not worst.accepted
    assert worst.reasons


@pytest.mark.parametrize("fault", SPOILS)
def test_a_fault_moves_its_own_dimension_and_leaves_the_others(fault):
    own, *also = FAULTS[fault]
    for name in PHOTOS:
        dimensions = judged(measured(name, fault, 3)).dimensions
        assert dimensions[own] < judged(measured(name, "push_sway")).dimensions[own] - 0.25
        blamed = {dimension for dimension, value in dimensions.items() if value < HARMLESS}
        assert blamed <= {own, *also}


def test_the_wrong_still_is_said():
    verdict = review(base("coffee"), scene("chelsea").still)
    assert "first frame does not match the still" in verdict.reasons[:2]
    assert verdict.score < 0.1


@pytest.mark.parametrize(
    ("fault", "severity", "reason"),
    [
        ("frozen", 3, "frozen from 0."),
        ("still_image", 1, "frozen throughout"),
        ("pump", 3, "light or colour pumps throughout"),
        ("blur", 2, "blurred from 0."),
        ("noise", 2, "noisy from "),
        ("cut", 2, "cut at 0.8 s"),
        ("wobble", 3, "shakes or wobbles throughout"),
        ("huge", 3, "motion too large throughout"),
        ("ghost", 3, "shows a second exposure throughout"),
        ("flicker", 3, "flickers from 0.1 s"),
    ],
)
def test_reasons_say_what_and_when(fault, severity, reason):
    assert judged(measured("coffee", fault, severity)).reasons[0].startswith(reason)


def test_a_cut_is_found_on_its_frame_and_the_stretch_before_it_is_good():
    measures = measured("coffee", "cut", 3)
    assert measures.cuts == (18,)
    assert judged(measures, Span(0, 18)).accepted
    assert judged(measures, Span(0, 19)).reasons[0] == "cut at 0.8 s"
    # What starts with the new picture has no cut in it, but shows another picture.
    reasons = judged(measures, Span(18, 36)).reasons
    assert any(reason.startswith("drifts away from the still") for reason in reasons)
    assert not any(reason.startswith("cut") for reason in reasons)


def test_times_count_from_the_start_of_the_take_whatever_the_span():
    measures = measured("coffee", "blur", 2)
    assert judged(measures).reasons[0].startswith("blurred from 0.")
    assert judged(measures, Span(2, 36)).reasons[0] == judged(measures).reasons[0]
    assert judged(measures, Span(20, 36)).reasons[0] == "blurred throughout"
    assert judged(measures, Span(0, 4)).accepted


def test_a_take_without_a_broken_dimension_is_refused_with_score_and_limit():
    (reason,) = judged(measured("chelsea", "morph", 3)).reasons
    assert reason.startswith("score 0.")
    assert "under the limit of 0.700; weakest: appearance consistency" in reason
    assert judged(measured("chelsea", "morph", 3), accept=0.3).accepted


def test_stillness_never_wins():
    still = scene("chelsea").still
    held = np.repeat(still[None], 36, axis=0)
    grain = np.random.default_rng(0).normal(0, 3, held.shape)
    grainy = np.clip(held + grain, 0, 255).astype(np.uint8)
    worst_moving = min(judged(measured("chelsea", kind)).score for kind in CLEAN)
    for frames in (held, encoded(held), grainy, encoded(grainy)):
        verdict = review(frames, still)
        assert verdict.reasons[0].startswith("frozen")
        assert verdict.score < worst_moving - 0.3


def test_movement_that_has_hardly_begun_to_be_seen_is_not_frozen():
    creeping = camera(scene("coffee"), 36, zoom=0.008)
    assert review(creeping, scene("coffee").still).accepted


def test_a_faster_pan_is_still_a_pan():
    panned = camera(scene("chelsea"), 36, pan=0.115)  # more would show what lies beyond the scene's margin
    assert review(panned, scene("chelsea").still).accepted


def test_a_take_that_begins_a_little_off_the_still_is_accepted():
    """Cameras in previz keep a margin: their first frame shows the still 4% larger."""
    shot = scene("coffee")
    zoomed = camera(shot, 73, zoom=0.08)[36:]
    verdict = review(zoomed, shot.still)
    assert verdict.accepted, verdict.reasons
    assert verdict.dimensions["first_frame_fidelity"] > 0.95


@pytest.mark.parametrize("kind", ["push_in", "breathing", "clouds", "fade"])
def test_encoding_hardly_changes_the_score_of_a_good_take(kind):
    frames = clean(kind, scene("coffee"))
    assert (
        abs(review(encoded(frames), scene("coffee").still).score - judged(measured("coffee", kind)).score)
        < 0.05
    )


@pytest.mark.parametrize("fault", ["flicker", "wobble", "morph", "noise"])
def test_encoding_does_not_hide_a_fault(fault):
    frames = encoded(spoil(fault, base("coffee"), 3))
    assert abs(review(frames, scene("coffee").still).score - judged(measured("coffee", fault, 3)).score) < 0.1


def test_a_take_that_is_bad_from_its_first_frame_needs_the_still():
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3.0) for frame in base("coffee")])
    assert judged(SCORER.measure(blurred, FPS, None)).dimensions["sharpness"] > 0.9
    assert judged(SCORER.measure(blurred, FPS, scene("coffee").still)).dimensions["sharpness"] < 0.5


def test_without_a_still_the_first_frame_stands_in():
    kept = judged(SCORER.measure(base("coffee"), FPS, None))
    assert kept.accepted
    assert kept.dimensions["first_frame_fidelity"] == 1.0
    assert not judged(SCORER.measure(spoil("blur", base("coffee"), 3), FPS, None)).accepted


def test_the_same_take_measures_the_same_whatever_opencv_was_told():
    frames, still = base("coffee")[:16], scene("coffee").still
    first = SCORER.measure(frames, FPS, still)
    cv2.setNumThreads(2)
    again = SCORER.measure(frames.copy(), FPS, still.copy())
    assert first.cuts == again.cuts
    np.testing.assert_array_equal(first.composite, again.composite)
    for name in SCORER.dimensions:
        np.testing.assert_array_equal(first.curves[name], again.curves[name])


@pytest.mark.parametrize("fps", [Fraction(7), Fraction(30000, 1001), Fraction(60)])
def test_any_rate_will_do(fps):
    shot = scene("coffee")
    count = round(1.3 * fps)
    moved = camera(shot, count, zoom=0.08)
    verdict = review(moved, shot.still, fps)
    assert verdict.accepted, verdict.reasons
    assert not review(np.repeat(moved[:1], count, axis=0), shot.still, fps).accepted


@pytest.mark.parametrize("size", [(301, 201), (90, 160), (64, 64), (1282, 722)])
def test_any_size_will_do(size):
    shot = photo("chelsea", size)
    moved = camera(shot, 24, zoom=0.06)
    verdict = review(moved, shot.still)
    assert verdict.accepted, verdict.reasons


def test_grey_pictures_are_judged_like_others():
    shot = photo("camera")
    verdict = review(ambient(shot, 36, "sway", seed=1), shot.still)
    assert verdict.accepted, verdict.reasons


@pytest.mark.parametrize("count", [2, 3, 4, 9])
@pytest.mark.parametrize("size", [(16, 16), (17, 40)])
def test_the_smallest_takes_have_whole_curves(count, size):
    frames = np.random.default_rng(0).integers(0, 256, (count, size[1], size[0], 3), np.uint8)
    measures = SCORER.measure(frames, FPS, frames[0])
    assert tuple(measures.curves) == SCORER.dimensions
    for curve in (*measures.curves.values(), measures.composite):
        assert curve.shape == (count,)
        assert curve.dtype == np.float32
        assert ((curve >= 0) & (curve <= 1)).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_is_frozen_and_nothing_else(level):
    frames = np.full((12, 90, 160, 3), level, np.uint8)
    assert review(frames, frames[0]).reasons == ("frozen throughout",)


@pytest.mark.parametrize(
    ("shape", "still", "kind"),
    [
        ((1, 90, 160, 3), None, "score_too_short"),
        ((0, 90, 160, 3), None, "score_too_short"),
        ((8, 15, 160, 3), None, "score_too_small"),
        ((8, 160, 8, 3), None, "score_too_small"),
        ((8, 90, 160), None, "score_shape"),
        ((8, 90, 160, 4), None, "score_shape"),
        ((8, 90, 160, 3), (90, 161, 3), "score_still_size"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_kind(shape, still, kind):
    frames = np.zeros(shape, np.uint8)
    with pytest.raises(TakeError) as caught:
        SCORER.measure(frames, FPS, None if still is None else np.zeros(still, np.uint8))
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)


def test_floats_are_refused():
    with pytest.raises(TakeError, match="uint8"):
        SCORER.measure(np.zeros((4, 32, 32, 3), np.float32), FPS, None)  # type: ignore[arg-type]
