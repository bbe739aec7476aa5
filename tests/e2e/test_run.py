"""Whole runs on the inline pool: what the store holds afterwards, and what happens the second time."""

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import duckdb
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_runs import farm, job_json, takes, write_job, write_stills

from farm.cli import BAD_INPUT, DONE, SHORT, call
from farm.dispatch.gate import Gate


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    job = write_job(folder, takes={"min": 2, "max": 2}, score={"accept": 0.0})
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    return folder / "run"


def test_every_planned_take_has_one_row(run):
    rows = takes(run).to_pylist()
    assert sorted((row["still_id"], row["motion_id"], row["seed"]) for row in rows) == [
        (still, motion, seed)
        for still in ("still0", "still1")
        for motion in ("push", "wind")
        for seed in (0, 1)
    ]
    assert len({row["take_id"] for row in rows}) == len(rows)


def test_every_clip_decodes_to_exactly_what_its_row_says(run):
    for row in takes(run).to_pylist():
        path = run / row["clip_uri"]
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["clip_sha256"] and len(data) == row["clip_bytes"]
        with av.open(path) as clip:
            (stream,) = clip.streams
            frames = list(clip.decode(stream))
            assert len(frames) == row["span_stop"] - row["span_start"] == 12
            assert {(frame.width, frame.height) for frame in frames} == {(row["width_px"], row["height_px"])}
            assert stream.average_rate == Fraction(row["fps"]) and stream.codec_context.pix_fmt == "yuv420p"
            assert row["take_id"] in clip.metadata.values() or any(
                row["take_id"] in v for v in clip.metadata.values()
            )
        assert 0 <= row["span_start"] < row["span_stop"] <= row["frames"] == 16
        for poster in (run / row["poster_uri"], run / row["poster_uri"].replace(".webp", ".strip.webp")):
            with Image.open(poster) as image:
                image.load()


def test_duckdb_reads_takes_and_selects(run):
    told = duckdb.sql(
        f"select s.verdict, t.status, t.clip_uri = s.clip_uri as same from '{run}/selects.parquet' s "
        f"left join '{run}/takes/*.parquet' t using (take_id) order by s.still_id, s.motion_id"
    ).fetchall()
    assert len(told) == 4
    assert all(status == "kept" and same for verdict, status, same in told if verdict == "selected")


def test_the_select_is_the_best_accepted_take(run):
    rows = takes(run).to_pylist()
    for select in pq.read_table(run / "selects.parquet").to_pylist():
        shot = [
            row
            for row in rows
            if row["still_id"] == select["still_id"] and row["motion_id"] == select["motion_id"]
        ]
        best = max((row["score"] for row in shot if row["accepted"]), default=None)
        assert select["score"] == best
        assert select["takes_tried"] == len(shot)


def test_takes_of_different_seeds_differ_and_the_job_is_recorded(run):
    rows = takes(run).to_pylist()
    assert len({row["clip_sha256"] for row in rows}) == len(rows)
    job = job_json(run)
    assert [motion["id"] for motion in job["motions"]] == ["push", "wind"] and job["models"][0][
        "frames"
    ] == 16


def test_the_keys_are_the_contracts(run):
    tops = {path.name for path in run.iterdir()}
    assert tops >= {"job.json", "stills", "takes", "clips", "selects.parquet", "summary.json"}
    assert not list((run / "outcomes").glob("*")) if (run / "outcomes").exists() else True
    row = takes(run).to_pylist()[0]
    assert row["clip_uri"] == (
        f"clips/{row['still_id']}/{row['motion_id']}/previz/{row['seed']}-{row['take_id'][:8]}.mp4"
    )
    assert row["poster_uri"] == row["clip_uri"].replace(".mp4", ".webp")


