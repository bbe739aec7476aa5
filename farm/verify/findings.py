"""What a verification may find, in stable words, and what a repair does about it.

Words: `missing` (a row names an object that is not there), `truncated` and `altered` (a clip is shorter than its row
says, or has another SHA-256), `undecodable` (a clip, picture, part, outcome or the selects cannot be read, or show
something else than their row says), `mislabelled` (a row or a clip names another take), `orphan` (an object of a take
that no row and no outcome names), `doubled` (a take has two rows), `stray` (an outcome that is gathered already, or no
object of a run), `select` (the selects and the rows disagree), `unknown` (job.json has no such motion or model).

Invariant: a problem is told once, with its key; what is done about it depends on its cure alone.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from farm.trim.provenance import clean


class Cure(StrEnum):
    """What a repair does about a problem, as it tells afterwards."""

    NONE = ""
    RENDER = "row taken out: farm run renders it again where its shot deserves it"
    REMAKE = "made again from the clip"
    UNDOUBLE = "second row taken out"
    REMOVE = "removed"
    SELECTS = "selects written again"
    DELETE = "deleted"


@dataclass(frozen=True, slots=True)
class Row:
    """What is read of a row of the manifest or, with `number` -1, of an outcome: `source` is the key it stands in."""

    source: str
    number: int
    take_id: str
    status: str | None
    motion_id: str | None
    model: str | None
    clip_uri: str | None
    poster_uri: str | None
    clip_sha256: str | None
    clip_bytes: int | None
    span_start: int | None
    span_stop: int | None
    fps: float | None
    width_px: int | None
    height_px: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """`row` is the one that is at fault, where one is. `done` says what a repair did; empty: nothing."""

    word: str
    key: str
    take_id: str | None
    detail: str
    cure: Cure
    row: Row | None = None
    done: str = ""

    def as_json(self) -> dict[str, str | None]:
        # Names of files and text in rows are anybody's: no control character of theirs gets to a terminal.
        return {
            "word": self.word,
            "key": clean(self.key),
            "take_id": self.take_id,
            "detail": clean(self.detail),
            "done": self.done,
        }


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong.

    `blind`: rows could not be read, so nobody knows what is an orphan. `pending` outcomes stand in no part yet, which
    is no fault: the next driver gathers them. `sampled` clips were to be decoded, if they are what their rows name.
    """

    parts: int = 0
    takes: int = 0
    pending: int = 0
    objects: int = 0
    sampled: int = 0
    blind: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Problems that nobody has mended."""
        return sum(not problem.done for problem in self.problems)

    def say(
        self, word: str, key: str, take_id: str | None, detail: str, cure: Cure, row: Row | None = None
    ) -> None:
        self.problems.append(Problem(word, key, take_id, detail, cure, row))

    def as_json(self) -> dict[str, object]:
        counts = {
            name: getattr(self, name) for name in ("parts", "takes", "pending", "objects", "sampled", "left")
        }
        return counts | {"problems": [problem.as_json() for problem in self.problems]}
