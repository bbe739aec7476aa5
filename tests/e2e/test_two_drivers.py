"""Two drivers and one run, with real processes: at once, after a kill, and one that wakes up too late."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_runs import essence, farm, takes, write_job

from farm.cli import BAD_INPUT, BROKEN, DONE, INTERRUPTED, SHORT

# `farm run` but for its patience: nobody wants to wait a minute in a test.
SHORT_TERM = """
import functools, sys
import farm.run
from farm.cli import call
farm.run.run_job = functools.partial(farm.run.run_job, term_s=5.0)
sys.exit(call(["run", sys.argv[1], "--pool", "inline"]))
"""


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts Python with arguments, in a process that does not outlive the test."""
    processes = []

    def start(*arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_second_driver_is_refused_and_harms_nothing(tmp_path, started):
    job = write_job(tmp_path, takes={"min": 64, "max": 64})
    first = started("-m", "farm", "run", job, "--pool", "inline")
    until(first, lambda: clips(tmp_path / "run") >= 1)
    second = farm("run", job, "--pool", "inline")
    assert second.returncode == BAD_INPUT, second.stderr
    assert f"(process {first.pid}) has been running this job for" in second.stderr
    assert "is alive" in second.stderr and f"farm status {tmp_path / 'run'}" in second.stderr
    assert f"(process {first.pid})" in farm("status", tmp_path / "run").stdout
    told = json.loads(farm("status", tmp_path / "run", "--json").stdout)
    assert told["driver"]["pid"] == first.pid and told["ended"] == "not yet"
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == INTERRUPTED, err
    rows = takes(tmp_path / "run")["take_id"].to_pylist()
    assert len(rows) == len(set(rows)) == clips(tmp_path / "run")
    told = json.loads(farm("status", tmp_path / "run", "--json").stdout)
    assert told["driver"] is None and told["ended"] == "interrupted"


def test_a_killed_driver_of_this_machine_is_succeeded_at_once(tmp_path, started):
    job = write_job(tmp_path)
    first = started("-m", "farm", "run", job, "--pool", "inline")
    until(first, lambda: clips(tmp_path / "run") >= 2)
    first.kill()
    first.communicate(timeout=60)
    assert "it is gone, the same command goes on" in farm("status", tmp_path / "run").stdout.replace(
        "\n", " "
    )
    second = farm("run", job, "--pool", "inline")
    assert second.returncode in (DONE, SHORT), second.stderr
    assert "may be dead" not in second.stdout + second.stderr
    rows = takes(tmp_path / "run")["take_id"].to_pylist()
    assert len(rows) == len(set(rows)) == clips(tmp_path / "run")


def test_a_driver_that_wakes_up_too_late_writes_nothing_more(tmp_path, started):
    (tmp_path / "whole").mkdir()
    whole = write_job(tmp_path / "whole")
    assert farm("run", whole, "--pool", "inline").returncode in (DONE, SHORT)

    job = write_job(tmp_path, stills=str(tmp_path / "whole" / "stills"))
    first = started("-c", SHORT_TERM, job)
    until(first, lambda: clips(tmp_path / "run") >= 2)
    first.send_signal(signal.SIGSTOP)
    second = started("-c", SHORT_TERM, job)
    until(second, lambda: owner(tmp_path / "run") == second.pid)
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == BROKEN, err
    assert "lost its lease to" in err and f"(process {second.pid})" in err and "Traceback" not in err
    out, err = second.communicate(timeout=120)
    assert second.returncode in (DONE, SHORT), err
    assert f"(process {first.pid}) has its lease and may be dead" in out
    assert essence(tmp_path / "run") == essence(tmp_path / "whole" / "run")


def until(process: "subprocess.Popen[str]", happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, f"over too early: {process.communicate()}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def clips(run: Path) -> int:
    return len(list(run.rglob("*.mp4")))


def owner(run: Path) -> int:
    lease: dict[str, Any] = json.loads((run / "lease.json").read_text())
    return int(lease["pid"])
