"""A run's store held against its rows, its selects and its job.

Invariant: nothing is written here, and no object is believed: clips are read. Memory grows with what is wrong; besides
it there are an id for a take, nine bytes for an object under `clips/`, and the keys of the selects and of the outcomes
that wait to be gathered.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import numpy as np

from farm.recorded import Recorded, read_job_record
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.selects import selects_schema
from farm.values import Status
from farm.verify.findings import Cure, Findings, Row
from farm.verify.look import look, names_its_own, pictures
from farm.verify.rows import NO_PARQUET, get, in_threads, rows, table

# What may lie in a run's folder, beside the objects of takes.
_OWN = re.compile(
    r"(job|summary|lease)\.json|selects\.parquet|stills/part-\d{8}\.parquet"
    r"|takes/part-\d{8}(-[0-9a-f]{8})?\.parquet|outcomes/[0-9a-f]{32}\.json"
)
# Only what is named like the farm's own can be an orphan: what people put beside it is never deleted.
_OBJECT = re.compile(rf"{layout.CLIPS}[^/]+/[^/]+/[^/]+/-?\d+-([0-9a-f]{{8}})(\.mp4|\.webp|\.strip\.webp)")

Watch = Callable[[int, int], None]  # rows looked at, and clips that are there


def scan(blobs: Blobs, *, decode: int | None, watch: Watch = lambda done, of: None) -> Findings:
    """All that is wrong with a run. About `decode` of its clips are decoded, None: all; always the same ones.

    All clips are read and held against size and SHA-256. While a run goes on, what its workers are about to commit
    looks like orphans. Raises InputError where there is no run, StoreError.
    """
    recorded = read_job_record(blobs)
    found = Findings()
    # First what is there, then what names it: what is committed meanwhile is no orphan.
    listed = _Listed(_objects(blobs, found))
    found.objects = len(listed)
    selects = _Selects(blobs, found)
    lost: set[str] = set()  # takes whose rows do not name their own objects: who knows what is theirs
    share = 1.0 if decode is None else min(1.0, decode / max(1, listed.clips))

    def due() -> Iterator[tuple[Row, bool]]:
        for row in rows(blobs, found):
            _check_names(row, recorded, found)
            selects.meet(row)
            listed.name(row.clip_uri, *pictures(row))
            if row.status != Status.FAILED and not names_its_own(row):
                lost.add(row.take_id[:8])
            # A take's id is a digest: its first digits draw lots, and draw the same ones every time.
            sampled = int(row.take_id[:8], 16) < share * 2**32 and row.status != Status.FAILED
            found.sampled += sampled
            yield row, sampled

    def there(key: str) -> bool:
        return key in listed or blobs.exists(key)

    answers = in_threads(lambda one: look(blobs, one[0], there, decode=one[1]), due())
    for looked, problems in enumerate(answers, 1):
        found.problems += problems
        watch(looked, listed.clips)
    selects.close()
    if not found.blind and not listed.all_named:
        for key, _ in blobs.list(layout.CLIPS):
            if listed.is_orphan(key) and (take := _OBJECT.fullmatch(key)) and take[1] not in lost:
                found.say("orphan", key, None, "no row and no outcome names it", Cure.DELETE)
    return found


class _Listed:
    """The objects under `clips/` as digests of their keys, and which of them somebody named.

    A digest has 64 bits; where two met, an orphan would stay unseen, no more.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        digests, self.clips = bytearray(), 0
        for key in keys:
            digests += _digest(key)
            self.clips += key.endswith(".mp4")
        self._digests = np.unique(np.frombuffer(bytes(digests), dtype=np.uint64))
        self._named = np.zeros(len(self._digests), dtype=bool)

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, key: str) -> bool:
        return self._at(key) is not None

    @property
    def all_named(self) -> bool:
        return bool(self._named.all())

    def name(self, *keys: str | None) -> None:
        for key in keys:
            at = self._at(key) if key else None
            if at is not None:
                self._named[at] = True

    def is_orphan(self, key: str) -> bool:
        at = self._at(key)
        return at is not None and not self._named[at]

    def _at(self, key: str) -> int | None:
        wanted = np.frombuffer(_digest(key), dtype=np.uint64)[0]
        at = int(np.searchsorted(self._digests, wanted))
        return at if at < len(self._digests) and self._digests[at] == wanted else None


class _Selects:
    """The circled takes, each until its row is met."""

    def __init__(self, blobs: Blobs, found: Findings) -> None:
        self._found = found
        self._clips: dict[str, str | None] = {}
        data = get(blobs, layout.SELECTS)
        if data is None:
            if blobs.exists(layout.SUMMARY):
                found.say("missing", layout.SELECTS, None, "a session came to its end", Cure.SELECTS)
            return
        try:
            told = table(data, selects_schema, needed=("take_id", "clip_uri")).to_pylist()
        except NO_PARQUET as e:
            found.say("undecodable", layout.SELECTS, None, f"no Parquet of selects: {e}", Cure.SELECTS)
            return
        self._clips = {row["take_id"]: row["clip_uri"] for row in told if row["take_id"]}

    def meet(self, row: Row) -> None:
        if row.take_id not in self._clips:
            return
        clip_uri = self._clips.pop(row.take_id)
        if row.status != Status.KEPT:
            self._say(row.take_id, f"names a take that is {row.status}")
        elif clip_uri != row.clip_uri:
            self._say(row.take_id, f"names {clip_uri}, the take's row {row.clip_uri}")

    def close(self) -> None:
        """Says which selects met no row; where rows could not be read that means nothing."""
        for take_id in () if self._found.blind else self._clips:
            self._say(take_id, "names a take that has no row")

    def _say(self, take_id: str, detail: str) -> None:
        self._found.say("select", layout.SELECTS, take_id, detail, Cure.SELECTS)


def _objects(blobs: Blobs, found: Findings) -> Iterator[str]:
    """The keys of takes' objects; what is nobody's is told."""
    for key, _ in blobs.list():
        if _OBJECT.fullmatch(key):
            yield key
        elif not _OWN.fullmatch(key):
            found.say("stray", key, None, "no object of a run", Cure.NONE)


def _check_names(row: Row, recorded: Recorded, found: Findings) -> None:
    for name, known in ((row.motion_id, recorded.motions), (row.model, recorded.models)):
        if name not in known:
            found.say("unknown", row.source, row.take_id, f"{layout.JOB} names no {name}", Cure.NONE)


def _digest(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
