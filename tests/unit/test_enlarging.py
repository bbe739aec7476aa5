"""Stills that a job's sizes enlarge: passed, and said."""

from dataclasses import replace
from fractions import Fraction

import pytest

from farm.plan.enlarging import warning_look
from farm.values import Gate, Model, Still, StillReport

MODEL = Model("wan", "wan2.1-i2v", "main", 81, Fraction(16), "native")
STILL = Still("s", "s.png", "s.csv:1")


def seen(width, height, *models, verdict=Gate.OK):
    report = StillReport(STILL, verdict, "0" * 64, width, height, 1)
    return warning_look(lambda still: report, models)(STILL)


@pytest.mark.parametrize(
    ("size", "fit", "width", "height", "times"),
    [
        ("832x480", "crop", 416, 240, "2.00"),
        ("832x480", "crop", 900, 320, "1.50"),  # its height is short of the frame's
        ("832x480", "pad", 900, 320, None),  # as a whole it is made smaller
        ("832x480", "crop", 832, 480, None),
        ("native", "crop", 64, 64, None),
        ("720p", "crop", 64, 64, None),
    ],
)
def test_a_still_smaller_than_a_size_by_number_is_warned_about(size, fit, width, height, times):
    report = seen(width, height, replace(MODEL, size=size, fit=fit))
    if times is None:
        assert report.verdict is Gate.OK and report.reason is None
        return
    assert (report.verdict, report.kind) == (Gate.WARN, "still_enlarged")
    assert report.reason == f"{width}x{height} px is enlarged {times} times to {size} for wan"


def test_the_worst_of_several_models_is_named():
    models = [replace(MODEL, name=name, size=size) for name, size in (("a", "200x100"), ("b", "400x200"))]
    assert seen(100, 50, *models).reason == "100x50 px is enlarged 4.00 times to 400x200 for b"


def test_a_refused_still_stays_refused():
    assert seen(10, 10, replace(MODEL, size="64x64"), verdict=Gate.REFUSE).verdict is Gate.REFUSE
