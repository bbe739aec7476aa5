"""`farm models`: the list, and one model tried in earnest; and what a plan says of models before a run."""

import json
import os
import shutil
import subprocess
import sys

import fsspec
import pytest
import tiny_generic
from small_runs import farm, job_json, write_job
from tiny_models import TINY

from farm.cli import BAD_INPUT, BROKEN, DONE, SHORT, call
from farm.plan.planning import make_plan
from farm.render.families import FAMILIES
from farm.render.sources import fetched
from farm.run import describe
from farm.spec import read_job


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("FARM_CACHE", str(tmp_path / "cache"))


def asked(capsys, *arguments):
    assert call([*map(str, arguments), "--json"]) == DONE
    told = capsys.readouterr()
    return json.loads(told.out), told.err


def test_the_list_names_every_family_and_what_is_here(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert call(["models"]) == DONE
    table = capsys.readouterr().out
    for name, family in FAMILIES.items():
        assert name in table and (family.pipeline or "").removesuffix("Pipeline") in table
    told, err = asked(capsys, "models")
    rows = {row["name"]: row for row in told["models"]}
    assert err == "" and list(rows) == sorted(FAMILIES)
    assert rows["previz"]["here"] == "runs" and rows["previz"]["dtypes"] == {}
    wan = rows["wan2.2-ti2v-5b"]
    assert (wan["cached"], wan["mirrors"]) == (False, [])
    assert wan["dtypes"] == {"default": "bfloat16", "vae": "float32"}
    assert wan["checkpoints_of"] == ["WanImageToVideoPipeline", "WanPipeline"]


def test_the_list_asks_no_network_and_loads_no_torch():
    program = (
        "import socket, sys\n"
        "def refuse(*arguments): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = refuse\n"
        "from farm.cli import call\n"
        "code = call(['models', '--json'])\n"
        "print([m for m in ('torch', 'diffusers', 'ray') if m in sys.modules], code, file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == "[] 0"


def test_a_mirror_is_listed_with_its_family(tiny, capsys, tmp_path):
    folder = tmp_path / "source"
    shutil.copytree(tiny("wan2.1-i2v"), folder)
    job = write_job(tmp_path, models=[{"name": "mine", "path": f"file://{folder}"}], render={"frames": 9})
    (model,) = make_plan(read_job(job), job).grid.models
    fetched(model)
    rows = {row["name"]: row for row in asked(capsys, "models")[0]["models"]}
    assert rows["wan2.1-i2v"]["mirrors"] == [model.revision] and rows["svd"]["mirrors"] == []


def test_a_family_whose_checkpoint_is_in_the_hubs_cache_is_cached(tiny, tmp_path):
    """A cache as the hub's client lays it out, in a process of its own: the client reads its place at import."""
    home = tmp_path / "hub" / "hub" / "models--Wan-AI--Wan2.2-TI2V-5B-Diffusers"
    shutil.copytree(tiny("wan2.2-ti2v-5b"), home / "snapshots" / ("ab" * 20))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("ab" * 20)
    for cached in (True, False):
        environment = os.environ | {"HF_HOME": str(tmp_path / "hub")}
        told = json.loads(farm("models", "--json", env=environment).stdout)
        assert {row["name"] for row in told["models"] if row["cached"]} == (
            {"wan2.2-ti2v-5b"} if cached else set()
        )
        shutil.rmtree(home / "snapshots" / ("ab" * 20) / "vae", ignore_errors=True)


def test_previz_is_checked(capsys):
    told, _ = asked(capsys, "models", "check", "previz")
    assert (told["family"], told["frames"], told["size"], told["accelerator"]) == (
        "previz",
        8,
        "128x128",
        "CPU",
    )
    assert told["render_s"] > 0 and told["peak_bytes"] > 2**20
    assert call(["models", "check", "previz"]) == DONE
    assert "rendered 8 frames of 128x128 in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("family", "frames", "size"),
    [("svd", 8, "128x128"), ("cogvideox-i2v", 9, "64x64"), ("wan2.2-ti2v-5b", 5, "128x128")],
)
def test_a_checkpoint_is_checked_under_a_name_of_ones_own(family, frames, size, tiny, capsys):
    more = [text for key, value in TINY[family].options.items() for text in ("--set", f"{key}={value}")]
    told, err = asked(capsys, "models", "check", "mine", "--set", f"path={tiny(family)}", *more)
    assert (told["name"], told["family"], told["frames"], told["size"]) == ("mine", family, frames, size)
    assert (told["dtype"], told["steps"], told["warnings"]) == ("float32", 2, []) and "warning" not in err
    assert told["load_s"] > 0 and told["revision"].startswith("local-")


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_a_pipeline_in_no_table_is_checked_with_a_warning(capsys, tmp_path):
    folder = tiny_generic.save("LTXConditionPipeline", tmp_path / "m")
    told, err = asked(capsys, "models", "check", "mine", "--set", f"path={folder}")
    assert told["family"] == "generic:LTXConditionPipeline" and told["frames"] == 9
    (line,) = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert "LTXConditionPipeline is in no table of this farm; guessed: 161 frames" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "which model? give its name"),
        (["check", "wan9"], "unknown model 'wan9'; allowed: cogvideox-i2v"),
        (["check", "mine", "--set", "path=/nowhere"], "path=/nowhere: there is no such folder"),
        (["check", "mine", "--set", "path"], "expected KEY=VALUE"),
        (["check", "mine", "--set", "path=/a", "--set", "repo=b/c"], "give path or repo, not both"),
        (["check", "svd", "--set", "dtype=int3"], "dtype='int3': expected auto, float32"),
        (["--set", "a=b"], "is for 'farm models check NAME'"),
    ],
)
def test_what_cannot_be_checked_is_one_line(arguments, said, capsys):
    assert call(["models", *arguments]) == BAD_INPUT
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and told.out == ""


