"""One conformance suite for every store that keeps a run's objects: local, memory, moto's S3 and Ceph's."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from farm.errors import InputError, StoreError
from farm.store.blobs import Blobs


@pytest.fixture
def blobs(output: str) -> Blobs:
    return Blobs.open(output)


def keys(blobs: Blobs, prefix: str = "") -> list[str]:
    return sorted(key for key, _ in blobs.list(prefix))


def test_what_is_put_is_got(blobs: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"a clip")
    blobs.put("clips/a/b/1-abcd.mp4", file)
    blobs.put("job.json", b"{}")
    blobs.put("empty", b"")
    assert blobs.get("clips/a/b/1-abcd.mp4") == b"a clip"
    assert blobs.get("job.json") == b"{}"
    assert blobs.get("empty") == b""
    assert dict(blobs.list()) == {"clips/a/b/1-abcd.mp4": 6, "job.json": 2, "empty": 0}


def test_put_replaces_the_whole(blobs: Blobs) -> None:
    blobs.put("summary.json", b"long content")
    blobs.put("summary.json", b"short")
    assert blobs.get("summary.json") == b"short"
    assert dict(blobs.list()) == {"summary.json": 5}


def test_a_missing_object_is_said_to_be_missing(blobs: Blobs) -> None:
    with pytest.raises(StoreError, match=r"cannot read outcomes/none\.json") as caught:
        blobs.get("outcomes/none.json")
    assert caught.value.kind == "missing"
    assert not blobs.exists("outcomes/none.json")


def test_exists_is_about_objects_not_folders(blobs: Blobs) -> None:
    blobs.put("takes/part-1.parquet", b"x")
    assert blobs.exists("takes/part-1.parquet")
    assert not blobs.exists("takes")
    assert not blobs.exists("takes/part-1")


def test_create_makes_once(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.create("lease.json", b"first") is True
    assert blobs.create("lease.json", b"second") is False
    assert blobs.create("lease.json", b"first") is True, "our own, sent again"
    assert blobs.get("lease.json") == b"first"
    file = tmp_path / "part"
    file.write_bytes(b"from a file")
    assert blobs.create("takes/part-1.parquet", file) is True
    assert blobs.get("takes/part-1.parquet") == b"from a file"
    assert keys(blobs) == ["lease.json", "takes/part-1.parquet"]
    blobs.delete(["lease.json"])
    assert blobs.create("lease.json", b"third") is True


def test_create_has_one_winner_among_threads(blobs: Blobs) -> None:
    start = threading.Barrier(8)

    def attempt(number: int) -> bool:
        start.wait()
        return blobs.create("lease.json", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1
    assert blobs.get("lease.json") == str(won.index(True)).encode()


def test_list_takes_any_prefix_and_sees_what_others_write(blobs: Blobs, output: str) -> None:
    assert keys(blobs, "takes/") == []
    other = Blobs.open(output)
    for key in ("takes/part-1", "takes/part-2", "takes-old/part-1", "clips/a/takes/part-3"):
        other.put(key, b"x")
    assert keys(blobs, "takes/") == ["takes/part-1", "takes/part-2"]
    assert keys(blobs, "takes") == ["takes-old/part-1", "takes/part-1", "takes/part-2"]
    assert keys(blobs, "takes/part-2") == ["takes/part-2"]
    assert keys(blobs, "clips/") == ["clips/a/takes/part-3"]
    other.put("takes/part-4", b"x")
    other.delete(["takes/part-1"])
    assert keys(blobs, "takes/") == ["takes/part-2", "takes/part-4"]
    assert keys(blobs, "nothing/") == []


def test_delete_of_nothing_is_no_error(blobs: Blobs) -> None:
    blobs.put("a", b"1")
    blobs.delete(["a", "b/c"])
    blobs.delete(["a"])
    blobs.delete([])
    assert keys(blobs) == []


def test_get_many_keeps_the_order_and_names_what_is_missing(blobs: Blobs) -> None:
    names = [f"outcomes/{number}" for number in range(40)]
    for name in names:
        blobs.put(name, name.encode())
    wanted = names[::-1]
    assert list(blobs.get_many(wanted)) == [(name, name.encode()) for name in wanted]
    with pytest.raises(StoreError, match="outcomes/none"):
        list(blobs.get_many([*names, "outcomes/none"]))


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../out", "a/../../out", "a/./b", "a//b", "a/", "a\\b", "a\0b", "a\nb", ".hidden"],
)
def test_a_key_never_leaves_its_folder(blobs: Blobs, key: str) -> None:
    for use in (blobs.get, blobs.exists, lambda k: blobs.put(k, b""), lambda k: blobs.create(k, b"")):
        with pytest.raises(ValueError, match="is no key"):
            use(key)
    with pytest.raises(ValueError, match="is no key"):
        blobs.delete(["fine", key])


@pytest.mark.parametrize("key", ["ünï/cödé 漢字.json", "a b/c+d&e=f%20.json", "still~0123456789ab/#1?x"])
def test_unusual_keys_are_kept_as_they_are(blobs: Blobs, key: str) -> None:
    blobs.put(key, b"x")
    assert blobs.get(key) == b"x"
    assert keys(blobs) == [key]
    assert keys(blobs, key[:3]) == [key]
    blobs.delete([key])
    assert keys(blobs) == []


def test_check_writable_leaves_nothing(blobs: Blobs, output: str) -> None:
    blobs.check_writable()
    assert keys(blobs) == []
    if "://" not in output:
        assert not Path(output).parent.exists()


def test_a_copy_sent_elsewhere_is_the_same_place(blobs: Blobs) -> None:
    blobs.put("job.json", b"{}")
    copy = pickle.loads(pickle.dumps(blobs))
    assert copy.get("job.json") == b"{}"
    assert copy.url == blobs.url


# --- URLs ---


def test_s3_without_its_package_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "s3fs.py").write_text("raise ImportError('No module named s3fs')")
    code = (
        "from farm.errors import InputError\nfrom farm.store.blobs import Blobs\n"
        "try:\n    Blobs.open('s3://bucket/run')\nexcept InputError as e:\n    print(e)"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout == (
        "s3://bucket/run: needs a package that is not installed: pip install 'circletake[s3]'\n"
    )


@pytest.mark.parametrize(
    ("url", "said"), [("", "names no place"), ("nosuch://a/b", "nosuch"), ("a\0b", "no place")]
)
def test_a_url_that_names_no_place(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Blobs.open(url)


def test_relative_folders_and_file_urls_are_the_same_place_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = Blobs.open("runs/demo")
    relative.put("job.json", b"{}")
    assert relative.url == "runs/demo"
    elsewhere = pickle.dumps(relative)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert pickle.loads(elsewhere).get("job.json") == b"{}"
    assert Blobs.open(f"file://{tmp_path}/runs/demo").get("job.json") == b"{}"


# --- versions ---


def test_replace_heeds_the_version(blobs: Blobs) -> None:
    assert blobs.replace("lease.json", b"x", "0" * 32) is None, "there is nothing to replace"
    assert not blobs.exists("lease.json")
    blobs.create("lease.json", b"1")
    data, first = blobs.read("lease.json")
    assert data == b"1"
    second = blobs.replace("lease.json", b"2", first)
    assert second is not None and blobs.read("lease.json") == (b"2", second)
    assert blobs.replace("lease.json", b"3", first) is None
    assert blobs.get("lease.json") == b"2"
    assert keys(blobs) == ["lease.json"]
    with pytest.raises(StoreError) as caught:
        blobs.read("none.json")
    assert caught.value.kind == "missing"


def test_replace_has_one_winner_among_threads(blobs: Blobs, output: str) -> None:
    blobs.create("lease.json", b"before")
    _, version = blobs.read("lease.json")
    start = threading.Barrier(8)

    def attempt(number: int) -> str | None:
        own = Blobs.open(output)
        start.wait()
        return own.replace("lease.json", str(number).encode(), version)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    winners = [number for number, one in enumerate(won) if one is not None]
    assert len(winners) == 1
    assert blobs.read("lease.json") == (str(winners[0]).encode(), won[winners[0]])


def test_that_it_can_replace_is_tried_out(blobs: Blobs) -> None:
    assert blobs.can_replace()
    assert keys(blobs) == []


def test_a_store_without_versions_says_so(tmp_path: Path) -> None:
    """Whatever fsspec reaches beside S3: this one keeps its files on this disk."""
    blobs = Blobs.open(f"simplecache::file://{tmp_path}")
    assert not blobs.can_replace()
