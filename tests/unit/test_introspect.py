"""A checkpoint tells of which family it is; one that is in no table is driven by what can be read off it."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_generic
from tiny_models import TINY
from tiny_takes import render, still, task

from farm.errors import InputError
from farm.ids import sha256_hex
from farm.render.families import FAMILIES, backend, chosen, family_of, warnings, weights_bytes
from farm.render.sources import fetched
from farm.spec import ModelSpec, RenderSpec

# diffusers 0.42.1 hands LTXConditionPipeline's scheduler a torch tensor, which numpy 2 warns of.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
ROOT = Path(__file__).parents[2]


def found(folder, render=None, **spec):
    return chosen(ModelSpec(name="mine", path=str(folder), **spec), render or RenderSpec(), where="job.yaml")


def relabelled(folder, target, **index):
    """A copy of a model whose model_index.json says something else."""
    shutil.copytree(folder, target)
    path = target / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | index))
    return target


@pytest.mark.parametrize("family", TINY)
def test_every_family_is_read_off_its_checkpoint(family, tiny):
    model, row = found(tiny(family))
    assert model.family == family and row is FAMILIES[family] and warnings(model, row) == ()


@pytest.mark.parametrize(
    ("family", "label"),
    [
        ("wan2.2-ti2v-5b", "WanPipeline"),
        ("ltx-video", "LTXPipeline"),
        ("cogvideox-i2v", "CogVideoXPipeline"),
        ("cogvideox1.5-i2v", "CogVideoXPipeline"),
    ],
)
def test_weights_that_are_published_as_text_to_video_are_recognised(family, label, tiny, tmp_path):
    assert found(relabelled(tiny(family), tmp_path / "m", _class_name=label))[0].family == family


def test_a_text_to_video_model_without_channels_for_a_still_is_not_taken_for_one_of_images(tiny, tmp_path):
    folder = relabelled(tiny("cogvideox-i2v"), tmp_path / "m", _class_name="CogVideoXPipeline")
    config = folder / "transformer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 4}))
    with pytest.raises(
        InputError, match=r"m: is a CogVideoXPipeline without image_channels, which is not cog"
    ):
        found(folder, family="cogvideox-i2v")
    with pytest.raises(
        InputError, match="CogVideoXPipeline takes no image; expected an image-to-video pipeline"
    ):
        found(folder)


@pytest.mark.parametrize(
    ("named", "is_one", "why"),
    [
        ("wan2.1-i2v", "wan2.2-i2v-a14b", "is a WanImageToVideoPipeline with transformer_2"),
        ("wan2.2-i2v-a14b", "wan2.1-i2v", "is a WanImageToVideoPipeline without transformer_2"),
        ("wan2.1-i2v", "wan2.2-ti2v-5b", "is a WanImageToVideoPipeline with expand_timesteps"),
        ("cogvideox-i2v", "cogvideox1.5-i2v", "with transformer.patch_size_t"),
        ("ltx-video", "svd", "is a StableVideoDiffusionPipeline"),
    ],
)
def test_a_checkpoint_of_another_family_is_refused_before_it_is_loaded(named, is_one, why, tiny):
    with pytest.raises(InputError) as told:
        found(tiny(is_one), family=named)
    line = str(told.value)
    assert why in line and f"which is not {named}; leave the family out, or give family: {is_one}" in line


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory):
    """A tiny checkpoint of a pipeline that is in no table."""
    folder = tmp_path_factory.mktemp("generic")
    return lambda name: folder / name if (folder / name).exists() else tiny_generic.save(name, folder / name)


@pytest.mark.parametrize(
    ("pipeline", "frames", "frame_step", "multiple", "fps", "rate_argument"),
    [
        ("LTXConditionPipeline", 161, 8, 32, 25, "frame_rate"),
        ("SkyReelsV2DiffusionForcingImageToVideoPipeline", 97, 4, 16, 24, "fps"),
        ("ChronoEditPipeline", 81, 4, 16, 24, None),
    ],
)
def test_a_pipeline_in_no_table_is_driven_by_what_it_says(
    pipeline, frames, frame_step, multiple, fps, rate_argument, unlisted
):
    model, family = found(unlisted(pipeline))
    assert (model.family, model.frames, model.fps) == (f"generic:{pipeline}", frames, fps)
    assert (family.frame_step, family.size_multiple, family.rate_argument) == (
        frame_step,
        multiple,
        rate_argument,
    )
    assert family.takes_text and "negative_prompt" in family.options
    (line,) = warnings(model, family)
    assert f"{pipeline} is in no table of this farm; guessed: {frames} frames, {frame_step}n+1" in line
    assert ("which nothing says" in line) == (rate_argument is None)
    assert family_of(model) == family

    model, _ = found(unlisted(pipeline), RenderSpec(frames=frame_step + 1, size="64x64", steps=2))
    one = backend(model)
    one.load()
    first, again, other = render(one, 1), render(one, 1), render(one, 2)
    one.close()
    assert first.shape == (frame_step + 1, 64, 64, 3)
    assert (first == again).all() and (first != other).any()


def test_a_vae_of_single_images_takes_any_number_of_frames(unlisted):
    model, family = found(unlisted("I2VGenXLPipeline"))
    assert (family.frame_step, family.size_multiple, model.frames) == (1, 16, 16)
    assert family.sizes == ((1280, 704), (704, 1280)) and family.guidance == 9.0
    assert "16 frames, any number allowed" in family.guessed[0]


def test_the_rules_of_a_guessed_family_are_kept_like_a_rows(unlisted):
    folder = unlisted("LTXConditionPipeline")
    for render_, spec, told in (
        (RenderSpec(frames=12), {}, "needs 8n+1 frames; try 9 or 17"),
        (RenderSpec(size="80x64"), {}, "32 divides; try 64x64"),
        (RenderSpec(), {"eta": 1}, "eta=1: not an option of generic:LTXConditionPipeline"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            found(folder, render_, **spec)


def test_a_rate_that_nothing_says_is_whatever_a_job_says(unlisted):
    model, _ = found(unlisted("ChronoEditPipeline"), RenderSpec(fps=16))
    assert (model.fps, model.rendered_fps) == (16, None)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (
            "NoSuchPipeline",
            "NoSuchPipeline is no pipeline of diffusers .*; code of a checkpoint is never run",
        ),
        ("AutoencoderKLWan", "AutoencoderKLWan is no pipeline of diffusers"),
        ("HunyuanVideoPipeline", "HunyuanVideoPipeline takes no image"),
        ("StableDiffusionImg2ImgPipeline", "is not told a number of frames"),
        ("LTX2ConditionPipeline", "takes no image"),
    ],
)
def test_what_cannot_be_driven_is_refused(label, told, tiny, tmp_path):
    with pytest.raises(InputError, match=told):
        found(relabelled(tiny("ltx-video"), tmp_path / "m", _class_name=label))


def test_the_weights_of_a_pipeline_in_no_table_are_known_once_they_are_here(unlisted, tmp_path, monkeypatch):
    monkeypatch.setenv("FARM_CACHE", str(tmp_path))
    folder = unlisted("ChronoEditPipeline")
    model, _ = found(f"file://{folder}")
    assert weights_bytes(model) is None
    fetched(model)
    assert weights_bytes(model) == sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def test_another_process_makes_the_same_backend_from_the_model_alone(unlisted):
    model, _ = found(
        unlisted("LTXConditionPipeline"), RenderSpec(frames=9, size="64x64", steps=2), max_sequence_length=16
    )
    here = backend(model)
    here.load()
    frames = here.render(still(), task(model, 5), lambda done, total: None)
    here.close()
    program = (
        "import pickle, sys; from farm.ids import sha256_hex; from farm.render.families import backend\n"
        "model, task, still = pickle.load(sys.stdin.buffer)\n"
        "one = backend(model); one.load()\n"
        "print(sha256_hex(one.render(still, task, lambda done, total: None).tobytes()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps((model, task(model, 5), still())), capture_output=True,
        cwd=ROOT, check=True,
    )  # fmt: skip
    assert told.stdout.decode().split()[-1] == sha256_hex(frames.tobytes())
