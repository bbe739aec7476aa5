"""`farm replay`: takes of real runs, rendered again and compared with what is stored."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from small_runs import takes, write_job, write_stills
from test_diffusers_runs import tiny_job

from farm.cli import BAD_INPUT, BROKEN, DONE, SHORT, call
from farm.ids import sha256_hex
from farm.store import layout
from farm.store.rows import encode_outcome
from farm.trim.encode import encode_clip
from farm.trim.footage import decode
from farm.values import Outcome, Status


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A run whose takes were all rejected, and a still that could not be used."""
    folder = tmp_path_factory.mktemp("replay")
    write_stills(folder / "stills", count=1)
    (folder / "stills" / "torn.png").write_bytes(b"no image")
    motions = [{"id": "wind", "prompt": "hair moves in a light wind", "ambient": ["sway"]}]
    changes = {
        "takes": {"min": 2, "max": 2},
        "score": {"accept": 1.0},
        "render": {"frames": 12, "size": "64x64"},
    }
    assert call(["run", str(write_job(folder, motions=motions, **changes)), "--pool", "inline"]) == SHORT
    return folder


@pytest.fixture
def run(begun, tmp_path) -> Path:
    """A copy of that run, to be spoilt; its stills still lie where they were."""
    return Path(shutil.copytree(begun / "run", tmp_path / "run"))


def a_row(run: Path, status: str = "rejected") -> dict:
    return next(row for row in takes(run).to_pylist() if row["status"] == status)


def rewrite(run: Path, change) -> None:
    """Every row of the run as `change` gives it back; None leaves it out."""
    for part in (run / "takes").iterdir():
        table = pq.read_table(part)
        rows = [changed for row in table.to_pylist() if (changed := change(row)) is not None]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), part)


