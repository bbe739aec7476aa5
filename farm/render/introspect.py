"""Of which family a checkpoint is, read off its index and configs; and whether it is of the family it is said to be.

Invariant: nothing is loaded and no network asked; what a config does not say is held neither for nor against it.
"""

from collections.abc import Iterable, Mapping

from farm.render.checkpoint import Checkpoint
from farm.render.family import Family

_IMAGE_CHANNELS = "image_channels"


def recognised(checkpoint: Checkpoint, families: Iterable[Family]) -> Family | None:
    """The first family whose checkpoint this could be; None where there is none."""
    return next((family for family in families if strangeness(checkpoint, family) is None), None)


def strangeness(checkpoint: Checkpoint, family: Family) -> str | None:
    """Why a checkpoint is not of a family, in words; None where nothing speaks against it."""
    if checkpoint.pipeline not in (family.pipeline, *family.classes):
        return f"is a {checkpoint.pipeline}"
    for mark, expected in family.marks:
        if _says(checkpoint, mark) is (not expected):
            return f"is a {checkpoint.pipeline} {'without' if expected else 'with'} {mark}"
    return None


def _says(checkpoint: Checkpoint, mark: str) -> bool | None:
    """Yes or no to a mark (see Family); None where nothing is said of it."""
    if mark == _IMAGE_CHANNELS:
        denoiser = checkpoint.configs.get("transformer", {})
        taken, given = denoiser.get("in_channels"), denoiser.get("out_channels")
        return taken > given if isinstance(taken, int) and isinstance(given, int) else None
    component, _, key = mark.rpartition(".")
    if not component:
        return _is_set(checkpoint.index.get(key))
    config: Mapping[str, object] | None = checkpoint.configs.get(component)
    return None if config is None else _is_set(config.get(key))


def _is_set(value: object) -> bool:
    # A component that is left out is [null, null].
    return any(value) if isinstance(value, list) else value not in (None, False)
