"""The ladder: rungs by shape, climbed one at a time, never further than there are."""

from farm.render.memory import Ladder, Rung

LARGE, SMALL = (1280, 720, 81), (832, 480, 81)


def test_every_shape_begins_as_asked_and_climbs_alone():
    ladder = Ladder(tiling=True, offload=True)
    assert ladder.rung(LARGE) is Rung.ASKED and not ladder.reached(LARGE, Rung.TILING)
    assert ladder.climb(LARGE)
    assert ladder.rung(LARGE) is Rung.TILING and ladder.reached(LARGE, Rung.TILING)
    assert ladder.climb(LARGE)
    assert ladder.rung(LARGE) is Rung.OFFLOAD and ladder.reached(LARGE, Rung.TILING)
    assert not ladder.climb(LARGE)
    assert ladder.rung(LARGE) is Rung.OFFLOAD, "the next take of the shape begins where the last one ended"
    assert ladder.rung(SMALL) is Rung.ASKED and not ladder.reached(SMALL, Rung.OFFLOAD)


def test_a_rung_that_is_not_there_is_stepped_over():
    ladder = Ladder(tiling=False, offload=True)
    assert ladder.rungs == (Rung.ASKED, Rung.OFFLOAD)
    assert ladder.climb(LARGE)
    assert ladder.reached(LARGE, Rung.OFFLOAD) and not ladder.reached(LARGE, Rung.TILING)
    none = Ladder(tiling=False, offload=False)
    assert not none.climb(LARGE) and none.rung(LARGE) is Rung.ASKED
