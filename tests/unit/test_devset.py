"""The scorer's development set is what it says: made alike each time, honest in its severities, split by scene."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from devset import _fault, entries, seed_of
from devset_faults import AMOUNT, VISIBLE, lay, level
from devset_faults_known import KNOWN
from devset_faults_unseen import UNSEEN
from devset_hard import HARD, hard
from devset_material import PHOTOGRAPHS, VIDEOS, split_of
from devset_takes import MOTION_MARGIN, MOTIONS, Scene, moving, photo, scene

from farm.values import Frames

FPS = 24.0
SIZE = (192, 108)
COUNT = 48
GRADED = [name for name, fault in (KNOWN | UNSEEN).items() if len(fault.severities) > 1]


@cache
def shot() -> Scene:
    return scene(photo("coffee", (448, 252)).picture, SIZE, MOTION_MARGIN)


@cache
def base() -> Frames:
    return moving("push_sway", shot(), COUNT, 1.0, 3)


@cache
def damage(fault: str, severity: int) -> float:
    spoilt, _ = lay(_fault(fault), base(), severity, "throughout", FPS, 5)
    return float(np.abs(spoilt.astype(np.int16) - base()).mean())


def test_entries_are_the_same_each_time_and_each_has_its_own_id():
    full, quick = entries(), entries(quick=True)
    assert full == entries()
    assert len({entry.id for entry in full}) == len(full) >= 1500
    assert set(quick) < set(full)
    assert len(full) / 8 < len(quick) < len(full) / 5
    made_of = [
        ("clean", "photo"),
        ("hard", "photo"),
        ("fault", "photo"),
        ("hard", "video"),
        ("fault", "video"),
    ]
    for some in (full, quick):
        for split in ("calibrate", "check"):
            assert {(e.role, e.source) for e in some if e.split == split} == set(made_of)


def test_no_scene_stands_in_both_splits():
    files: dict[tuple[str, str], set[str]] = {}
    for material in (*PHOTOGRAPHS.values(), *VIDEOS.values()):
        files.setdefault((material.package, material.file), set()).add(material.split)
    assert all(len(splits) == 1 for splits in files.values())
    assert all(entry.split == split_of(entry.content) for entry in entries())


def test_unseen_kinds_are_never_calibrated_on():
    assert not KNOWN.keys() & UNSEEN.keys()
    faults = [entry for entry in entries() if entry.fault is not None]
    assert {e.fault for e in faults if e.split == "calibrate"} == set(KNOWN)
    assert {e.fault for e in faults if e.split == "check"} == {*KNOWN, *UNSEEN}
    assert all((e.group == "unseen") == (e.fault in UNSEEN) for e in faults)


def test_a_stills_spoilt_takes_move_differently():
    for content in ("coffee", "rocket"):
        motions = [e.motion for e in entries() if e.content == content and e.fault is not None]
        assert len(set(motions)) >= len(MOTIONS) - 2
        assert len({*motions[:12]}) == 12


@pytest.mark.parametrize("fault", GRADED)
def test_a_severer_fault_changes_more(fault):
    damages = [damage(fault, severity) for severity in _fault(fault).severities]
    assert all(0 < milder < worse for milder, worse in pairwise(damages))


@pytest.mark.parametrize("fault", [*KNOWN, *UNSEEN])
def test_bad_frames_are_those_that_differ_and_the_others_are_untouched(fault):
    kind = _fault(fault)
    for onset in kind.onsets:
        spoilt, bad = lay(kind, base(), 3, onset, FPS, 5)
        again, _ = lay(kind, base(), 3, onset, FPS, 5)
        assert np.array_equal(spoilt, again)
        assert spoilt.shape == base().shape
        assert spoilt.dtype == np.uint8
        differs = (spoilt != base()).any(axis=(1, 2, 3))
        levels = level(kind, COUNT, AMOUNT[3], onset, FPS)
        assert bad.any()
        assert not (differs & (levels == 0)).any()
        assert not (bad & (levels < VISIBLE)).any()
        near = np.convolve(differs, np.ones(5), mode="same") > 0
        assert not (bad & ~near).any()
        if onset == "late":
            assert not bad[: round(0.5 * COUNT)].any()
        if onset == "early":
            assert not bad[round(0.4 * COUNT) :].any()


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_clean_take_starts_from_its_still_and_shows_no_border(motion):
    """A scene whose margin is green beyond what a take may see: no frame has any of it."""
    marked = Scene(shot().picture.copy(), shot().left, shot().top)
    marked.picture[:2], marked.picture[-2:] = (0, 255, 0), (0, 255, 0)
    marked.picture[:, :2], marked.picture[:, -2:] = (0, 255, 0), (0, 255, 0)
    frames = moving(motion, marked, COUNT, 1.2, seed_of(motion))
    assert np.array_equal(frames[0], shot().still)
    assert not (frames == np.array([0, 255, 0])).all(axis=3).any()
    assert max(np.abs(frame.astype(np.int16) - frames[0]).mean() for frame in frames[::6]) > 0.5


@pytest.mark.parametrize("kind", HARD)
def test_a_hard_take_starts_from_its_still_and_is_made_alike(kind):
    frames, still = hard(kind, shot(), COUNT, 11)
    again, _ = hard(kind, shot(), COUNT, 11)
    assert np.array_equal(frames, again)
    assert frames.shape == (COUNT, *still.shape)
    assert np.abs(frames[0].astype(np.int16) - still).mean() < 6  # grain and shading of the first frame
