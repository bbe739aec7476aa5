"""A repair that dies at any step: no take stands twice, none is lost, and the same command goes on."""

import threading
from collections.abc import Iterable
from uuid import uuid4

import damaged_runs as damage
import pyarrow as pa
import pytest
from damaged_runs import copy, essence, in_one_part, judged, part, put_part, rows
from small_runs import write_job

from farm.cli import DONE, call
from farm.clock import SystemClock
from farm.errors import StoreError
from farm.store import layout
from farm.store.blobs import Blobs
from farm.store.manifest import Manifest, alone
from farm.verify.repair import repair
from farm.verify.scan import scan


class Dying:
    """A store that answers no write any more after `writes` of them; the last one may arrive all the same."""

    def __init__(self, blobs: Blobs, writes: int, when: str) -> None:
        self._blobs, self._left, self._when = blobs, writes, when
        self._lock = threading.Lock()
        self.url, self.list, self.get, self.get_many = blobs.url, blobs.list, blobs.get, blobs.get_many
        self.exists = blobs.exists

    def put(self, key: str, data: bytes) -> None:
        self._alive(lambda: self._blobs.put(key, data))

    def create(self, key: str, data: bytes) -> bool:
        self._alive(lambda: self._blobs.create(key, data))
        return True

    def delete(self, keys: Iterable[str]) -> None:
        some = list(keys)
        self._alive(lambda: self._blobs.delete(some), half=lambda: self._blobs.delete(some[::2]))

    def _alive(self, do, half=lambda: None) -> None:  # type: ignore[no-untyped-def]
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                do()
                return
            if self._left == -1:
                {"before": lambda: None, "half": half, "after": do}[self._when]()
            raise StoreError("no answer", kind="unreachable")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    folder = tmp_path_factory.mktemp("whole")
    job = write_job(folder, takes={"min": 2, "max": 2})
    assert call(["run", str(job), "--pool", "inline"]) == DONE
    blobs = Blobs.open(str(folder / "run"))
    in_one_part(blobs)
    return copy(blobs, Blobs.open(f"memory://{uuid4().hex}"))


def spoilt(whole: Blobs) -> tuple[Blobs, set[str]]:
    """A run with all that a repair does more than one thing about, and its takes that are whole."""
    blobs = copy(whole, Blobs.open(f"memory://{uuid4().hex}"))
    takes = judged(blobs)
    lost = {takes[0]["take_id"], takes[5]["take_id"]}
    blobs.delete([takes[0]["clip_uri"], takes[5]["clip_uri"], takes[1]["poster_uri"]])
    damage.ungather(blobs, takes[2]["take_id"])
    damage.put_outcome(blobs, takes[3])  # gathered already
    damage.put_outcome(blobs, takes[0])  # likewise, and its clip is not there
    key, table = part(blobs)
    blobs.delete([key])
    first = {row["take_id"] for row in takes[:4]}
    for number, here in enumerate((True, False), 1):
        mask = [(take_id in first) is here for take_id in table.column("take_id").to_pylist()]
        put_part(blobs, number, table.filter(pa.array(mask)))
    return blobs, {row["take_id"] for row in takes} - lost


def mended(blobs: Blobs) -> None:
    repair(blobs, scan(blobs, decode=0), SystemClock(), alone, delete_orphans=False)


@pytest.mark.parametrize("when", ["before", "half", "after"])
def test_a_repair_may_die_at_any_write(whole: Blobs, when: str) -> None:
    schema = part(whole)[1].schema
    expected, _ = spoilt(whole)
    mended(expected)
    deaths = 0
    while True:
        blobs, sound = spoilt(whole)
        clips = damage.clips(blobs)
        found = scan(blobs, decode=0)
        try:
            repair(Dying(blobs, deaths, when), found, SystemClock(), alone, delete_orphans=False)  # type: ignore[arg-type]
        except StoreError:
            deaths += 1
        else:
            break
        ids = [row["take_id"] for row in rows(blobs)]
        outcomes = {layout.take_id_of(key) for key, _ in blobs.list(layout.OUTCOMES)}
        assert len(ids) == len(set(ids)), f"a take stands twice after {deaths} writes"
        assert sound <= {*ids, *outcomes}, f"a take is lost after {deaths} writes"

        # A driver that knows nothing of the repair finds each of them once.
        driver = copy(blobs, Blobs.open(f"memory://{uuid4().hex}"))
        Manifest(driver, schema, SystemClock()).recover()
        known = [row["take_id"] for row in rows(driver)]
        assert len(known) == len(set(known)) and sound <= set(known)

        mended(blobs)
        assert essence(blobs) == essence(expected)
        assert damage.circled(blobs) == damage.circled(expected)
        assert damage.clips(blobs) == clips
        assert scan(blobs, decode=0).left == scan(expected, decode=0).left
    assert deaths > 10
