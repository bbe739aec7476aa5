"""job.json read back: the same models and motions, or one line."""

import json
from dataclasses import asdict, replace
from fractions import Fraction

import pytest

from farm.errors import InputError
from farm.ids import canonical, take_id
from farm.recorded import read_job_record
from farm.store import layout
from farm.values import Model, Motion, Still

MODELS = (
    Model("previz", "previz", "previz-1", 48, Fraction(24), "native"),
    Model("w", "wan2.1-i2v", "local-0123456789ab", 81, Fraction(24000, 1001), "480p", 30, 5.0, "/models/w",
          (("flow_shift", 3), ("negative_prompt", "blurry"), ("tiling", True)), "pad", Fraction(16),
          (("device", "cpu"),)),
)  # fmt: skip
MOTIONS = (
    Motion("push", "a slow push-in", "push-in", (), 1.0, "camera"),
    Motion("wind", "wind", ambient=("sway",), strength=2.0),
    Motion("said", "said"),
)


def written(blobs, **changes):
    job = {
        "name": "n",
        "motions": [asdict(motion) for motion in MOTIONS],
        "models": json.loads(canonical(MODELS)),
    }
    blobs.put(layout.JOB, json.dumps(job | changes).encode())


def test_models_and_motions_come_back_as_they_were(blobs):
    written(blobs)
    found = read_job_record(blobs)
    assert tuple(found.models.values()) == MODELS and tuple(found.motions.values()) == MOTIONS
    for there, here in zip(found.models.values(), MODELS, strict=True):
        made = [
            take_id(
                still=Still("s", "", ""), still_sha256="", motion=MOTIONS[0], prompt="p", model=one, seed=0
            )
            for one in (there, here)
        ]
        assert made[0] == made[1]


def test_a_whole_number_stays_one(blobs):
    written(blobs, models=json.loads(canonical((replace(MODELS[1], guidance=5),))))
    guidance = read_job_record(blobs).models["w"].guidance
    assert guidance == 5 and isinstance(guidance, int)


def test_fields_that_came_later_have_their_defaults(blobs):
    early = json.loads(canonical(MODELS[:1]))
    for name in ("fit", "rendered_fps", "hosting"):
        del early[0][name]
    written(blobs, models=early)
    assert read_job_record(blobs).models["previz"] == MODELS[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"models": None}, "job.json: models: expected a list"),
        ({"models": ["previz"]}, r"models\[0\]: expected a mapping"),
        ({"models": [{"name": "previz"}]}, r"models\[0\]: .*family"),
        ({"models": [json.loads(canonical(MODELS[0])) | {"colour": 1}]}, "colour"),
        ({"models": [json.loads(canonical(MODELS[0])) | {"fps": "0/1"}]}, "fps.* 1 to 120"),
        ({"models": [json.loads(canonical(MODELS[0])) | {"frames": "48"}]}, "frames.*whole number"),
        ({"models": [json.loads(canonical(MODELS[0])) | {"options": [["a", 1, 2]]}]}, "options: expected pairs"),
        ({"motions": [{"id": "push"}]}, r"motions\[0\]: .*prompt"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(blobs, changes, told):
    written(blobs, **changes)
    with pytest.raises(InputError, match=told):
        read_job_record(blobs)


def test_no_run_is_said(blobs):
    with pytest.raises(InputError, match="no run here"):
        read_job_record(blobs)
    blobs.put(layout.JOB, b"[]")
    with pytest.raises(InputError, match="was not written by farm"):
        read_job_record(blobs)
