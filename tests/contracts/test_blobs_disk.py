"""What only a local folder can do or get wrong: crashes, permissions, file systems without links."""

import errno
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.errors import InputError, StoreError
from farm.store.blobs import Blobs


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return sorted(key for key, _ in blobs.list(prefix))


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    for output in ("runs", "runs/spring"):
        with pytest.raises(InputError, match=r"a file stands where a folder should be: .*/runs$"):
            Blobs.open(str(tmp_path / output)).check_writable()
    with pytest.raises(StoreError):
        Blobs.open(str(tmp_path / "runs/spring")).put("a", b"")
    assert (tmp_path / "runs").read_text() == "not a folder"


def test_a_folder_that_cannot_be_written() -> None:
    # procfs lets nobody make anything, root included.
    with pytest.raises(InputError, match=r"^/proc/farm: cannot be written: "):
        Blobs.open("/proc/farm").check_writable()


def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where space is allocated late, the sync is what fails."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    blobs = Blobs.open(str(tmp_path))
    blobs.put("clip.mp4", b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"cannot write clip\.mp4: No space left on device") as caught:
        blobs.put("clip.mp4", b"new")
    assert caught.value.kind == "disk_full"
    assert blobs.get("clip.mp4") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_no_reader_ever_sees_half_an_object(tmp_path: Path) -> None:
    blobs = Blobs.open(str(tmp_path))
    contents = {bytes([letter]) * 2_000_000 for letter in b"abc"}
    blobs.put("takes/part-1.parquet", next(iter(contents)))
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                blobs.put("takes/part-1.parquet", content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            seen = [path.read_bytes() for path in (tmp_path / "takes").glob("*.parquet")]
            assert len(seen) == 1
            assert seen[0] in contents
            assert keys(blobs) == ["takes/part-1.parquet"]
    finally:
        stop.set()
        writer.join()
    assert [path.name for path in (tmp_path / "takes").iterdir()] == ["part-1.parquet"]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        blobs = Blobs.open(str(tmp_path / "run"))
        blobs.put("a", b"")
        blobs.create("b", b"")
    finally:
        os.umask(umask)
    for name in ("a", "b"):
        assert (tmp_path / "run" / name).stat().st_mode & 0o777 == 0o640


def test_create_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """exFAT and FUSE mounts answer EPERM; such a file system cannot be made here without root."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    blobs = Blobs.open(str(tmp_path))
    assert blobs.create("lease.json", b"first") is True
    assert blobs.create("lease.json", b"second") is False
    assert blobs.get("lease.json") == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["lease.json"]


def test_a_short_object_is_removed_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = os.fsync

    def refuse_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def full_at_the_second(file: int) -> None:
        monkeypatch.setattr(os, "fsync", refuse)
        synced(file)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    blobs = Blobs.open(str(tmp_path))
    monkeypatch.setattr(os, "link", refuse_links)
    monkeypatch.setattr(os, "fsync", full_at_the_second)
    with pytest.raises(StoreError, match="No space left"):
        blobs.create("lease.json", b"mine")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    blobs = Blobs.open(str(small_disk / "run"))
    blobs.put("clips/a.mp4", b"x" * 600_000)
    for write in (blobs.put, blobs.create):
        with pytest.raises(StoreError, match=r"No space left on device; make room there") as caught:
            write("clips/b.mp4", b"y" * 600_000)
        assert caught.value.kind == "disk_full" and not caught.value.passing
    assert dict(blobs.list()) == {"clips/a.mp4": 600_000}
    assert [path.name for path in (small_disk / "run" / "clips").iterdir()] == ["a.mp4"]
    blobs.delete(["clips/a.mp4"])
    blobs.put("clips/b.mp4", b"y" * 600_000)


def test_a_disk_that_cannot_be_written(small_disk: Path) -> None:
    blobs = Blobs.open(str(small_disk / "run"))
    blobs.put("a", b"")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(
        StoreError, match="Read-only file system; mount it so that it can be written"
    ) as caught:
        blobs.put("b", b"")
    assert caught.value.kind == "read_only" and not caught.value.passing
    with pytest.raises(InputError, match="cannot be written: Read-only file system"):
        blobs.check_writable()
    assert blobs.get("a") == b""


SEGMENT = st.text("abc-_~. ", min_size=1, max_size=6).filter(lambda text: not text.startswith("."))
KEY = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)


@settings(deadline=None)  # it waits for a disk
@given(
    st.lists(st.tuples(st.sampled_from(["put", "create", "delete"]), KEY, st.binary(max_size=8)), max_size=12)
)
def test_a_folder_behaves_like_a_dictionary(steps: list[tuple[str, str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        blobs, model = Blobs.open(folder), dict[str, bytes]()
        for do, key, data in steps:
            if any(other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in model):
                continue  # an object and a folder of one name: no key of a run is a prefix of another
            if do == "put":
                if Path(folder, key).is_dir():
                    continue
                blobs.put(key, data)
                model[key] = data
            elif do == "create":
                if Path(folder, key).is_dir():
                    continue
                assert blobs.create(key, data) is (model.setdefault(key, data) == data)
            elif not Path(folder, key).is_dir():
                blobs.delete([key])
                model.pop(key, None)
        assert dict(blobs.list()) == {key: len(data) for key, data in model.items()}
        assert {key: blobs.get(key) for key in model} == model


def test_trying_out_whether_versions_are_heeded_leaves_nothing_behind(tmp_path: Path) -> None:
    blobs = Blobs.open(str(tmp_path / "run"))
    assert blobs.can_replace()
    assert list((tmp_path / "run").iterdir()) == []
