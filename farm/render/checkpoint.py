"""A folder with a model in it: what can be said of it without loading it, and refused.

Invariant: only small JSON files and the ends of large ones are read; nothing in the folder is ever executed.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import InputError
from farm.render.family import Family

_WHOLE_BYTES = (
    1 << 20
)  # files up to this size are read whole for the revision; of larger ones, so much at both ends
_WEIGHTS = {".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`revision` is a digest of the folder; `sizes` (width, height) what its denoiser is bound to, where it is."""

    folder: Path
    revision: str
    sizes: tuple[tuple[int, int], ...] | None

    @classmethod
    def read(cls, folder: Path, family: Family, *, said: str) -> "Checkpoint":
        """Raises InputError, starting with `said`, for a folder that diffusers could not load as this family."""
        if not folder.is_dir():
            raise InputError(f"{said}: there is no such folder")
        index = _json(folder / "model_index.json", said)
        if "_class_name" not in index:
            raise InputError(f"{said}: model_index.json names no pipeline; expected a diffusers model")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path for path in files if path.suffix in _WEIGHTS]
        if names and not any(path.suffix == ".safetensors" for path in files):
            raise InputError(
                f"{said}: {names[0].name}: only safetensors weights are loaded; convert them first"
            )
        return cls(folder, _digest(folder, files), _sizes(folder, family, said))


def _json(path: Path, said: str) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{said}: no {path.name} in it; expected a diffusers model") from None
    except (OSError, ValueError) as e:
        raise InputError(f"{said}: {path.name} cannot be read: {e}") from e
    if not isinstance(read, dict):
        raise InputError(f"{said}: {path.name} is not a mapping; expected a diffusers model")
    return read


def _digest(folder: Path, files: list[Path]) -> str:
    """Twelve digits from names, sizes and content; of large files, from the first and the last megabyte only."""
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_WHOLE_BYTES))
            if size > _WHOLE_BYTES:
                file.seek(-min(_WHOLE_BYTES, size - _WHOLE_BYTES), os.SEEK_END)
                digest.update(file.read())
    return f"local-{digest.hexdigest()[:12]}"


def _sizes(folder: Path, family: Family, said: str) -> tuple[tuple[int, int], ...] | None:
    """CogVideoX 1.0 has learned positions: its transformer takes the latent size it was made with, no other."""
    config = folder / "transformer" / "config.json"
    if not family.fixed_size or not config.is_file():
        return None
    transformer, vae = _json(config, said), _json(folder / "vae" / "config.json", said)
    if "sample_width" not in transformer:
        return None
    factor = 2 ** (len(vae.get("block_out_channels", (0,) * 4)) - 1)
    return ((transformer["sample_width"] * factor, transformer["sample_height"] * factor),)
