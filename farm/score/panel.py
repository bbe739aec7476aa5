"""Who judges: the scorer that a job asks for, with its critics.

Invariant: what is asked for and is not there is said before anything is rendered; nothing is left out silently.
Nothing is loaded before scorer() is called.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from farm.errors import InputError
from farm.score import faces, learned
from farm.score.dimensions import DIMENSIONS
from farm.score.learned_card import read_card
from farm.score.scorer import Critic, Scorer
from farm.values import Scoring


def resolve(accept: float, wants_faces: bool | Literal["auto"], folders: Sequence[Path]) -> Scoring:
    """What a job asks for, made definite: `auto` means that faces are judged where the extra is installed.

    Raises InputError for an extra that is asked for and missing, for a folder that holds no scorer, and for two
    dimensions of one name.
    """
    if wants_faces == "auto":
        wants_faces = faces.installed()
    elif wants_faces:
        faces.require()
    scoring = Scoring(accept, wants_faces, tuple(str(folder.absolute()) for folder in folders))
    names = list(dimensions(replace(scoring, learned=())))
    for folder in scoring.learned:
        name = learned.check(Path(folder)).name
        if name in names:
            raise InputError(
                f"{folder}: the dimension {name} is there already; name it otherwise in its scorer.yaml"
            )
        names.append(name)
    return scoring


def dimensions(scoring: Scoring) -> tuple[str, ...]:
    """The names of all dimensions of that scorer, in the manifest's order."""
    critics = [faces.DIMENSION] if scoring.faces else []
    critics += [learned.check(Path(folder)) for folder in scoring.learned]
    return tuple(dimension.name for dimension in (*DIMENSIONS, *critics))


def scorer(scoring: Scoring) -> Scorer:
    """The scorer with everything loaded. Raises InputError for what is not on this machine."""
    from farm.score.score import StillReferenceScorer

    critics: list[Critic] = [faces.FaceCritic()] if scoring.faces else []
    critics += [learned.LearnedCritic(Path(folder)) for folder in scoring.learned]
    return StillReferenceScorer(critics)


def described(scoring: Scoring) -> dict[str, object]:
    """What a run's record says of it. A learned scorer is its card and the sums of its files, wherever they lie: a run
    can go on from another place, but not with other weights.

    Raises InputError as resolve() does.
    """
    cards = [_card(Path(folder)) for folder in scoring.learned]
    return {"accept": scoring.accept, "faces": scoring.faces, "learned": cards}


def _card(folder: Path) -> dict[str, object]:
    card = read_card(folder)
    backbone = None if card.backbone is None else _sum(folder / card.backbone)
    return card.model_dump(mode="json") | {"sha256": _sum(folder / card.weights), "backbone_sha256": backbone}


def _sum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
