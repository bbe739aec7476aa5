"""Whole runs with diffusers models: tiny random checkpoints through `farm run`, inline and on a local Ray."""

import json

import av
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch
from small_runs import essence, farm, job_json, takes, write_job, write_stills
from tiny_models import TINY

from farm.cli import BAD_INPUT, DONE, SHORT, call
from farm.render.families import FAMILIES

# 17 frames are legal for all of them, and so are 64x64 pixels.
SEVEN = (
    "svd", "ltx-video", "wan2.1-i2v", "wan2.2-ti2v-5b", "hunyuanvideo-i2v", "sana-video-i2v", "kandinsky5-i2v",
)  # fmt: skip


def tiny_job(folder, tiny, *families, settings=None, **changes):
    """Two takes of one still and one motion by each family; `settings` are said of every model."""
    write_stills(folder / "stills", count=1)
    models = [
        {"name": f"{family}-tiny", "family": family, "path": str(tiny(family))}
        | TINY[family].options
        | (settings or {})
        for family in families
    ]
    defaults = {
        "models": models,
        "motions": [{"id": "push", "prompt": "a slow push in"}],
        "takes": {"min": 2, "max": 2},
        "render": {"frames": TINY[families[0]].frames, "size": "64x64", "steps": 2},
        "trim": {"seconds": 0.4},
        "score": {"accept": 0.0},
        "workers": {"max": 1, "gpus": 0},
    }
    return write_job(folder, **(defaults | changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    """Two families that share their frame rule compete for one shot."""
    folder = tmp_path_factory.mktemp("diffusers")
    job = tiny_job(folder, tiny, "wan2.1-i2v", "wan2.2-ti2v-5b")
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    return folder / "run"


def test_every_take_is_rendered_by_its_own_model(run):
    rows = takes(run).to_pylist()
    assert sorted((row["model"], row["seed"], row["status"] != "failed") for row in rows) == [
        (model, seed, True) for model in ("wan2.1-i2v-tiny", "wan2.2-ti2v-5b-tiny") for seed in (0, 1)
    ]
    assert {(row["model"], row["fps"]) for row in rows} == {
        ("wan2.1-i2v-tiny", 16.0),
        ("wan2.2-ti2v-5b-tiny", 24.0),
    }
    assert all(row["frames"] == 9 and (row["width_px"], row["height_px"]) == (64, 64) for row in rows)
    assert all(row["model_revision"].startswith("local-") for row in rows)
    assert len({row["clip_sha256"] for row in rows}) == 4


def test_clips_decode_and_say_what_made_them(run):
    for row in takes(run).to_pylist():
        with av.open(run / row["clip_uri"]) as clip:
            assert len(list(clip.decode(video=0))) == row["span_stop"] - row["span_start"]
            assert any("trainedAlgorithmicMedia" in value for value in clip.metadata.values())
        fingerprint = json.loads(row["fingerprint"])
        assert (
            fingerprint["renderer"] == "diffusers/WanImageToVideoPipeline"
            and fingerprint["dtype"] == "float32"
        )


def test_the_job_records_the_folder_and_its_revision(run, tiny):
    model = job_json(run)["models"][0]
    assert model["path"] == str(tiny("wan2.1-i2v")) and model["revision"].startswith("local-")
    assert (model["steps"], model["guidance"], model["frames"]) == (2, 5.0, 9)


def test_the_summary_says_who_won(run, capsys):
    summary = json.loads((run / "summary.json").read_text())
    models = summary["models"].values()
    assert sum(model["circled"] for model in models) == summary["selected"]
    assert all((model["s_per_accepted"] is None) == (model["kept"] == 0) for model in models)
    assert all(model["usd_per_accepted"] is None for model in models)
    assert call(["status", str(run)]) == DONE
    assert "model against model" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["svd", "ltx-video", "cogvideox-i2v", "hunyuanvideo-i2v"])
def test_other_families_run_too(family, tmp_path, tiny):
    job = tiny_job(tmp_path, tiny, family, takes={"min": 1, "max": 1})
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    (row,) = takes(tmp_path / "run").to_pylist()
    assert row["status"] != "failed" and row["frames"] == TINY[family].frames, row["reason"]


def test_a_still_that_is_too_small_for_the_only_size_is_a_row(tmp_path, tiny):
    job = tiny_job(
        tmp_path, tiny, "cogvideox-i2v", render={"frames": 9, "steps": 2}, takes={"min": 1, "max": 1},
        stills=str(write_stills(tmp_path / "small", 1, (80, 60))),
    )  # fmt: skip
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    (row,) = takes(tmp_path / "run").to_pylist()
    assert (row["status"], row["kind"], row["blame"]) == ("failed", "still_too_small", "task")
    assert "80x60 px is less than the 64x64" in row["reason"]


def test_a_broken_rule_ends_before_anything_is_written(tmp_path, tiny, capsys):
    job = tiny_job(tmp_path, tiny, "wan2.1-i2v", render={"frames": 10, "size": "64x64"})
    assert call(["run", str(job), "--pool", "inline"]) == BAD_INPUT
    assert "wan2.1-i2v needs 4n+1 frames; try 9 or 13" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_whole_stills_at_another_rate_from_a_model_whose_encoder_leaves(tmp_path, tiny):
    job = tiny_job(
        tmp_path, tiny, "wan2.1-i2v", settings={"encoders": "drop"},
        render={"frames": 9, "size": "64x64", "steps": 2, "fps": 24, "fit": "pad"},
        stills=str(write_stills(tmp_path / "small", 1, (40, 30))),
    )  # fmt: skip
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    rows = takes(tmp_path / "run").to_pylist()
    assert [(row["fps"], row["rendered_fps"], row["frames"]) for row in rows] == [(24.0, 16.0, 13)] * 2
    assert {(row["width_px"], row["height_px"], row["still_scale"]) for row in rows} == {(64, 48, 1.6)}
    for row in rows:
        with av.open(tmp_path / "run" / row["clip_uri"]) as clip:
            pictures = [(frame.width, frame.height) for frame in clip.decode(video=0)]
            assert clip.streams.video[0].average_rate == 24
        assert pictures == [(64, 48)] * (row["span_stop"] - row["span_start"])
        fingerprint = json.loads(row["fingerprint"])
        assert fingerprint["fit"].startswith("pad") and "minterpolate" in fingerprint["interpolation"]
    (still,) = pyarrow.dataset.dataset(tmp_path / "run" / "stills", format="parquet").to_table().to_pylist()
    assert (still["verdict"], still["kind"]) == ("warn", "still_enlarged")
    assert still["reason"] == "40x30 px is enlarged 1.60 times to 64x64 for wan2.1-i2v-tiny"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"offload": "model"}, "wan2.1-i2v-tiny: offload=model: there is no GPU to offload from"),
        ({"attention": "flash"}, "wan2.1-i2v-tiny: attention=flash: needs a GPU"),
        ({"device": "cuda"}, "wan2.1-i2v-tiny: device=cuda: torch sees no CUDA device here"),
    ],
)
def test_what_this_machine_cannot_do_is_bad_input(setting, said, tmp_path, tiny, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, and can")
    job = tiny_job(tmp_path, tiny, "wan2.1-i2v", settings=setting)
    assert call(["run", str(job), "--pool", "inline"]) == BAD_INPUT
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_local_ray_gives_the_inline_pools_manifest(run, tmp_path, tiny):
    job = tiny_job(tmp_path, tiny, "wan2.1-i2v", "wan2.2-ti2v-5b", stills=str(run.parent / "stills"))
    told = farm("run", job)
    assert told.returncode in (DONE, SHORT), told.stderr
    assert essence(tmp_path / "run") == essence(run)
    assert told.stdout.count("is ready: wan2.1-i2v-tiny loaded in") == 1
    assert told.stdout.count("changed its model: wan2.2-ti2v-5b-tiny loaded in") == 1
    assert told.stdout.count("changed its model") == 1, "what is held is not loaded"


@pytest.fixture(scope="module")
def seven(tmp_path_factory, tiny):
    """One job of seven families on a local Ray with two workers, one take each, as a person starts it."""
    folder = tmp_path_factory.mktemp("seven")
    job = tiny_job(
        folder, tiny, *SEVEN, render={"frames": 17, "size": "64x64", "steps": 2}, takes={"min": 1, "max": 1},
        workers={"max": 2, "gpus": 0},
    )  # fmt: skip
    told = farm("run", job)
    assert told.returncode == SHORT, told.stdout + told.stderr
    return folder / "run"


def test_seven_families_in_one_job_each_settle_as_themselves(seven):
    rows = {row["model"].removesuffix("-tiny"): row for row in takes(seven).to_pylist()}
    assert sorted(rows) == sorted(SEVEN)
    for family, row in rows.items():
        assert row["status"] == "rejected" and row["score"] is not None, (family, row["reason"])
        assert row["fps"] == float(FAMILIES[family].fps) and row["frames"] == 17, family
        assert json.loads(row["fingerprint"])["renderer"] == f"diffusers/{FAMILIES[family].pipeline}"
    assert len({row["model_revision"] for row in rows.values()}) == len(SEVEN)
    assert len({row["worker"] for row in rows.values()}) == 2, "both workers had work"


def test_each_of_their_clips_decodes_to_its_span(seven):
    rows = takes(seven).to_pylist()
    for row in rows:
        with av.open(seven / row["clip_uri"]) as clip:
            assert float(clip.streams.video[0].average_rate) == row["fps"]
            assert len(list(clip.decode(video=0))) == row["span_stop"] - row["span_start"]
    assert len({row["clip_sha256"] for row in rows}) == len(rows) == len(SEVEN)


def test_one_select_comes_of_seven_models_that_compete(seven):
    (select,) = pq.read_table(seven / "selects.parquet").to_pylist()
    assert (select["still_id"], select["motion_id"], select["takes_tried"]) == ("still0", "push", len(SEVEN))
    # What random weights render is no take of its still, and the scorer says so.
    assert (select["verdict"], select["take_id"], select["model"]) == ("none_usable", None, None)
    summary = json.loads((seven / "summary.json").read_text())
    expected = {
        "takes": 7, "kept": 0, "rejected": 7, "failed": 0, "selected": 0, "none_usable": 1, "pairs": 1, "ended": "done",
    }  # fmt: skip
    assert {name: summary[name] for name in expected} == expected