def test_a_model_that_gives_no_picture_breaks_the_check(tiny, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "m"
    shutil.copytree(tiny("wan2.1-i2v"), folder)
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    save_file(
        {name: value * float("nan") for name, value in weights.items()}, path, metadata={"format": "pt"}
    )
    assert call(["models", "check", "mine", "--set", f"path={folder}"]) == BROKEN
    told = capsys.readouterr().err.splitlines()
    assert "frames are not numbers" in told[-1] and told[-1].startswith("farm: mine: ")


def generic_job(tmp_path, **changes):
    folder = tiny_generic.save("ChronoEditPipeline", tmp_path / "chrono")
    return write_job(
        tmp_path, models=[{"name": "mine", "path": str(folder)}], motions=[{"id": "push", "prompt": "push in"}],
        takes={"min": 1, "max": 1}, render={"frames": 5, "size": "64x64", "steps": 2}, trim={"seconds": 0.1},
        score={"accept": 0.0}, **changes,
    )  # fmt: skip


def test_a_plan_says_what_was_guessed_and_what_a_publisher_may_move(tmp_path, capsys):
    assert call(["plan", str(generic_job(tmp_path)), "--json"]) == DONE
    told = capsys.readouterr()
    assert (
        told.err.startswith("warning: mine: ChronoEditPipeline is in no table") and told.err.count("\n") == 1
    )
    assert json.loads(told.out)["models"][0]["frames"] == 5
    assert call(["plan", str(write_job(tmp_path, models=["svd"], render={}))]) == DONE
    assert "warning: svd: revision main follows the publisher; name a commit" in capsys.readouterr().err
    assert call(["plan", str(write_job(tmp_path))]) == DONE
    assert capsys.readouterr().err == ""


def test_a_run_of_a_pipeline_in_no_table(tmp_path, capsys):
    assert call(["run", str(generic_job(tmp_path)), "--pool", "inline"]) in (DONE, SHORT)
    assert "warning: mine: ChronoEditPipeline is in no table" in capsys.readouterr().out
    assert job_json(tmp_path / "run")["models"][0]["family"] == "generic:ChronoEditPipeline"


def test_a_jobs_record_holds_no_credentials_of_a_model(tiny, tmp_path):
    system = fsspec.filesystem("memory")
    for path in tiny("ltx-video").rglob("*"):
        if path.is_file():
            system.pipe_file(f"/user:hunter2@host/m/{path.relative_to(tiny('ltx-video'))}", path.read_bytes())
    job = write_job(
        tmp_path,
        models=[{"name": "mine", "path": "memory://user:hunter2@host/m"}],
        render={"frames": 9, "steps": 2},
    )
    plan = make_plan(read_job(job), job)
    assert plan.grid.models[0].path == "memory://user:hunter2@host/m"
    told = json.dumps(describe(plan))
    assert "hunter2" not in told and "memory://host/m" in told
