"""The card of a learned scorer: scorer.yaml beside its weights, which says what goes in and what comes out.

Invariant: what a card says holds for the files beside it, and is checked without loading them: neither torch nor
OpenCV is imported here, so that a plan can name the dimension, or refuse the folder, at once.
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from farm.documents import Document, read_yaml, validate
from farm.errors import InputError
from farm.score.dimensions import DIMENSIONS, Dimension

CARD = "scorer.yaml"
TORCHSCRIPT = (".pt", ".ts")
HEAD = ".safetensors"
_SIDES_PX = (16, 1024)
_MAX_ASPECT = 4
_POINTER = b"version https://git-lfs"


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        raise ValueError("a dimension's name is up to 40 of a-z, 0-9 and _, a letter first")
    if any(value == dimension.name for dimension in DIMENSIONS):
        raise ValueError("the scorer has a dimension of that name already")
    return value


def _says(value: str) -> str:
    if value != value.strip() or not value.isprintable():
        raise ValueError("expected a few words on one line")
    return value


def _file(value: str) -> str:
    if value in ("", ".", "..") or "/" in value or "\\" in value:
        raise ValueError("expected the name of a file in this folder")
    return value


def _torchscript(value: str) -> str:
    if Path(value).suffix not in TORCHSCRIPT:
        raise ValueError(f"allowed: {', '.join(TORCHSCRIPT)} (TorchScript){_why_not(value)}")
    return value


def _weights(value: str) -> str:
    if Path(value).suffix not in (*TORCHSCRIPT, HEAD):
        raise ValueError(f"allowed: {', '.join(TORCHSCRIPT)} (TorchScript), {HEAD}{_why_not(value)}")
    return value


def _why_not(value: str) -> str:
    # torch.load is pickle; torch.export.load of 2.13 falls back to pickle, and evaluates its symbolic shapes.
    runs_code = Path(value).suffix in (".pt2", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
    return "; a file of this kind can run code of its own when it is loaded" if runs_code else ""


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("expected 64 of 0-9 and a-f")
    return value


def _size(value: int | str) -> int | str:
    sides = [value] if isinstance(value, int) else [int(side) for side in re.findall(r"[0-9]+", value[:20])]
    written = isinstance(value, int) or re.fullmatch("[0-9]+x[0-9]+", value)
    if not written or not all(_SIDES_PX[0] <= side <= _SIDES_PX[1] for side in sides):
        raise ValueError(
            "expected the short edge, such as 224, or WIDTHxHEIGHT, such as 224x224, "
            f"each {_SIDES_PX[0]} to {_SIDES_PX[1]}"
        )
    return value


Number = Annotated[float, Field(ge=-1e6, le=1e6)]
File = AfterValidator(_file)
Sha256 = Annotated[str, AfterValidator(_sha256)]
Three = Field(min_length=3, max_length=3)  # R, G, B


class Card(Document):
    """What is written in a scorer.yaml.

    The network sees RGB in 0..1, less `mean`, over `std`. It gives raw numbers: `good` is the one at which, and beyond
    which, nothing is wrong; at `limit` a take is broken. Whichever of the two is higher says which way is better.

    `input`: `clip`: one call with (frames, 3, H, W), one number for the take; `frames`: the same call, a number for
    each frame; `pair`: the still beside them as a second argument of the same shape, a number for each frame.
    """

    name: Annotated[str, AfterValidator(_name)]
    says: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_says)]
    weights: Annotated[str, File, AfterValidator(_weights)]
    sha256: Sha256 | None = None
    backbone: Annotated[str, File, AfterValidator(_torchscript)] | None = None
    backbone_sha256: Sha256 | None = None
    input: Literal["clip", "frames", "pair"]
    frames: int = Field(8, ge=2, le=64)
    size_px: Annotated[int | str, AfterValidator(_size)]
    mean: Annotated[list[Number], Three] = Field([0.0, 0.0, 0.0])
    std: Annotated[list[Annotated[float, Field(ge=1e-3, le=1e6)]], Three] = Field([1.0, 1.0, 1.0])
    good: Number
    limit: Number

    @model_validator(mode="after")
    def _consistent(self) -> "Card":
        if self.good == self.limit:
            raise ValueError(f"good and limit are both {self.good:g}; one of them has to be higher")
        if self.is_head and self.backbone is None:
            raise ValueError(f"backbone: is required: {HEAD} holds the head alone")
        if not self.is_head and self.backbone is not None:
            raise ValueError(f"backbone: is for weights in {HEAD}; TorchScript holds the whole network")
        if self.backbone is None and self.backbone_sha256 is not None:
            raise ValueError("backbone_sha256: there is no backbone")
        return self

    @property
    def is_head(self) -> bool:
        return Path(self.weights).suffix == HEAD

    @property
    def dimension(self) -> Dimension:
        """Its unit is its own limit: 0 is good, 1 is broken. A number for the whole take has no time."""
        return Dimension(self.name, 1.0, self.says, timed=self.input != "clip")

    def cover_px(self, width_px: int, height_px: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """How a picture becomes an input: (width, height) it is scaled to, and those of its middle that is kept.

        WIDTHxHEIGHT is covered and what hangs over is cropped; a short edge keeps the whole picture, smaller if its
        long edge would be more than 4 times `size_px`.
        """
        if isinstance(self.size_px, int):
            short, long = sorted((width_px, height_px))
            scale = min(self.size_px / short, _MAX_ASPECT * self.size_px / long)
            scaled = max(1, round(width_px * scale)), max(1, round(height_px * scale))
            return scaled, scaled
        width, height = (int(side) for side in self.size_px.split("x"))
        scale = max(width / width_px, height / height_px)
        return (max(width, round(width_px * scale)), max(height, round(height_px * scale))), (width, height)


def read_card(folder: Path) -> Card:
    """The card of a folder, whose files are there and have the sums it gives.

    Raises InputError, with one line, for anything else.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except FileNotFoundError:
        raise InputError(f"{folder}: no such folder; a learned scorer is a folder with {CARD}") from None
    except NotADirectoryError:
        raise InputError(f"{folder}: is no folder; a learned scorer is a folder with {CARD}") from None
    except OSError as e:
        raise InputError(f"{folder}: cannot be read: {e.strerror}") from e
    where = folder / CARD
    if CARD not in names:
        raise InputError(f"{where}: no such file; it says what a learned scorer's network takes and gives")
    card = validate(Card, read_yaml(where), where=str(where))
    files = [("weights", card.weights, card.sha256), ("backbone", card.backbone, card.backbone_sha256)]
    for key, name, expected in files:
        if name is None:
            continue
        if name not in names:
            there = ", ".join(other for other in names if other != CARD) or "nothing"
            raise InputError(f"{where}: {key}={name!r}: no such file in this folder; beside it: {there}")
        _check_file(
            folder / name, expected, f"{where}: {'sha256' if key == 'weights' else 'backbone_sha256'}"
        )
    if card.is_head and find_spec("safetensors") is None:
        raise InputError(
            f"{folder / card.weights}: needs a package that is not installed: pip install 'circletake[learned]'"
        )
    return card


def _check_file(path: Path, expected: str | None, where: str) -> None:
    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise InputError(f"{path}: a pointer of Git LFS, not the weights; run git lfs pull")
            file.seek(0)
            found = hashlib.file_digest(file, "sha256").hexdigest() if expected else None
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    if found != expected:
        raise InputError(f"{where}={expected}: {path.name} has {found}")