def test_the_same_command_again_renders_nothing(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.mp4")}
    parts = sorted((run / "takes").iterdir())
    code = call(["run", str(run.parent / "job.yaml"), "--pool", "inline"])
    assert code in (DONE, SHORT)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.mp4")} == before
    assert sorted((run / "takes").iterdir()) == parts


def test_another_job_may_not_use_the_same_output(run, tmp_path, capsys):
    other = write_job(tmp_path, output=str(run), render={"frames": 20})
    assert call(["run", str(other), "--pool", "inline"]) == BAD_INPUT
    assert "models is not what" in capsys.readouterr().err


def test_extra_columns_reach_the_manifest(tmp_path):
    write_stills(tmp_path / "stills")
    (tmp_path / "catalog.csv").write_text(
        "image,id,sku,prompt,version\nstills/still0.png,Ärmel,A-1,a person,1\nstills/still1.png,../up,B-2,,2\n"
    )
    job = write_job(tmp_path, stills=str(tmp_path / "catalog.csv"), takes={"min": 1, "max": 1})
    call(["run", str(job), "--pool", "inline"])
    rows = takes(tmp_path / "run").to_pylist()
    assert {(row["still_id"], row["sku"]) for row in rows} == {("Ärmel", "A-1"), ("../up", "B-2")}
    # Its name is a column of the stills' own.
    gate = pq.read_table(tmp_path / "run" / "stills").to_pylist()
    assert {row["catalog_version"] for row in gate} == {"1", "2"}
    assert {row["prompt"] for row in rows if row["still_id"] == "Ärmel"} == {
        "a person. a slow push-in", "a person. hair moves in a light wind"
    }  # fmt: skip
    assert not [
        path for path in tmp_path.iterdir() if path.name not in {"stills", "catalog.csv", "job.yaml", "run"}
    ]
    assert all((tmp_path / "run" / row["clip_uri"]).is_file() for row in rows)


def test_a_bad_still_is_an_outcome_and_the_rest_goes_on(tmp_path):
    stills = write_stills(tmp_path / "stills")
    (stills / "empty.png").write_bytes(b"")
    (stills / "cut.png").write_bytes((stills / "still0.png").read_bytes()[:2000])
    (stills / "text.jpg").write_text("not an image")
    job = write_job(tmp_path, takes={"min": 1, "max": 1}, score={"accept": 0.0})
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    rows = takes(tmp_path / "run").to_pylist()
    failed = {
        row["still_id"]: (row["kind"], row["blame"], row["attempt"])
        for row in rows
        if row["status"] == "failed"
    }
    assert failed == {
        "empty": ("still_empty", "task", 0),
        "cut": ("still_truncated", "task", 0),
        "text": ("still_unreadable", "task", 0),
    }
    assert len(rows) == 2 * 2 + 3 * 2
    verdicts = {
        (row["still_id"], row["verdict"])
        for row in pq.read_table(tmp_path / "run/selects.parquet").to_pylist()
    }
    assert {still for still, verdict in verdicts if verdict == "none_usable"} >= {"empty", "cut", "text"}
    gate = pq.read_table(tmp_path / "run" / "stills").to_pylist()
    assert {row["still_id"] for row in gate if row["verdict"] == "refuse"} == {"empty", "cut", "text"}

    # Mended, it is a new still; the others are not touched.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.mp4")}
    (stills / "cut.png").write_bytes((stills / "still1.png").read_bytes())
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    rows = takes(tmp_path / "run").to_pylist()
    assert {row["motion_id"] for row in rows if row["still_id"] == "cut" and row["status"] != "failed"} == {
        "push", "wind"
    }  # fmt: skip
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.mp4")}.items()
    )


def test_a_still_that_became_another_picture_is_not_mixed_in(tmp_path):
    stills = write_stills(tmp_path / "stills", count=1)
    job = write_job(tmp_path, takes={"min": 1, "max": 1})
    call(["run", str(job), "--pool", "inline"])
    # As if one of the two takes had never been rendered: its outcome and its row are gone.
    (part,) = (tmp_path / "run" / "takes").iterdir()
    table = pq.read_table(part)
    pq.write_table(table.slice(0, 1), part)
    with Image.open(stills / "still0.png") as image:
        image.rotate(180).save(stills / "still0.png")
    for _ in range(2):  # and the second time nothing is new
        assert call(["run", str(job), "--pool", "inline"]) == SHORT
        refused = [row["kind"] for row in takes(tmp_path / "run").to_pylist() if row["attempt"] == 0]
        assert refused == ["still_changed"]


