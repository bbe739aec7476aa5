"""What people write, read strictly: YAML files and pydantic models, every mistake one clear line.

Invariant: nothing a person wrote is dropped in silence: unknown keys, repeated keys and wrong types are
InputError with file, place and what is allowed.
"""

from collections.abc import Hashable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from farm.errors import InputError

MAX_DOCUMENT_BYTES = 8 * 2**20
_MAX_ALIASES = 100

M = TypeVar("M", bound=BaseModel)


class Document(BaseModel):
    """The base of all that people write: frozen, and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def read_yaml(path: Path) -> object:
    """The one value of a YAML file.

    Raises InputError when the file is missing, not UTF-8, larger than 8 MiB, not YAML, or repeats a key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror}") from e
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InputError(
            f"{path}: larger than {MAX_DOCUMENT_BYTES // 2**20} MiB; large catalogs go into csv, jsonl or parquet"
        )
    try:
        return parse_yaml(data.decode("utf-8"), where=str(path))
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: not UTF-8 text (byte {e.start})") from None


def parse_yaml(text: str, *, where: str) -> object:
    """The one value of a YAML text; `where` names it in messages. Raises InputError."""
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as e:
        line = f"{where}:{e.problem_mark.line + 1}" if e.problem_mark else where
        raise InputError(f"{line}: not valid YAML: {e.problem}") from None
    except yaml.YAMLError as e:
        raise InputError(f"{where}: not valid YAML: {' '.join(str(e).split())}") from None
    except RecursionError:
        raise InputError(f"{where}: nested too deeply") from None
    except (ValueError, OverflowError) as e:
        # PyYAML lets through what its own constructors raise, for a date such as 2026-13-45.
        raise InputError(f"{where}: not valid YAML: {e}") from None


def validate(cls: type[M], value: object, *, where: str) -> M:
    """`value` as a `cls`. Raises InputError with one line that names each wrong place (the first three)."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a mapping of keys to values, got {_kind(value)}")
    try:
        return cls.model_validate(value)
    except ValidationError as e:
        told = [_tell(cls, error) for error in e.errors(include_url=False)]
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise InputError(f"{where}: {'; '.join(told[:3])}{more}") from None


def unknown(name: str, allowed: list[str]) -> str:
    """The tail of a message about a name that is not known: a near miss, or all that is allowed."""
    near = get_close_matches(name, allowed, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed)}"


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses repeated keys and a document that grows by aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > _MAX_ALIASES:
                raise yaml.composer.ComposerError(
                    None, None, f"more than {_MAX_ALIASES} aliases", self.peek_event().start_mark
                )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _tell(cls: type[BaseModel], error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if not _is_union_tag(part))
    if error["type"] == "extra_forbidden":
        *parents, name = error["loc"]
        fields = _fields_at(cls, [part for part in parents if isinstance(part, str)])
        return f"{place}: unknown key; {unknown(str(name), fields)}" if fields else f"{place}: unknown key"
    if error["type"] == "missing":
        return f"{place}: is required"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if error["type"] == "value_error":
        return f"{place}: {message}" if place else message
    return f"{place}={_show(error.get('input'))}: {message}"


def _is_union_tag(part: object) -> bool:
    # pydantic names the branch of a union ("list[str]", "function-after[...]", a class) inside the location.
    return isinstance(part, str) and (
        not part.replace("_", "").replace("-", "").isalnum()
        or part in {"str", "int", "float"}
        or part[:1].isupper()
    )


def _fields_at(cls: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        info = cls.model_fields.get(part)
        if info is None or not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)):
            return []
        cls = info.annotation
    return list(cls.model_fields)


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _kind(value: object) -> str:
    return {"NoneType": "nothing", "str": "a text", "list": "a list"}.get(
        type(value).__name__, type(value).__name__
    )
