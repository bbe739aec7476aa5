"""What is judged: one row for each dimension, with the words for what breaks it.

Invariant: every dimension has a figure in a unit of its own, 0 where nothing is wrong; from its limit on, which was
measured (calibration/), a take is broken.
"""

from dataclasses import dataclass

from farm.score.calibration import CALIBRATION

WORST = 0.25
"""Share of a span's frames, the worst, whose mean stands for it: a fault of half a second spoils a clip of two.
Pauses are part of movement, so stillness counts as a whole; a cut counts by its one frame."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing that is judged.

    `limit` is the figure, in its own unit, past which it is broken; up to `rest` nothing is held against a take.
    `says` is the reason given for a broken one, to which a time is added unless `timed` is False; `worst` the share
    of a span's frames, the worst, whose mean stands for it (0: the one worst frame).
    """

    name: str
    limit: float
    says: str
    worst: float = WORST
    timed: bool = True
    rest: float = 0.0


def _own(name: str, says: str, worst: float = WORST, timed: bool = True) -> Dimension:
    measured = CALIBRATION.ranges[name]
    return Dimension(name, measured.limit, says, worst, timed, measured.rest)


DIMENSIONS = (
    _own("temporal_flickering", "flickers"),  # levels of block luma
    _own("exposure_stability", "light or colour pumps"),  # levels travelled in vain within 1 s
    _own("warping_error", "surfaces crawl"),  # of relief
    _own("motion_smoothness", "shakes or wobbles"),  # of motion.py's own limits
    _own("sharpness", "blurred", worst=0.7),  # octaves of detail; between two planes a rack of focus is soft
    _own("noise", "noisy"),  # levels
    _own(
        "first_frame_fidelity", "first frame does not match the still", timed=False
    ),  # of fidelity.py's limits
    _own("appearance_consistency", "drifts away from the still"),  # 1 - ZNCC
    _own("color_consistency", "colours drift"),  # of colour.py's own limits
    _own("ghosting", "shows a second exposure"),  # share of the picture, as far as it explains the change
    _own("border_integrity", "the frame's edge is spoilt"),  # % of the side
    _own("dynamic_degree", "frozen", worst=1.0),  # motion.SLOW_LIMIT over movement
    _own("motion_magnitude", "motion too large"),  # % of the long edge per second
    _own("shot_continuity", "something jumps", worst=0),  # of warping.py's own limits
)