def test_a_host_that_cannot_be_reached_is_its_stills_outcome(tmp_path, monkeypatch):
    monkeypatch.setitem(Gate.__init__.__kwdefaults__, "pauses_s", (0.0,))
    write_stills(tmp_path / "stills")
    (tmp_path / "c.csv").write_text("image,id\nstills/still0.png,a\nhttp://127.0.0.1:9/b.png,b\n")
    job = write_job(
        tmp_path, stills=str(tmp_path / "c.csv"), takes={"min": 1, "max": 1}, score={"accept": 0.0}
    )
    for _ in range(2):
        assert call(["run", str(job), "--pool", "inline"]) == SHORT
        rows = takes(tmp_path / "run").to_pylist()
        assert (
            sorted((row["still_id"], row["kind"]) for row in rows if row["status"] == "failed")
            == [("b", "still_unreachable")] * 2
        )
        assert len(rows) == 4


def test_models_compete_for_one_select_and_none_is_missed(tmp_path, capsys):
    models = [{"name": name, "family": "previz"} for name in ("first", "second")]
    job = write_job(tmp_path, models=models, takes={"min": 1, "max": 1}, score={"accept": 0.0})
    assert call(["run", str(job), "--pool", "inline"]) == DONE
    told = capsys.readouterr().out
    assert "shots: 4 circled" in told and "not reached" not in told
    assert len(takes(tmp_path / "run")) == 8


def test_what_a_session_cost_is_not_forgotten(tmp_path):
    job = write_job(tmp_path, takes={"min": 1, "max": 1}, prices={"CPU": 100})
    spent = []
    for _ in range(2):
        call(["run", str(job), "--pool", "inline"])
        spent.append(json.loads((tmp_path / "run" / "summary.json").read_text())["spent_usd"])
    assert spent[0] == spent[1] > 0


def test_a_reader_that_leaves_does_not_end_the_run(tmp_path):
    stills = write_stills(tmp_path / "stills")
    for name in ("bad1", "bad2"):
        (stills / f"{name}.png").write_bytes(b"")
    job = write_job(tmp_path, takes={"min": 1, "max": 1})
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "farm", "run", str(job), "--pool", "inline"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=240)
    os.close(write)
    assert (done.returncode, done.stderr) == (SHORT, "")
    assert len(takes(tmp_path / "run")) == 4 * 2 and (tmp_path / "run" / "summary.json").is_file()


def test_none_usable_is_said_and_exits_1(tmp_path, capsys):
    job = write_job(tmp_path, score={"accept": 1.0}, takes={"min": 1, "max": 3})
    assert call(["run", str(job), "--pool", "inline"]) == SHORT
    rows = takes(tmp_path / "run").to_pylist()
    assert len(rows) == 4 * 3, "one more while none is accepted, up to max"
    assert all(row["status"] == "rejected" and row["reason"] for row in rows)
    selects = pq.read_table(tmp_path / "run" / "selects.parquet").to_pylist()
    assert {(row["verdict"], row["take_id"], row["clip_uri"]) for row in selects} == {
        ("none_usable", None, None)
    }
    assert "0 circled, 4 with no usable take" in capsys.readouterr().out


def test_status_reads_the_store_alone(run, capsys):
    assert call(["status", str(run), "--json"]) == DONE
    assert '"takes": 8' in capsys.readouterr().out


def test_models_and_plan_and_version_as_a_process(tmp_path):
    assert "previz" in farm("models").stdout
    told = farm("plan", write_job(tmp_path), "--set", "takes.max=7", "--json")
    assert told.returncode == 0 and '"takes": [\n    8,\n    28\n  ]' in told.stdout
    assert not (tmp_path / "run").exists(), "planning writes nothing"


def test_a_run_from_before_there_were_policies_goes_on_with_the_ladder(tmp_path, capsys):
    job = write_job(
        tmp_path,
        stills=str(write_stills(tmp_path / "one", 1)),
        motions=[{"id": "push", "prompt": "a slow push-in"}],
    )
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    path = tmp_path / "run" / "job.json"
    before = json.loads(path.read_text())
    del before["takes"]["policy"]
    path.write_text(json.dumps(before))
    assert call(["run", str(job), "--pool", "inline"]) == BAD_INPUT
    assert "takes.policy is not what" in capsys.readouterr().err
    assert call(["run", str(job), "--pool", "inline", "--set", "takes.policy=ladder"]) in (DONE, SHORT)
