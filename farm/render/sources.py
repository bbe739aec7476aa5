"""Where a model's files come from: a folder, a URL, a repository; and the one folder that a renderer loads.

Invariant: the folder that `fetched` gives holds what the plan was made for: where a revision is a digest of content,
it is the digest of what is there now.
"""

from pathlib import Path

from farm.catalog.naming import is_url
from farm.errors import InputError
from farm.redact import redact
from farm.render import hub
from farm.render.checkpoint import Checkpoint, weights_bytes
from farm.render.listing import Folder, place_of
from farm.render.mirror import mirror_of, mirrored
from farm.values import Model


def fetched(model: Model) -> Path:
    """The local folder to load a model from, brought here first where it lies elsewhere.

    Raises InputError, in one line, for what is missing, denied, out of reach, damaged, or not what was planned.
    """
    place = str(model.path)
    said = f"{model.name}: {redact(place)}"
    if is_url(place):
        return mirrored(place, model.revision, said=said)
    if not is_folder(place):
        return hub.snapshot(place, model.revision, said=model.name)
    found = Checkpoint.read(Folder(Path(place), said)).revision
    if found != model.revision:
        raise InputError(
            f"{said}: holds other files here than the job was planned with ({found}, not {model.revision})"
        )
    return Path(place)


def is_folder(place: str) -> bool:
    """Whether a resolved model's path is a folder: they are absolute, names of repositories are not."""
    return place.startswith("/")


def held(model: Model) -> Path | None:
    """The folder that holds a model on this machine already, whole; None where something must be fetched first."""
    place = str(model.path)
    if model.path is None:
        return None
    if is_url(place):
        folder: Path | None = mirror_of(model.revision)
    else:
        folder = Path(place) if is_folder(place) else hub.cached(place, model.revision)
    return folder if folder is not None and weights_bytes(folder) is not None else None


def glance(model: Model) -> Checkpoint:
    """The index and configs of a resolved model, without its weights. Raises InputError."""
    place = str(model.path)
    said = f"{model.name}: {redact(place)}"
    if (here := held(model)) is not None:
        return Checkpoint.glance(Folder(here, said))
    if is_url(place) or is_folder(place):
        return Checkpoint.glance(place_of(place, said=said))
    return Checkpoint.glance(Folder(hub.look(place, model.revision, said=model.name), said))
