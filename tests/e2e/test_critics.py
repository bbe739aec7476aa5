"""Critics that a job asks for: in the manifest and the verdict, fixed for a run, and refused early."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from networks import Brightness, scorer_folder
from PIL import Image
from small_runs import STILLS, essence, farm, job_json, takes, write_job

from farm.cli import BAD_INPUT, BROKEN, DONE, SHORT, call
from farm.score import faces

# Of the two stills' means, about 0.4 and 0.1, only the second is beyond its limit.
DARKNESS = {"name": "darkness", "says": "too dark", "good": 0.25, "limit": 0.18}
needs_faces = pytest.mark.skipif(not faces.installed(), reason="the extra faces is not installed")


def write_lit_job(folder: Path, **changes: Any) -> Path:
    """A job of a still by day and the same by night, one take each, judged by a learned scorer beside the job."""
    (folder / "stills").mkdir()
    with Image.open(STILLS / "cat.png") as image:
        day = image.convert("RGB").resize((160, 120))
    day.save(folder / "stills" / "day.png")
    day.point(lambda level: level // 4).save(folder / "stills" / "night.png")
    scorer_folder(folder / "darkness", Brightness(), **DARKNESS)
    return write_job(folder, **(small({"learned": ["darkness"]}) | changes))


def small(score: dict[str, Any]) -> dict[str, Any]:
    return {
        "motions": [{"id": "push", "prompt": "a slow push-in", "camera": "push-in"}],
        "takes": {"min": 1, "max": 1},
        "workers": {"max": 1},
        "score": {"accept": 0.0, "faces": False} | score,
    }


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lit")
    assert call(["run", str(write_lit_job(folder)), "--pool", "inline"]) in (DONE, SHORT)
    return folder


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert call([str(argument) for argument in arguments]) == BAD_INPUT
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("farm: ") and told.err.count("\n") == 1
    return told.err


# --- what a learned scorer says ---------------------------------------------------------------------------


def test_a_learned_scorer_has_a_column_and_a_say(lit):
    rows = {row["still_id"]: row for row in takes(lit / "run").to_pylist()}
    day, night = rows["day"], rows["night"]
    assert day["score_darkness"] == 1 and "too dark" not in (day["reason"] or "")
    assert night["score_darkness"] < 0.5 and "too dark throughout" in night["reason"]
    assert night["status"] == "rejected" and night["accepted"] is False
    assert night["score"] < 0.5, "it is part of the score"


def test_a_real_ray_pool_judges_alike(lit, tmp_path):
    shutil.copytree(lit, tmp_path / "there", ignore=shutil.ignore_patterns("run"))
    job = write_job(tmp_path / "there", **small({"learned": ["darkness"]}))
    told = farm("run", job)
    assert told.returncode in (DONE, SHORT), told.stderr
    seen = [
        [{name: value for name, value in row.items() if name != "still_uri"} for row in essence(run)]
        for run in (tmp_path / "there" / "run", lit / "run")
    ]
    assert seen[0] == seen[1] and all("score_darkness" in row for row in seen[0])


def test_weights_that_cannot_be_loaded_end_the_run_before_a_take(tmp_path, capsys):
    job = write_lit_job(tmp_path)
    (tmp_path / "darkness" / "network.pt").write_bytes(b"PK\x03\x04 cut short")
    assert call(["run", str(job), "--pool", "inline"]) == BROKEN
    told = capsys.readouterr().err
    assert "is no TorchScript" in told and "Traceback" not in told
    assert not list((tmp_path / "run").rglob("*.mp4"))


# --- a run's scoring is fixed -----------------------------------------------------------------------------


def test_job_json_says_who_judges(lit):
    score = job_json(lit / "run")["score"]
    assert (score["accept"], score["faces"]) == (0.0, False)
    (card,) = score["learned"]
    assert card["name"] == "darkness" and len(card["sha256"]) == 64


@pytest.mark.parametrize(
    ("override", "place"),
    [("score.accept=0.5", "score.accept"), ("score.learned=[]", "score.learned")],
)
def test_another_scoring_is_refused(lit, capsys, override, place):
    before = (lit / "run" / "job.json").read_bytes()
    line = refused(capsys, "run", lit / "job.yaml", "--pool", "inline", "--set", override)
    assert f"{place} is not what" in line and "job.json" in line
    assert (lit / "run" / "job.json").read_bytes() == before


@needs_faces
def test_faces_that_were_not_judged_are_not_judged_now(lit, capsys):
    line = refused(capsys, "run", lit / "job.yaml", "--pool", "inline", "--set", "score.faces=true")
    assert "score.faces is not what" in line


def test_a_run_goes_on_with_the_same_weights_elsewhere_but_not_with_others(lit, tmp_path, capsys):
    shutil.copytree(lit / "darkness", tmp_path / "moved")
    again = ["run", lit / "job.yaml", "--pool", "inline", "--set", f"score.learned=[{tmp_path}/moved]"]
    clips = {path: path.stat().st_mtime_ns for path in (lit / "run").rglob("*.mp4")}
    assert call([str(argument) for argument in again]) in (DONE, SHORT)
    assert {path: path.stat().st_mtime_ns for path in (lit / "run").rglob("*.mp4")} == clips
    capsys.readouterr()
    scorer_folder(tmp_path / "moved", Brightness(), **(DARKNESS | {"limit": 0.17}))
    assert "score.learned is not what" in refused(capsys, *again)


# --- what is not there ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "told"),
    [
        ({"learned": ["nowhere"]}, ["nowhere: no such folder", "scorer.yaml"]),
        ({"learned": ["empty"]}, ["empty/scorer.yaml: no such file"]),
        ({"learned": ["darkness", "twin"]}, ["twin: the dimension darkness is there already"]),
        ({"learned": ["darkness", "./darkness"]}, ["the dimension darkness is there already"]),
        ({"learned": ["bare"]}, ["bare/scorer.yaml: weights='network.pt': no such file"]),
        ({"learned": "darkness"}, ["score.learned='darkness': expected a list"]),
        ({"learned": [""]}, ["score.learned.0=''"]),
        ({"faces": "maybe"}, ["score.faces='maybe': expected auto, true or false"]),
        ({"face": True}, ["score.face: unknown key", "faces"]),
    ],
)
def test_scorers_that_cannot_be_used(tmp_path, capsys, score, told):
    for name in ("darkness", "twin", "bare"):
        scorer_folder(tmp_path / name, Brightness(), **DARKNESS)
    (tmp_path / "bare" / "network.pt").unlink()
    (tmp_path / "empty").mkdir()
    job = write_job(tmp_path, **small(score))
    for command in (["run", job, "--pool", "inline"], ["plan", job]):
        line = refused(capsys, *command)
        assert all(words in line for words in told), line
    assert not (tmp_path / "run").exists()


def test_faces_without_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)  # as if it were not installed
    line = refused(capsys, "run", write_job(tmp_path, **small({"faces": True})), "--pool", "inline")
    assert "dlib" in line and "pip install 'circletake[faces]'" in line
    assert not (tmp_path / "run").exists()


def test_a_catalog_column_of_a_dimensions_name(tmp_path, capsys):
    job = write_lit_job(tmp_path, stills=str(tmp_path / "stills.csv"))
    (tmp_path / "stills.csv").write_text("image,score_darkness\nstills/day.png,0.5\n")
    assert "score_darkness" in refused(capsys, "run", job, "--pool", "inline")
    assert not (tmp_path / "run" / "job.json").exists()


# --- characters -------------------------------------------------------------------------------------------


def write_cast(folder: Path, score: dict[str, Any]) -> Path:
    """A still whose character has a picture, one whose is missing, one whose is broken, one with a name alone."""
    (folder / "stills").mkdir()
    (folder / "refs").mkdir()
    with Image.open(STILLS / "cat.png") as image:
        small_one = image.convert("RGB").resize((160, 120))
    small_one.save(folder / "refs" / "mira.png")
    (folder / "refs" / "torn.png").write_bytes((folder / "refs" / "mira.png").read_bytes()[:400])
    cast = {"good": "refs/mira.png", "gone": "refs/gone.png", "torn": "refs/torn.png", "named": "Mira"}
    for name in cast:
        small_one.save(folder / "stills" / f"{name}.png")
    rows = [f"{name},stills/{name}.png,{character}\n" for name, character in cast.items()]
    (folder / "stills.csv").write_text("id,image,character\n" + "".join(rows))
    return write_job(folder, stills=str(folder / "stills.csv"), **small(score))


@needs_faces
def test_a_picture_of_a_character_that_cannot_be_used_is_its_takes_fault_alone(tmp_path):
    job = write_cast(tmp_path, {"faces": True})
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    rows = {row["still_id"]: row for row in takes(tmp_path / "run").to_pylist()}
    for name, words in (("gone", "refs/gone.png: no such file"), ("torn", "ends too early")):
        row = rows[name]
        assert (row["status"], row["blame"]) == ("failed", "task") and row["kind"].startswith("still_")
        assert row["reason"].startswith("character: ") and words in row["reason"]
        assert row["clip_uri"] is None, "told before it is rendered"
    for name in ("good", "named"):
        assert (
            rows[name]["status"] in ("kept", "rejected") and rows[name]["score_face_consistency"] is not None
        )
    shutil.copy(tmp_path / "refs" / "mira.png", tmp_path / "refs" / "gone.png")
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    mended = [row["status"] for row in takes(tmp_path / "run").to_pylist() if row["still_id"] == "gone"]
    assert mended.count("failed") == 1 and len(mended) == 2, "rendered once its character is there"


def test_nobody_asks_for_a_characters_picture_where_faces_are_off(tmp_path):
    assert call(["run", str(write_cast(tmp_path, {})), "--pool", "inline"]) in (DONE, SHORT)
    rows = takes(tmp_path / "run")
    assert set(rows["status"].to_pylist()) <= {"kept", "rejected"} and len(rows) == 4
    assert "score_face_consistency" not in rows.column_names


# --- farm score -------------------------------------------------------------------------------------------


def test_clips_are_judged_by_the_critics_that_are_asked_for(lit, capsys):
    clips = sorted(map(str, (lit / "run").rglob("*.mp4")))
    told = ["score", *clips, "--no-faces", "--learned", str(lit / "darkness"), "--json"]
    assert call([*told, "--seconds", "0.3", "--accept", "0"]) == DONE
    by_clip = {one["clip"]: one for one in json.loads(capsys.readouterr().out)["clips"]}
    day, night = (
        next(one for clip, one in by_clip.items() if f"/{name}/" in clip) for name in ("day", "night")
    )
    assert day["dimensions"]["darkness"] == 1 and night["dimensions"]["darkness"] < 0.5
    assert any("too dark" in reason for reason in night["reasons"]) and not night["accepted"]
    assert "face_consistency" not in day["dimensions"]


@needs_faces
def test_a_clip_is_held_against_a_character(lit, capsys):
    clip = next((lit / "run").rglob("*.mp4"))
    character = lit / "stills" / "day.png"
    assert call(["score", str(clip), "--character", str(character), "--json", "--seconds", "0.3"]) == DONE
    (one,) = json.loads(capsys.readouterr().out)["clips"]
    assert one["dimensions"]["face_consistency"] == 1, "a cat has no face of a person"


def test_a_character_that_nothing_is_compared_with_is_refused(lit, capsys, monkeypatch):
    clip, picture = next((lit / "run").rglob("*.mp4")), lit / "stills" / "day.png"
    line = refused(capsys, "score", clip, "--character", picture, "--no-faces")
    assert "--character" in line and "--no-faces" in line
    monkeypatch.setitem(sys.modules, "dlib", None)
    line = refused(capsys, "score", clip, "--character", picture)
    assert "pip install 'circletake[faces]'" in line
    assert "nowhere: no such folder" in refused(capsys, "score", clip, "--learned", lit / "nowhere")


@needs_faces
def test_a_character_without_a_picture_is_refused(lit, capsys):
    clip = next((lit / "run").rglob("*.mp4"))
    assert "none.png: cannot be read" in refused(capsys, "score", clip, "--character", lit / "none.png")
