"""Models of the published sizes with random weights: the farm's frames are the plain loop's.

What it costs is the bench's to say (`make bench-gpu`). Needs about 12 GB of disk for the larger model.
"""

import pytest
from real_size import REAL_SIZE, save
from renders import Measured, Subject, alone, prepare

STEPS = 4  # enough to hold each step's work; the full number is the bench's


@pytest.fixture(scope="module", params=REAL_SIZE)
def measured(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("real")
    model = REAL_SIZE[request.param]
    folder = save(request.param, home / "model", device="cuda")
    subject = Subject(request.param, folder, model.size, model.frames, STEPS, "cuda")
    return Measured(subject, prepare(home / "job", subject, stills=1, motions=2, takes=1))


@pytest.mark.timeout(1800)
def test_frames_are_the_plain_loops_and_whole_takes_are_stored(measured):
    spent, frames = measured.loop()
    assert all(one.std() > 1 for one in frames) and spent.wall_s > 0
    alone(lambda: measured.farm(frames, reuse=True), "cuda")  # ends the test where a frame differs
    whole = alone(lambda: measured.takes(2), "cuda")
    assert whole.busy is not None and 0 < whole.busy <= 1.0
