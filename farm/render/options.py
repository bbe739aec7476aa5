"""What a job says of one model, held against what its family takes.

Invariant: an option is taken as it is or refused in one line; none is dropped. What may hold credentials is not shown.
"""

from collections.abc import Mapping

from farm.errors import InputError
from farm.redact import redact
from farm.render.family import Family
from farm.render.settings import SETTINGS
from farm.values import Scalar

_PLACES = frozenset({"path", "repo", "revision"})
_TEXTS = frozenset({"negative_prompt"})  # of the options of families; all others are numbers


def check_options(family: Family, asked: Mapping[str, Scalar], *, said: str) -> None:
    """Raises InputError, starting with `said`, for the first option that the family does not take or not so."""
    allowed = family.options | _PLACES | SETTINGS.keys() if family.pipeline else family.options
    for key, value in asked.items():
        if value is None:
            continue
        shown = redact(value) if isinstance(value, str) else value
        told = f"{said}: {key}={shown!r}"
        if key not in allowed:
            known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes no options"
            raise InputError(f"{told}: not an option of {family.name}; {known}")
        if key in SETTINGS and value not in SETTINGS[key]:
            raise InputError(f"{told}: expected {', '.join(map(str, SETTINGS[key]))}")
        if key in family.options and not family.guessed and isinstance(value, str) is not (key in _TEXTS):
            raise InputError(
                f"{told}: expected {'a text' if key in _TEXTS else 'a number, or true or false'}"
            )