def replayed(run: Path, take: str, capsys, *more: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = call(["replay", str(run), take, "--json", *more])
    return code, json.loads(capsys.readouterr().out)


def refused(run: Path, take: str, capsys, code: int = BAD_INPUT) -> str:
    capsys.readouterr()
    assert call(["replay", str(run), take]) == code
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    return told.err


def test_a_take_comes_out_again_bit_for_bit(run, tmp_path, capsys):
    row = a_row(run)
    code, found = replayed(run, row["take_id"][:6].upper(), capsys, "--clip", str(tmp_path / "again.mp4"))
    assert code == DONE
    assert (found["take_id"], found["model"], found["verdict"]) == (row["take_id"], "previz", "identical")
    assert found["same_bytes"] and found["intact"] and found["psnr_db"] is None
    assert found["frames"] == row["span_stop"] - row["span_start"] and found["changed"] == {}
    assert sha256_hex((tmp_path / "again.mp4").read_bytes()) == row["clip_sha256"]


def test_people_read_a_line(run, capsys):
    assert call(["replay", str(run), a_row(run)["take_id"]]) == DONE
    assert "by previz: identical (12 frames, the same file)" in " ".join(capsys.readouterr().out.split())


def test_nothing_in_the_run_is_written(run, capsys):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    replayed(run, a_row(run)["take_id"], capsys)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_changed_fingerprint_is_told(run, capsys):
    fingerprint = json.loads(a_row(run)["fingerprint"]) | {"torch": "1.0", "driver": "535"}
    rewrite(run, lambda row: row | {"fingerprint": json.dumps(fingerprint), "farm_version": "0.0.9"})
    code, found = replayed(run, a_row(run)["take_id"], capsys)
    assert (code, found["verdict"]) == (DONE, "identical")
    assert found["changed"].keys() == {"torch", "driver", "farm"}
    assert found["changed"]["torch"]["then"] == "1.0" and found["changed"]["torch"]["now"].startswith("2.")
    assert found["changed"]["driver"] == {"then": "535", "now": None}
    call(["replay", str(run), a_row(run)["take_id"]])
    told = capsys.readouterr().out
    assert "not said" in told and "0.0.9" in told


def test_a_clip_of_other_frames_is_different(run, tmp_path, capsys):
    row = a_row(run)
    frames, fps = decode(run / row["clip_uri"])
    encode_clip(255 - frames, fps, run / row["clip_uri"], {})
    code, found = replayed(run, row["take_id"], capsys)
    assert (code, found["verdict"], found["intact"]) == (SHORT, "different", False)
    assert 0 < found["psnr_db"] < 20
    call(["replay", str(run), row["take_id"]])
    assert "not the one that its row names" in capsys.readouterr().out
    encode_clip(frames[1:], fps, run / row["clip_uri"], {})
    code, found = replayed(run, row["take_id"], capsys)
    assert (code, found["verdict"], found["psnr_db"]) == (SHORT, "different", None)


def test_a_clip_that_is_nearly_so_is_close(run, capsys):
    row = a_row(run)
    frames, fps = decode(run / row["clip_uri"])
    frames[:, ::2, ::2] ^= 1
    encode_clip(frames, fps, run / row["clip_uri"], {})
    code, found = replayed(run, row["take_id"], capsys)
    assert (code, found["verdict"]) == (DONE, "close") and found["psnr_db"] >= 35


def test_a_clip_of_the_same_frames_in_another_file_is_identical(run, capsys):
    row = a_row(run)
    clip = run / row["clip_uri"]
    clip.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    code, found = replayed(run, row["take_id"], capsys)
    assert (code, found["verdict"], found["same_bytes"]) == (DONE, "identical", False)


def test_a_still_that_changed_or_is_gone_is_refused(run, tmp_path, capsys):
    picture = Path(write_stills(tmp_path / "moved", count=1) / "still0.png")
    rewrite(run, lambda row: row | {"still_uri": str(picture)})
    assert replayed(run, a_row(run)["take_id"], capsys)[0] == DONE  # where a still lies does not matter
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(picture)
    assert "still0.png: changed since the take was rendered" in refused(run, a_row(run)["take_id"], capsys)
    picture.unlink()
    assert "still0.png" in refused(run, a_row(run)["take_id"], capsys)


def test_what_has_no_clip_is_refused_with_its_reason(run, capsys):
    row = a_row(run, "failed")
    assert f"it failed: {row['reason']}" in refused(run, row["take_id"], capsys)


def test_takes_are_named_by_enough_digits(run, capsys):
    row = a_row(run)
    twin = row["take_id"][:5] + "0" * 27
    assert "expected its first 4 to 32" in refused(run, row["take_id"][:3], capsys)
    assert "expected its first 4 to 32" in refused(run, "push", capsys)
    assert "no take whose id begins with ffff0000" in refused(run, "ffff0000", capsys)
    rewrite(run, lambda one: one | {"take_id": twin} if one["take_id"] != row["take_id"] else one)
    told = refused(run, row["take_id"][:4], capsys)
    assert "takes begin with" in told and twin in told and "give more digits" in told
    assert replayed(run, row["take_id"][:10], capsys)[0] == DONE


def test_a_row_whose_task_cannot_be_put_together_is_refused(run, capsys):
    row = a_row(run)
    rewrite(run, lambda one: one | {"prompt": "another prompt"})
    told = refused(run, row["take_id"], capsys)
    assert "cannot be rendered again" in told and "another one: it was made by farm" in told
    rewrite(run, lambda one: one | {"motion_id": "waves"})
    assert "job.json names no motion waves" in refused(run, row["take_id"], capsys)
    rewrite(run, lambda one: one | {"motion_id": "wind", "model": "other"})
    assert "job.json names no model other" in refused(run, row["take_id"], capsys)


def test_a_family_of_another_version_is_refused(run, capsys):
    job = json.loads((run / layout.JOB).read_text())
    job["models"][0]["family"] = "previz-9"
    (run / layout.JOB).write_text(json.dumps(job))
    assert "knows no family previz-9" in refused(run, a_row(run)["take_id"], capsys)


def test_an_outcome_that_is_not_gathered_yet_can_be_replayed(run, capsys):
    row = a_row(run)
    names = {field.name for field in fields(Outcome)} & row.keys()
    known = {name: row[name] for name in names} | {"status": Status.REJECTED}
    known |= {name: row[name].isoformat() for name in ("started_at", "finished_at")}
    key = run / layout.outcome_key(row["take_id"])
    key.parent.mkdir(exist_ok=True)
    key.write_bytes(encode_outcome(Outcome(**known)))
    rewrite(run, lambda one: None)
    code, found = replayed(run, row["take_id"][:8], capsys)
    assert (code, found["verdict"], found["same_bytes"]) == (DONE, "identical", True)


def test_a_clip_that_is_gone_is_the_stores_trouble(run, capsys):
    row = a_row(run)
    (run / row["clip_uri"]).unlink()
    assert row["clip_uri"] in refused(run, row["take_id"], capsys, BROKEN)


def test_a_clip_that_is_broken_is_refused(run, capsys):
    row = a_row(run)
    (run / row["clip_uri"]).write_bytes(b"no clip")
    assert f"{row['clip_uri']}: cannot be decoded" in refused(run, row["take_id"], capsys)


def test_a_clip_that_cannot_be_kept_is_said(run, tmp_path, capsys):
    capsys.readouterr()
    assert (
        call(["replay", str(run), a_row(run)["take_id"], "--clip", str(tmp_path / "no" / "a.mp4")])
        == BAD_INPUT
    )
    assert "--clip" in capsys.readouterr().err


def test_no_run_no_replay(tmp_path, capsys):
    assert "no run here" in refused(tmp_path / "nothing", "abcd", capsys)


def test_a_diffusers_take_comes_out_again_unless_its_model_changed(tmp_path, tiny, capsys):
    model = Path(shutil.copytree(tiny("wan2.1-i2v"), tmp_path / "model"))
    job = tiny_job(tmp_path, lambda family: model, "wan2.1-i2v", takes={"min": 1, "max": 1})
    assert call(["run", str(job), "--pool", "inline"]) in (DONE, SHORT)
    (row,) = takes(tmp_path / "run").to_pylist()
    code, found = replayed(tmp_path / "run", row["take_id"], capsys)
    assert (code, found["verdict"], found["same_bytes"], found["changed"]) == (DONE, "identical", True, {})
    (model / "notes.txt").write_text("nobody loads this")
    assert replayed(tmp_path / "run", row["take_id"], capsys)[0] == DONE
    config = model / "transformer" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert "holds other files here than the job was planned with (local-" in refused(
        tmp_path / "run", row["take_id"], capsys
    )
    shutil.rmtree(model)
    assert "there is no such folder" in refused(tmp_path / "run", row["take_id"], capsys)
