"""Takes that were made and could not be stored, kept on a node's own disk until the store is back.

Invariants
- An entry is whole or not there: one file, written, synced and renamed. It holds the objects of one take in the order
  in which they are to be stored, the outcome last.
- An entry leaves only when all its objects are in the store, when somebody else committed the take, or when it
  cannot be read.
- A take that this node was not given is never written over what another made of it.
- No two runs share entries: the folder of a run is named by a digest of its place and its settings, which also tells
  nobody where that is.
"""

import contextlib
import fcntl
import io
import os
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from farm.errors import StoreError
from farm.ids import sha256_hex
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.disk import Disk

MOST_BYTES = 2 * 2**30
MOST_TAKES = 512
FOLDER = "FARM_SPOOL"
"""The environment variable that names another folder than one in the system's temporary one."""

_SUFFIX = ".take"
_HALF = f"{'[0-9a-f]' * 16}/.{'[0-9a-f]' * 32}.tmp"  # of a run's folder, as Disk names what it is writing

Objects: TypeAlias = Sequence[tuple[str, bytes]]  # keys and what is to stand under them


class Spool:
    """What a node keeps for one run, `run` being all that tells it from others. Makes nothing before it must.

    The bounds are for the whole node, all its runs and workers together. OSErrors are the local disk's.
    """

    def __init__(
        self,
        run: str,
        folder: Path | None = None,
        *,
        most_bytes: int = MOST_BYTES,
        most_takes: int = MOST_TAKES,
    ) -> None:
        self.folder = folder or _folder()
        self._run = sha256_hex(run.encode())[:16]
        self._most_bytes = most_bytes
        self._most_takes = most_takes
        self._declined: set[Path] = set()  # offered in vain: another node's clip stands there

    def keep(self, take_id: str, objects: Objects) -> None:
        """Keeps the objects of a take. Raises OSError where there is no room, or no folder of one's own.

        A take that is kept again stands in place of what was kept before.
        """
        packed = _packed(objects)
        _make_own(self.folder)
        with _locked(self.folder):
            # Whoever writes holds the lock, so what is half-written now was left by the dead.
            for left in self.folder.glob(_HALF):
                left.unlink(missing_ok=True)
            sizes = [size for path in self.folder.glob(f"*/*{_SUFFIX}") if (size := _bytes_of(path))]
            if sum(sizes) + len(packed) > self._most_bytes or len(sizes) >= self._most_takes:
                raise OSError(
                    f"the spool is full: {self.folder} holds {len(sizes)} takes, {sum(sizes)} bytes; "
                    f"allowed: {self._most_takes} takes, {self._most_bytes} bytes"
                )
            Disk(self.folder).put(f"{self._run}/{take_id}{_SUFFIX}", packed)
        self._declined.discard(self._path(take_id))

    def deliver(self, take_id: str, blobs: Blobs) -> bytes | None:
        """Stores a take that this node was given again, and returns its outcome's bytes; None where none is kept.

        Raises StoreError; the entry stays then.
        """
        path = self._path(take_id)
        objects = _unpacked(path) if _is_own(self.folder) else None
        if objects is None:
            return None
        for key, data in objects:
            blobs.put(key, data)
        path.unlink(missing_ok=True)
        return objects[-1][1]

    def offer(self, blobs: Blobs, beat: Callable[[int], None]) -> None:
        """Stores every take that is kept, unless somebody else has; `beat` is told, before each, how many are done.

        Raises StoreError where the store is away or shut, so that nothing is rendered that it would not take.
        """
        for done, path in enumerate(self._paths()):
            beat(done)
            with _claimed(path) as mine:
                if mine and _offered(path, blobs):
                    path.unlink(missing_ok=True)
                elif mine:
                    self._declined.add(path)

    def _path(self, take_id: str) -> Path:
        return self.folder / self._run / f"{take_id}{_SUFFIX}"

    def _paths(self) -> list[Path]:
        if not _is_own(self.folder):
            return []
        return sorted(set((self.folder / self._run).glob(f"[!.]*{_SUFFIX}")) - self._declined)


def _offered(path: Path, blobs: Blobs) -> bool:
    """Whether the entry has done its service."""
    objects = _unpacked(path)
    if objects is None:
        return False
    try:
        if blobs.exists(objects[-1][0]):
            return True
        # Another node may have rendered the take since and its row may name what stands there.
        return all(blobs.create(key, data) for key, data in objects)
    except StoreError as e:
        if e.kind in {"missing", "other"}:
            return False  # this entry's trouble, not the store's
        raise


def _bytes_of(path: Path) -> int:
    """0 for an entry that has been delivered since it was listed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _packed(objects: Objects) -> bytes:
    packed = io.BytesIO()
    # Its checksums tell an entry that a disk has spoiled.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for key, data in objects:
            archive.writestr(key, data)
    return packed.getvalue()


def _unpacked(path: Path) -> Objects | None:
    """The objects of an entry; None where there is none that can be read. One that is spoiled is removed."""
    try:
        with zipfile.ZipFile(path) as archive:
            objects = [(name, archive.read(name)) for name in archive.namelist()]
    except OSError:
        return None
    except zipfile.BadZipFile:
        objects = []
    if not objects or layout.take_id_of(objects[-1][0]) != path.name.removesuffix(_SUFFIX):
        path.unlink(missing_ok=True)
        return None
    return objects


def _folder() -> Path:
    named = os.environ.get(FOLDER)
    return Path(named) if named else Path(tempfile.gettempdir(), f"circletake-spool-{os.geteuid()}")


def _make_own(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own(folder):
        raise PermissionError(f"{folder} is not a folder of this user alone (mode 0700)")


def _is_own(folder: Path) -> bool:
    """The temporary folder is everybody's: what somebody else put there under our name is neither read nor used."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer on a node at a time; a lock ends with the process that holds it."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether nobody else stores this entry right now. It spares work; storing one twice harms nothing."""
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
