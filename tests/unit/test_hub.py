"""Models by the name of a repository: fetched from a hub once, found in the cache from then on; what fails is one line.

The client reads its endpoint when it is imported, so every question is asked by a process of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub import COMMIT, running_hub

from farm.render.checkpoint import Checkpoint, weights_bytes
from farm.render.listing import Folder

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from farm.errors import InputError
from farm.render.families import chosen, warnings, weights_bytes
from farm.render.sources import fetched, held
from farm.spec import ModelSpec, RenderSpec
try:
    model, family = chosen(ModelSpec(**json.loads(sys.argv[1])), RenderSpec(), where="job.yaml")
    before = held(model)
    if sys.argv[2] == "fetch":
        fetched(model)
    print(json.dumps({"family": family.name, "revision": model.revision, "before": before and str(before),
                      "folder": str(held(model)), "warnings": warnings(model, family), "bytes": weights_bytes(model)}))
except InputError as e:
    print(json.dumps({"error": str(e)}))
"""


@pytest.fixture(scope="module")
def repos(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("repos") / "wan"
    shutil.copytree(tiny("wan2.2-ti2v-5b"), folder)
    (folder / "README.md").write_text("a card")
    (folder / "whole.safetensors").write_bytes(b"the same in one file")
    (folder / "transformer" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"another precision")
    (folder / "vae" / "evil.py").write_text("raise SystemExit")
    empty = folder.with_name("empty")
    empty.mkdir()
    (empty / "README.md").write_text("nothing else")
    return {"maker/wan": folder, "maker/locked": folder, "maker/empty": empty}


@pytest.fixture(scope="module")
def server(repos):
    with running_hub(repos, gated=frozenset({"maker/locked"})) as hub:
        yield hub


def ask(cache, endpoint, what="fetch", env=None, **spec):
    environment = (
        os.environ | {"HF_HOME": str(cache), "HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret"} | (env or {})
    )
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps({"name": "mine"} | spec), what], env=environment, cwd=ROOT,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "hf_secret" not in told.stdout + told.stderr
    assert "%|" not in told.stderr, "a progress bar"
    return json.loads(told.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory, server):
    """A cache into which maker/wan was fetched, without a family being named."""
    cache = tmp_path_factory.mktemp("hub-cache")
    told = ask(cache, server.endpoint, repo="maker/wan")
    assert (told["family"], told["revision"], told["before"]) == ("wan2.2-ti2v-5b", "main", None)
    assert "revision main follows the publisher" in told["warnings"][0]
    return cache


def test_what_is_loaded_is_fetched_and_nothing_else(cache, server, repos):
    (folder,) = (cache / "hub" / "models--maker--wan" / "snapshots").iterdir()
    assert folder.name == COMMIT
    own, there = (Checkpoint.read(Folder(one, "x")).revision for one in (repos["maker/wan"], folder))
    assert own == there and weights_bytes(folder) == weights_bytes(repos["maker/wan"])
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert "vae/config.json" in names
    assert not names & {"README.md", "whole.safetensors", "vae/evil.py",
                        "transformer/diffusion_pytorch_model.fp16.safetensors"}  # fmt: skip


def test_without_a_network_the_cache_is_enough(cache):
    nobody = "http://127.0.0.1:9"
    for env in ({"HF_HUB_OFFLINE": "1"}, {}):
        told = ask(cache, nobody, env=env, repo="maker/wan")
        assert told["folder"].endswith(COMMIT) and told["before"] == told["folder"], told
    told = ask(cache, nobody, repo="maker/wan", revision=COMMIT)
    assert told["revision"] == COMMIT and told["warnings"] == [] and told["bytes"] > 0


def test_a_named_family_is_held_against_what_the_cache_has(cache):
    told = ask(cache, "http://127.0.0.1:9", repo="maker/wan", family="wan2.1-i2v")
    assert "is a WanImageToVideoPipeline with expand_timesteps, which is not wan2.1-i2v" in told["error"]


@pytest.mark.parametrize(
    ("spec", "env", "said"),
    [
        ({"repo": "maker/none"}, {}, "maker/none: no such repository, or a private one"),
        ({"repo": "maker/locked"}, {}, "maker/locked is gated: accept its licence"),
        ({"repo": "maker/wan", "revision": "v9"}, {}, "maker/wan has no revision 'v9'; expected a branch"),
        ({"repo": "maker/empty"}, {}, "maker/empty"),
        (
            {"repo": "maker/wan"},
            {"HF_HUB_OFFLINE": "1"},
            "maker/wan at main is not in the local cache, and HF_HUB_",
        ),
        (
            {"repo": "maker/wan"},
            {"HF_ENDPOINT": "http://127.0.0.1:9"},
            "http://127.0.0.1:9 cannot be reached, and it",
        ),
    ],
)
def test_what_fails_is_told_in_one_line(spec, env, said, server, tmp_path):
    for family in ({}, {"family": "wan2.2-ti2v-5b"}):
        told = ask(tmp_path, server.endpoint, env=env, **spec, **family)["error"]
        assert said in told and "mine" in told and "\n" not in told, told


def test_a_snapshot_of_which_a_part_is_missing_is_not_taken_for_whole(cache, tmp_path):
    shutil.copytree(cache, tmp_path / "cache", symlinks=True)
    (weights,) = (tmp_path / "cache").rglob("snapshots/*/text_encoder/model.safetensors")
    weights.unlink()
    told = ask(tmp_path / "cache", "http://127.0.0.1:9", repo="maker/wan")
    assert "only a part of it is in the local cache" in told["error"]
    assert ask(tmp_path / "cache", "http://127.0.0.1:9", "look", repo="maker/wan")["folder"] == "None"
