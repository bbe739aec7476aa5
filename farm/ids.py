"""Content identity: ids and key segments come from what a thing is, never from rank, time or position.

Invariant: `take_id` is a function of everything that decides a take's pixels and of the shot it competes in;
`segment` is injective, so that two ids never share a key, on case-sensitive and on case-folding stores.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from fractions import Fraction

from farm.values import Model, Motion, Still

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_TAKE_HEX = 32
_SEGMENT_HEX = 12

# How a revision begins that is a digest of a checkpoint's files, wherever they lie.
CONTENT = "local-"


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def canonical(value: object) -> str:
    """The one JSON text of a value: sorted keys, no white space, Unicode as it is.

    Raises TypeError for what has no canonical form, NaN and infinity included.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def take_id(*, still: Still, still_sha256: str, motion: Motion, prompt: str, model: Model, seed: int) -> str:
    """32 hexadecimal digits: the content of one take.

    The motion's `kind` is a label; the still's uri, row and extra columns, a model's folder and how it is held are
    places: none of them decides a pixel, so none of them is in the id.
    """
    content = {
        "still": {"id": still.id, "sha256": still_sha256},
        "motion": {
            "id": motion.id,
            "camera": motion.camera,
            "ambient": motion.ambient,
            "strength": motion.strength,
            # The still's own prompt joins the model's text; a renderer that reads only the motion's needs both.
            "prompt": motion.prompt,
        },
        "prompt": prompt,
        "model": model_identity(asdict(model)),
        "seed": seed,
    }
    return sha256_hex(canonical(content).encode())[:_TAKE_HEX]


def model_identity(model: Mapping[str, object]) -> dict[str, object]:
    """What of a model's fields decides pixels. Where its revision is read off its content, it may lie anywhere.

    Fields that came later are left out where they change nothing, so that older ids stay what they are.
    """
    identity = {name: value for name, value in model.items() if name != "hosting"}
    if str(model.get("revision")).startswith(CONTENT):
        identity["path"] = None
    for name, nothing in (("fit", "crop"), ("rendered_fps", None)):
        if identity.get(name) == nothing:
            identity.pop(name, None)
    return identity


def segment(name: str) -> str:
    """A name as one segment of a key: as it is where that is safe everywhere, else readable and hashed.

    Safe: lower-case ASCII letters, digits, `.`, `_`, `-`, not starting with a mark, at most 80 characters. All
    others become `<what is left of them>~<12 hex of their SHA-256>`; `~` stands in no safe name, so the two
    cannot meet.
    """
    if _PLAIN.fullmatch(name) and not name.endswith("."):
        return name
    slug = _UNSAFE.sub("-", name).strip("-._")[:60]
    return f"{slug}~{sha256_hex(name.encode('utf-8', 'surrogatepass'))[:_SEGMENT_HEX]}"


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"no canonical form for {type(value).__name__}")
