"""pydantic's errors as lines for people: the place as they wrote it, what stands there, what is allowed.

Invariant: one mistake is told once, at the place where it was made, however many branches of a union tried it.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

Place: TypeAlias = tuple[str | int, ...]

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
# As pydantic has them, these tell of "items after validation" and of a "string".
_AMOUNTS = {
    "too_short": "expected {min_length} or more",
    "too_long": "allowed: up to {max_length}",
    "string_too_short": "expected {min_length} or more characters",
    "string_too_long": "allowed: up to {max_length} characters",
}


def mistakes(model: type[Any], value: object, errors: Sequence[Any]) -> list[str]:
    """One text for each mistake that pydantic found in `value` (its error details, in its order)."""
    found: dict[Place, list[Any]] = {}
    for one in errors:
        found.setdefault(_place(one, value), []).append(one)
    told = []
    for place, here in found.items():
        wrong_type = all(one["type"] in _EXPECTED for one in here)
        # A union says of the branch that was not meant that the whole is of a wrong type.
        if wrong_type and any(other[: len(place)] == place and other != place for other in found):
            continue
        if wrong_type:
            told.append(_tell_type(place, here))
        else:
            told += [_tell(model, place, one) for one in here if one["type"] not in _EXPECTED]
    return told


def unknown(name: str, allowed: Sequence[str]) -> str:
    """The tail of a message about a name that is not known: a near miss, and all that is allowed."""
    near = get_close_matches(name, allowed, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed)}"


def _place(error: Any, value: object) -> Place:
    """A location without what pydantic adds to it: names of union branches and of validators."""
    place: list[str | int] = []
    here = value
    for part in error["loc"]:
        if (isinstance(here, Mapping) and part in here) or (isinstance(here, list) and isinstance(part, int)):
            here = here[part]
            place.append(part)
    return (*place, error["loc"][-1]) if error["type"] == "missing" else tuple(place)


def _tell_type(place: Place, errors: Sequence[Any]) -> str:
    expected = list(dict.fromkeys(_EXPECTED[one["type"]] for one in errors))
    value = errors[0]["input"]
    hint = ""
    if expected == ["a text"] and (isinstance(value, bool | int | float) or _is_date(value)):
        hint = "; put it in quotes"
    elif isinstance(value, str) and any("number" in one for one in expected) and _is_number(value):
        hint = "; leave out the quotes"
    return f"{_written(place)}={_show(value)}: expected {' or '.join(expected)}{hint}"


def _tell(model: type[Any], place: Place, error: Any) -> str:
    written = _written(place)
    kind = error["type"]
    if kind == "extra_forbidden":
        fields = _fields_at(model, place[:-1])
        return (
            f"{written}: unknown key; {unknown(str(place[-1]), fields)}"
            if fields
            else f"{written}: unknown key"
        )
    if kind == "invalid_key":
        return f"{written}: no key; keys are texts: put it in quotes"
    if kind == "missing":
        return f"{written}: is required"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"{written}={_show(error['input'])}: {unknown(str(error['input']), allowed)}"
    if kind in _AMOUNTS:
        return f"{written}={_show(error['input'])}: {_AMOUNTS[kind].format(**error['ctx'])}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    message = message[:1].lower() + message[1:]
    if kind == "value_error" and not isinstance(error["input"], str | int | float):
        return f"{written}: {message}" if written else message
    return f"{written}={_show(error.get('input'))}: {message}"


def _fields_at(model: type[Any], place: Place) -> list[str]:
    """The keys that are allowed at a place, those of all models that may stand there."""
    here: list[Any] = [model]
    for part in place:
        if isinstance(part, int):
            here = [form for one in here if get_origin(one) is list for form in _forms(get_args(one)[0])]
        else:
            fields = [one.model_fields[part] for one in here if part in _fields(one)]
            here = [form for field in fields for form in _forms(field.annotation)]
    return list(dict.fromkeys(name for one in here for name in _fields(one)))


def _forms(annotation: Any) -> list[Any]:
    """The annotations that a union, with or without metadata, is made of."""
    if get_origin(annotation) in (Union, UnionType):
        return [form for one in get_args(annotation) for form in _forms(one)]
    return _forms(get_args(annotation)[0]) if get_origin(annotation) is Annotated else [annotation]


def _fields(annotation: Any) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(annotation, "model_fields", {})
    return fields


def _is_date(value: object) -> bool:
    # YAML's own; this module reads no clock, and so does not know the class.
    return type(value).__name__ in ("date", "datetime")


def _written(place: Place) -> str:
    return ".".join(_one_line(str(part)) for part in place)


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool) or _is_date(value):
        return str(value).lower()
    text = _one_line(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?[0-9.]+\s*", text) is not None
