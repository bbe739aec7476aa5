"""The takes that a node keeps while the store is away: whole or not there, bounded, nobody else's."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from outcomes import commit, kept, take_id
from system import wait_until

from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import encode_outcome
from farm.store.spool import Objects, Spool


def objects(number: int, clip: bytes = b"a clip") -> Objects:
    return (
        (f"clips/{number}.mp4", clip),
        (f"clips/{number}.webp", b"a poster"),
        (layout.outcome_key(take_id(number)), encode_outcome(kept(number))),
    )


def nothing(done: int) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_what_is_kept_is_delivered_once_and_whole(folder: Path, blobs: Blobs) -> None:
    Spool("run", folder).keep(take_id(1), objects(1))
    other_worker = Spool("run", folder)
    assert other_worker.deliver(take_id(2), blobs) is None
    assert other_worker.deliver(take_id(1), blobs) == encode_outcome(kept(1))
    assert {key: blobs.get(key) for key, _ in objects(1)} == dict(objects(1))
    assert other_worker.deliver(take_id(1), blobs) is None
    assert list(folder.rglob("*.take")) == []


def test_runs_do_not_share_and_nobody_else_may_read(folder: Path, blobs: Blobs) -> None:
    Spool("s3://secret-place/run", folder).keep(take_id(1), objects(1))
    other = Spool("another run", folder)
    assert other.deliver(take_id(1), blobs) is None
    other.offer(blobs, nothing)
    other.keep(take_id(2), objects(2))
    assert dict(blobs.list()) == {}
    assert len(list(folder.rglob("*.take"))) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not [path for path in folder.rglob("*") if "secret" in path.name]


def test_the_bounds_are_the_nodes(folder: Path, blobs: Blobs) -> None:
    Spool("run", folder, most_takes=2).keep(take_id(1), objects(1))
    Spool("another run", folder, most_takes=2).keep(take_id(2), objects(2))
    third = Spool("run", folder, most_takes=2)
    with pytest.raises(OSError, match=r"the spool is full: .* holds 2 takes, .*; allowed: 2 takes"):
        third.keep(take_id(3), objects(3))
    with pytest.raises(OSError, match="the spool is full"):
        Spool("run", folder, most_bytes=2000).keep(take_id(3), objects(3, clip=b"x" * 2000))
    third.offer(blobs, nothing)
    third.keep(take_id(3), objects(3))
    assert third.deliver(take_id(3), blobs) is not None


def test_a_half_written_entry_is_ignored_and_removed(folder: Path, blobs: Blobs) -> None:
    spool = Spool("run", folder)
    spool.keep(take_id(1), objects(1))
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    half = run / f".{'0' * 32}.tmp"
    half.write_bytes(b"half")
    (run / f"{take_id(2)}.take").write_bytes((run / f"{take_id(1)}.take").read_bytes()[:-100])
    (run / f"{take_id(3)}.take").write_bytes((run / f"{take_id(1)}.take").read_bytes())
    for number in (2, 3):
        assert spool.deliver(take_id(number), blobs) is None
    assert dict(blobs.list()) == {}, "the one is cut short, the other holds another take"
    spool.keep(take_id(4), objects(4))
    assert not half.exists()
    assert {path.name for path in run.iterdir()} == {f"{take_id(1)}.take", f"{take_id(4)}.take"}


def test_entries_outlive_a_worker_that_is_killed_while_it_writes(folder: Path, blobs: Blobs) -> None:
    program = (
        "import sys; from pathlib import Path; from test_spool import *\n"
        "spool = Spool('run', Path(sys.argv[1]))\n"
        "for number in range(10**9): spool.keep(take_id(number % 400), objects(number % 400, bytes(2**20)))"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parents[1])])
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], env=os.environ | {"PYTHONPATH": path}
    ) as worker:
        try:
            wait_until(lambda: len(list(folder.rglob("*.take"))) >= 5, "five entries")
        finally:
            worker.send_signal(signal.SIGKILL)
    left = sorted(path.name.removesuffix(".take") for path in folder.rglob("*.take"))
    spool = Spool("run", folder)
    assert all(spool.deliver(one, blobs) is not None for one in left)
    assert {size for key, size in blobs.list() if key.endswith(".mp4")} == {2**20}
    spool.keep(take_id(1), objects(1))
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2, "the entry and the lock"


def test_two_workers_that_store_one_entry_at_once_do_no_harm(folder: Path, blobs: Blobs) -> None:
    for number in range(20):
        Spool("run", folder).keep(take_id(number), objects(number))
        start = threading.Barrier(3)

        def given(number: int = number, start: threading.Barrier = start) -> bytes | None:
            start.wait()
            return Spool("run", folder).deliver(take_id(number), blobs)

        def other(start: threading.Barrier = start) -> None:
            start.wait()
            Spool("run", folder).offer(blobs, nothing)

        with ThreadPoolExecutor(3) as pool:
            answers = [pool.submit(one) for one in (given, given, other)]
        told = {answer.result() for answer in answers[:2]}
        assert told <= {None, encode_outcome(kept(number))}
        assert answers[2].result() is None
        assert {key: blobs.get(key) for key, _ in objects(number)} == dict(objects(number))
    assert list(folder.rglob("*.take")) == []


def test_what_others_made_of_a_take_meanwhile_is_not_written_over(folder: Path, blobs: Blobs) -> None:
    """Another node's pixels may differ in a bit, and its row names the digest of its own clip."""
    spool = Spool("run", folder)
    for number in (1, 2, 3):
        spool.keep(take_id(number), objects(number))
    blobs.put("clips/1.mp4", b"of another node, its row gathered already")
    commit(blobs, kept(2))
    asked: list[int] = []
    spool.offer(blobs, asked.append)
    assert asked == [0, 1, 2]
    assert blobs.get("clips/1.mp4") == b"of another node, its row gathered already"
    assert not blobs.exists(layout.outcome_key(take_id(1))) and not blobs.exists("clips/2.mp4")
    assert {key: blobs.get(key) for key, _ in objects(3)} == dict(objects(3))
    assert [path.name for path in folder.rglob("*.take")] == [f"{take_id(1)}.take"]
    spool.offer(blobs, asked.append)
    assert asked == [0, 1, 2], "it is not offered again"
    assert spool.deliver(take_id(1), blobs) is not None
    assert blobs.get("clips/1.mp4") == b"a clip", "the node was given the take: nobody else has it"


@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_a_folder_that_is_not_ones_own_is_neither_used_nor_read(
    trap: str, folder: Path, blobs: Blobs, tmp_path: Path
) -> None:
    real = tmp_path / "real"
    Spool("run", real).keep(take_id(1), objects(1))
    if trap == "a file":
        folder.write_bytes(b"")
    elif trap == "a link":
        folder.symlink_to(real)
    else:
        real.rename(folder)
        folder.chmod(0o777)
    spool = Spool("run", folder)
    assert spool.deliver(take_id(1), blobs) is None
    spool.offer(blobs, nothing)
    assert dict(blobs.list()) == {}
    with pytest.raises(OSError, match=r"mode 0700|File exists"):
        spool.keep(take_id(2), objects(2))


def test_the_folder_has_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FARM_SPOOL", str(tmp_path))
    assert Spool("run").folder == tmp_path
    monkeypatch.delenv("FARM_SPOOL")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Spool("run").folder == tmp_path / f"circletake-spool-{os.geteuid()}"
