"""Runs on a real local Ray: the same manifest as inline, and what is left when they are stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_runs import essence, farm, takes, write_job

from farm.cli import DONE, INTERRUPTED, SHORT


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A run on the inline pool, which the others are compared with."""
    folder = tmp_path_factory.mktemp("inline")
    told = farm("run", write_job(folder), "--pool", "inline")
    assert told.returncode in (DONE, SHORT), told.stderr
    return folder / "run"


def test_the_ray_pool_gives_the_inline_pools_manifest(tmp_path, undisturbed):
    told = farm("run", write_job(tmp_path))
    assert told.returncode in (DONE, SHORT), told.stderr
    assert strip(essence(tmp_path / "run")) == strip(essence(undisturbed))
    assert len(set(takes(tmp_path / "run")["worker"].to_pylist())) == 2, "both workers had work"
    selects = [
        pq.read_table(run / "selects.parquet").drop_columns(["cost_usd"])
        for run in (tmp_path / "run", undisturbed)
    ]
    assert selects[0].equals(selects[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_run_says_how_to_resume_and_does(tmp_path, undisturbed, number):
    job = write_job(tmp_path)
    process = started(job)
    wait_for_takes(process, tmp_path / "run", 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED, out + err
    assert "same command resumes" in err and "Traceback" not in err
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.mp4")}
    assert kept and len(takes(tmp_path / "run")) == len(kept), "what was rendered is in the manifest"
    assert farm("run", job).returncode in (DONE, SHORT)
    assert strip(essence(tmp_path / "run")) == strip(essence(undisturbed))
    assert (
        kept.items() <= {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.mp4")}.items()
    )


def test_a_killed_driver_is_continued_by_the_same_command(tmp_path, undisturbed):
    job = write_job(tmp_path)
    process = started(job)
    wait_for_takes(process, tmp_path / "run", 3)
    process.kill()
    process.communicate(timeout=60)
    assert farm("run", job).returncode in (DONE, SHORT)
    assert strip(essence(tmp_path / "run")) == strip(essence(undisturbed))
    assert len(list((tmp_path / "run").rglob("*.mp4"))) == len(takes(tmp_path / "run"))


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    told = farm("run", write_job(tmp_path, workers={"max": 1, "gpus": 99}))
    assert told.returncode == 2 and "workers.gpus=99" in told.stderr and told.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_cluster_that_does_not_answer(tmp_path):
    told = farm("run", write_job(tmp_path), "--address", "127.0.0.1:1")
    assert told.returncode == 2 and "127.0.0.1:1" in told.stderr and "Traceback" not in told.stderr
    assert not (tmp_path / "run").exists()


def strip(rows: list[dict]) -> list[dict]:
    """Where a run lies is a place, too."""
    return [{name: value for name, value in row.items() if name != "still_uri"} for row in rows]


def started(job: Path) -> "subprocess.Popen[str]":
    # A session of its own, as a terminal gives it: the signal goes to the driver alone.
    return subprocess.Popen(
        [sys.executable, "-m", "farm", "run", str(job)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=dict(os.environ),
    )  # fmt: skip


def wait_for_takes(process: "subprocess.Popen[str]", run: Path, count: int) -> None:
    """Until `count` clips are stored; the run must not be over by then."""
    deadline = time.monotonic() + 120
    while len(list(run.rglob("*.mp4"))) < count:
        assert process.poll() is None, "over before it could be disturbed"
        assert time.monotonic() < deadline, "no takes in two minutes"
        time.sleep(0.02)
