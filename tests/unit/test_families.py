"""The family table: it agrees with the installed diffusers, and what breaks a row's rules is refused with a way out."""

import inspect
import json
import subprocess
import sys
from fractions import Fraction

import diffusers
import pytest

from farm.errors import InputError
from farm.models import _small
from farm.render.families import FAMILIES, chosen, resolve, warnings, weights_bytes
from farm.spec import ModelSpec, RenderSpec

ROWS = [row for row in FAMILIES.values() if row.pipeline]


def names(rows):
    return [row.name for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_the_pipeline_is_there_and_takes_what_the_row_says(row):
    pipeline = getattr(diffusers, row.pipeline)
    takes = inspect.signature(pipeline.__call__).parameters
    assert {"image", "generator", "output_type", "num_inference_steps"} <= takes.keys()
    assert ("prompt" in takes) == row.takes_text
    assert (row.guidance_argument in takes) == (row.guidance is not None)
    assert "num_frames" in takes or "frames" in takes
    assert ("height" in takes and "width" in takes) or row.fixed_size
    assert row.options | dict(row.arguments).keys() <= takes.keys()
    assert row.rate_argument is None or row.rate_argument in takes
    assert row.rate_argument or not {"fps", "frame_rate"} & takes.keys(), "it could be told a frame rate"


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_what_a_row_reads_off_a_checkpoint_is_there_to_be_read(row):
    assert all(issubclass(getattr(diffusers, name), diffusers.DiffusionPipeline) for name in row.classes)
    said = inspect.signature(getattr(diffusers, row.pipeline).__init__).parameters
    for mark, _ in row.marks:
        assert mark == "image_channels" or mark in said or mark == "transformer.patch_size_t"


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_steps_and_guidance_are_the_pipelines_own(row):
    takes = inspect.signature(getattr(diffusers, row.pipeline).__call__).parameters
    assert row.steps == takes["num_inference_steps"].default
    if row.guidance is not None:
        assert row.guidance == takes[row.guidance_argument].default


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_a_row_obeys_its_own_rules(row):
    assert row.frame_step == 1 or (row.frames - 1) % row.frame_step == 0
    assert row.sizes and all(side % row.size_multiple == 0 for size in row.sizes for side in size)
    assert set(dict(row.dtypes)) <= set(
        inspect.signature(getattr(diffusers, row.pipeline).__init__).parameters
    )
    assert row.weights_gib and "not measured" in row.weights_basis
    assert json.loads(json.dumps(row.facts()))["frames"] == row.frames


@pytest.mark.parametrize("row", [row for row in ROWS if row.repo], ids=names(row for row in ROWS if row.repo))
def test_the_defaults_of_a_family_resolve(row):
    model = resolve(ModelSpec(name=row.name), RenderSpec(), where="job.yaml")
    assert (model.path, model.revision, model.frames, model.fps) == (row.repo, "main", row.frames, row.fps)
    assert (model.steps, model.guidance) == (row.steps, row.guidance)


def refused(said, spec, **render):
    with pytest.raises(InputError) as told:
        resolve(ModelSpec(**spec), RenderSpec(**render), where="job.yaml")
    assert said in str(told.value) and "\n" not in str(told.value), str(told.value)


@pytest.mark.parametrize(
    ("name", "render", "said"),
    [
        ("wan2.1-i2v", {"frames": 80}, "render.frames=80: wan2.1-i2v needs 4n+1 frames; try 77 or 81"),
        ("wan2.1-i2v", {"frames": 2}, "try 5"),
        ("ltx-video", {"frames": 21}, "needs 8n+1 frames; try 17 or 25"),
        ("cogvideox-i2v", {"frames": 48}, "try 41 or 49"),
        ("wan2.1-i2v", {"size": "850x480"}, "16 divides; try 848x480"),
        ("wan2.2-ti2v-5b", {"size": "1280x720"}, "32 divides; try 1280x704"),
        ("cogvideox-i2v", {"size": "480p"}, "renders 720x480 only; try 720x480"),
        ("cogvideox-i2v", {"size": "1360x768"}, "renders 720x480 only; try 720x480"),
        ("wan2.1-i2v", {"fps": 3}, "gives 16 frames per second, from which 4 to 120 can be interpolated"),
        ("cogvideox-i2v", {"fps": 65}, "gives 8 frames per second, from which 2 to 64 can be interpolated"),
        ("hunyuanvideo1.5-i2v", {"guidance": 3}, "has no guidance; leave it out"),
        ("framepack-i2v", {}, "has no checkpoint of its own; give a path"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_nearest_that_does_not(name, render, said):
    refused(said, {"name": name}, **render)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"dtype": "int8"}, "dtype='int8': expected auto, float32, bfloat16, float16"),
        ({"device": "tpu"}, "device='tpu': expected auto, cpu, cuda"),
        (
            {"motion_bucket_id": 3},
            "motion_bucket_id=3: not an option of wan2.1-i2v; it takes attention, compile,",
        ),
        ({"family": "wan"}, "unknown family 'wan'"),
        ({"path": "/nowhere/at/all"}, "path=/nowhere/at/all: there is no such folder"),
        ({"path": "/", "revision": "abc"}, "files have none but their content"),
        ({"family": None, "repo": "no name"}, "'no name' is no name of a repository; expected OWNER/NAME"),
        ({"path": "s4://bucket/model"}, "path=s4://bucket/model: no way to read s4://"),
        ({"path": "memory://nothing/here"}, "path=memory://nothing/here: no such folder, or nothing in it"),
    ],
)
def test_models_that_cannot_be_are_refused(spec, said):
    refused(said, {"name": "w", "family": "wan2.1-i2v"} | spec)


