"""A model at a URL, brought to this machine once: `models/<revision>` in the cache holds a whole, checked copy.

Invariant: what stands under a revision's own name is whole; what is being made is a `.partial` beside it. One process
makes it, whoever else wants it waits for the lock and finds it done. What was mirrored is checked before it is used.
"""

import hashlib
import json
import os
import re
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from farm.errors import InputError
from farm.redact import redact
from farm.render.listing import INDEX, WHOLE_BYTES, File, Folder, Remote, digest, read_json, wanted

NOTES = "mirror.json"
_BLOCK_BYTES = 8 << 20
_STREAMS = 4  # files that come at once
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class _Note:
    size: int
    sha256: str


def cache_root() -> Path:
    """Where mirrors live: $FARM_CACHE, else ~/.cache/circletake."""
    asked = os.environ.get("FARM_CACHE")
    return Path(asked).expanduser() if asked else Path.home() / ".cache" / "circletake"


def mirror_of(revision: str) -> Path:
    """The folder that a mirror of this revision has, whether it is there or not."""
    return cache_root() / "models" / revision


def mirrored(url: str, revision: str, *, said: str) -> Path:
    """The folder of a whole copy of what lies at `url`, whose digest is `revision`.

    Raises InputError, starting with `said`, where it cannot be read, was changed, is damaged, or does not fit here.
    """
    home = mirror_of(revision)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(home.with_name(f"{revision}.lock")):
            if not _is_sound(home):
                _make(Remote(url, said), home, revision, redact(url))
    except OSError as e:
        raise InputError(f"{said}: cannot be mirrored to {home}: {e.strerror or type(e).__name__}") from e
    return home


def _make(place: Remote, home: Path, revision: str, url: str) -> None:
    partial = home.with_name(f"{home.name}.partial")
    if home.exists():
        shutil.rmtree(partial, ignore_errors=True)
        home.rename(partial)
    partial.mkdir(exist_ok=True)
    files = place.files()
    files = wanted(files, read_json(place, INDEX))
    notes = _notes(partial)
    missing = [file for file in files if not _is_whole(partial, file.name, notes.get(file.name), file.size)]
    _check_room(place.said, home, missing)
    # Not every file system takes more than one caller at a time; those that are asynchronous inside do.
    with ThreadPoolExecutor(_STREAMS if place.system.async_impl else 1) as pool:
        for file, note in zip(
            missing, pool.map(lambda one: _copied(place, one, partial), missing), strict=True
        ):
            notes[file.name] = note
            _write_notes(partial, url, {one.name: notes[one.name] for one in files if one.name in notes})
    _write_notes(partial, url, {file.name: notes[file.name] for file in files})
    if digest(Folder(partial, place.said), files) != revision:
        shutil.rmtree(partial)
        raise InputError(
            f"{place.said}: was changed since the job was planned; run the same command again for what is there now"
        )
    partial.rename(home)


def _copied(place: Remote, file: File, partial: Path) -> _Note:
    """One file brought here and checked. An ETag that is no MD5 of the content is told by its staying the same."""
    target = partial / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    coming = target.with_name(f"{target.name}.part")
    before = ""
    while True:
        size, sha256, md5 = _streamed(place, file.name, coming)
        fault = f"has {size} bytes, {file.size} were listed" if size != file.size else weights_fault(coming)
        if fault:
            coming.unlink()
            raise InputError(f"{place.said}: {file.name} {fault}")
        # Encrypted objects have ETags that look like an MD5 and are none: twice the same bytes are the content.
        if not _MD5.fullmatch(file.etag) or md5 == file.etag or sha256 == before:
            break
        if before:
            coming.unlink()
            raise InputError(
                f"{place.said}: {file.name} came in two versions; its transfer is not to be trusted"
            )
        before = sha256
    coming.rename(target)
    return _Note(size, sha256)


def _streamed(place: Remote, name: str, target: Path) -> tuple[int, str, str]:
    """(bytes, SHA-256, MD5) of what came, which is in `target`, on the disk."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with target.open("wb") as copy:
        for block in place.blocks(name, _BLOCK_BYTES):
            sha256.update(block)
            md5.update(block)
            size += copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return size, sha256.hexdigest(), md5.hexdigest()


def weights_fault(path: Path) -> str | None:
    """What is wrong with a safetensors file, from its header alone; None for any other file."""
    if ".safetensors" not in path.suffixes or ".json" in path.suffixes:
        return None
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            return "is no safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return "is no safetensors file"
    expected = 8 + length + max(ends, default=0)
    return None if size == expected else f"has {size} bytes, {expected} by its header"


def _is_sound(home: Path) -> bool:
    """Whether a mirror is what its notes say: sizes of all files, sums of the small ones."""
    notes = _notes(home)
    return INDEX in notes and all(_is_whole(home, name, note, note.size) for name, note in notes.items())


def _is_whole(folder: Path, name: str, note: _Note | None, size: int) -> bool:
    path = folder / name
    if note is None or note.size != size or not path.is_file() or path.stat().st_size != size:
        return False
    return size > WHOLE_BYTES or hashlib.sha256(path.read_bytes()).hexdigest() == note.sha256


def _notes(folder: Path) -> dict[str, _Note]:
    """What was noted of the files in a mirror; nothing where the notes are missing or torn."""
    try:
        found = json.loads((folder / NOTES).read_text("utf-8"))
        return {name: _Note(**note) for name, note in found["files"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_notes(folder: Path, url: str, notes: dict[str, _Note]) -> None:
    text = json.dumps({"url": url, "files": {name: asdict(note) for name, note in notes.items()}}, indent=1)
    coming = folder / f"{NOTES}.part"
    coming.write_text(text, "utf-8")
    coming.rename(folder / NOTES)


def _check_room(said: str, home: Path, missing: list[File]) -> None:
    needed, free = sum(file.size for file in missing), shutil.disk_usage(home.parent).free
    if needed > free:
        raise InputError(
            f"{said}: {needed / 2**30:.1f} GiB do not fit into {home.parent}, where {free / 2**30:.1f} GiB are free; "
            "set FARM_CACHE to a larger place"
        )
