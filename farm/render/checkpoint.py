"""What can be said of a model's files without loading them, and refused.

Invariant: only small JSON files and the ends of large ones are read; nothing of the model is ever executed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from farm.errors import InputError
from farm.render.listing import INDEX, File, Folder, Place, components, digest, read_json, wanted

_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`index` is model_index.json, `configs` each component's config.json. `revision` is the files' digest, where
    all of them are there to be digested."""

    said: str
    index: Mapping[str, Any]
    configs: Mapping[str, Mapping[str, Any]]
    revision: str | None = None

    @classmethod
    def read(cls, place: Place) -> "Checkpoint":
        """Raises InputError for what diffusers could not load from here, or only by running its code."""
        files = place.files()
        index = _index(place, files)
        chosen = wanted(files, index)
        pickled = [file for file in files if PurePosixPath(file.name).suffix in _PICKLES]
        if pickled and not any(file.name.endswith(".safetensors") for file in chosen):
            name = PurePosixPath(pickled[0].name).name
            raise InputError(f"{place.said}: {name}: only safetensors weights are loaded; convert them first")
        return cls(place.said, index, _configs(place, files, index), digest(place, chosen))

    @classmethod
    def glance(cls, place: Place) -> "Checkpoint":
        """Its index and configs alone, where weights need not be. Raises InputError."""
        files = place.files()
        index = _index(place, files)
        return cls(place.said, index, _configs(place, files, index))

    @property
    def pipeline(self) -> str:
        return str(self.index["_class_name"])

    @property
    def bound_size(self) -> tuple[int, int] | None:
        """(width, height) of a CogVideoX 1.0: it has learned positions, and takes the size it was made with only."""
        transformer, vae = self.configs.get("transformer", {}), self.configs.get("vae", {})
        if not {"sample_width", "sample_height"} <= transformer.keys():
            return None
        factor = 2 ** (len(vae.get("block_out_channels", (0,) * 4)) - 1)
        return transformer["sample_width"] * factor, transformer["sample_height"] * factor


def weights_bytes(folder: Path) -> int | None:
    """Bytes of the safetensors that are loaded from a folder; None where it holds no model, or not all of it."""
    place = Folder(folder, str(folder))
    try:
        files = place.files()
        index = _index(place, files)
        chosen = wanted(files, index)
        whole = _is_whole(place, chosen, index)
    except InputError:
        return None
    return sum(file.size for file in chosen if file.name.endswith(".safetensors")) if whole else None


def _is_whole(place: Place, files: Sequence[File], index: Mapping[str, Any]) -> bool:
    """Whether each component that has a config.json has its weights, all shards of them."""
    names = {file.name for file in files}
    shards = [name for name in names if name.endswith(".safetensors.index.json")]
    for name in shards:
        folder = name.rpartition("/")[0]
        if any(f"{folder}/{shard}" not in names for shard in read_json(place, name)["weight_map"].values()):
            return False
    return all(
        any(name.startswith(f"{part}/") and name.endswith(".safetensors") for name in names)
        if f"{part}/config.json" in names
        else any(name.startswith(f"{part}/") for name in names)
        for part in components(index)
    )


def _index(place: Place, files: Sequence[File]) -> dict[str, Any]:
    if not any(file.name == INDEX for file in files):
        raise InputError(f"{place.said}: no {INDEX} in it; expected a diffusers model")
    index = read_json(place, INDEX)
    if "_class_name" not in index:
        raise InputError(f"{place.said}: {INDEX} names no pipeline; expected a diffusers model")
    if not isinstance(index["_class_name"], str):
        raise InputError(
            f"{place.said}: its pipeline is code of its own, which is never run; expected one of diffusers' pipelines"
        )
    return index


def _configs(place: Place, files: Sequence[File], index: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    names = {file.name for file in files}
    return {
        part: read_json(place, f"{part}/config.json")
        for part in components(index)
        if f"{part}/config.json" in names
    }