def test_seconds_become_the_nearest_legal_count():
    for name, seconds, frames in (
        ("wan2.1-i2v", 2, 33),
        ("ltx-video", 2, 49),
        ("svd", 2, 14),
        ("wan2.1-i2v", 0.1, 5),
    ):
        model = resolve(ModelSpec(name=name), RenderSpec(seconds=seconds), where="job.yaml")
        assert model.frames == frames, name


def test_a_family_that_can_be_told_a_rate_is():
    model = resolve(ModelSpec(name="ltx-video"), RenderSpec(fps=30, frames=17), where="job.yaml")
    assert model.fps == Fraction(30)


def test_a_family_that_cannot_be_told_a_rate_renders_its_own_and_is_interpolated():
    for render, frames in (({"seconds": 2}, 33), ({"frames": 17}, 17), ({}, 81)):
        model = resolve(ModelSpec(name="wan2.1-i2v"), RenderSpec(fps=24, **render), where="job.yaml")
        assert (model.fps, model.rendered_fps, model.frames) == (24, 16, frames)
    for name in ("ltx-video", "previz"):
        assert resolve(ModelSpec(name=name), RenderSpec(fps=12), where="job.yaml").rendered_fps is None
    own = resolve(ModelSpec(name="wan2.1-i2v"), RenderSpec(fps=16), where="job.yaml")
    assert (own.fps, own.rendered_fps) == (16, None)


def test_a_branch_is_warned_of_and_a_commit_is_not():
    for revision, told in (
        (None, "revision main follows the publisher"),
        ("v1", "revision v1"),
        ("0a" * 20, ""),
    ):
        lines = warnings(*chosen(ModelSpec(name="svd", revision=revision), RenderSpec(), where="job.yaml"))
        assert [told in line for line in lines] == ([True] if told else [])
    assert warnings(*chosen(ModelSpec(name="previz"), RenderSpec(), where="job.yaml")) == ()


def test_the_weights_of_a_family_are_its_rows_until_they_are_here(tiny):
    model = resolve(ModelSpec(name="wan2.1-i2v"), RenderSpec(), where="job.yaml")
    assert weights_bytes(model) == round(FAMILIES["wan2.1-i2v"].weights_gib * 2**30)
    folder = tiny("wan2.1-i2v")
    model = resolve(ModelSpec(name="w", path=str(folder)), RenderSpec(), where="job.yaml")
    assert weights_bytes(model) == sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert weights_bytes(resolve(ModelSpec(name="previz"), RenderSpec(), where="job.yaml")) == 0


def test_the_table_is_read_without_torch():
    program = (
        "import sys; from farm.render.families import FAMILIES, resolve; from farm.spec import ModelSpec, RenderSpec\n"
        "resolve(ModelSpec(name='svd'), RenderSpec(), where='job.yaml')\n"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'numpy.linalg') if m in sys.modules][:3])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "torch" not in told.stdout and "diffusers" not in told.stdout


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"repo": "https://me:hunter2@host/x"}, "repo=https://host/x: is a URL; expected OWNER/NAME"),
        ({"negative_prompt": 5}, "negative_prompt=5: expected a text"),
        ({"max_sequence_length": "long"}, "max_sequence_length='long': expected a number"),
    ],
)
def test_values_that_a_pipeline_would_trip_over_are_refused(spec, said):
    refused(said, {"name": "w", "family": "wan2.1-i2v"} | spec)


def test_no_message_shows_what_a_url_holds():
    for spec in ({"name": "previz", "path": "s3://key:hunter2@b/x"}, {"name": "s3://key:hunter2@b/x"}):
        with pytest.raises(InputError) as told:
            resolve(ModelSpec(**spec), RenderSpec(), where="job.yaml")
        assert "hunter2" not in str(told.value)
    model = resolve(ModelSpec(name="wan2.1-i2v"), RenderSpec(), where="job.yaml")
    assert "Wan-AI" not in repr(model), "a path may hold credentials, and a repr may be logged"


def test_a_size_beyond_what_frames_may_have_is_refused():
    refused(
        "render.size=9600x9600: a side may have at most 8192 pixels", {"name": "wan2.1-i2v"}, size="9600x9600"
    )


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
def test_the_small_take_that_models_check_renders_is_legal(row, tiny):
    path = {"path": str(tiny(row.name))} if row.repo is None else {}
    model = resolve(ModelSpec(name=row.name, **path), _small(row), where="models check")
    assert model.frames >= row.least_frames
