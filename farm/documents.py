"""What people write, read strictly: YAML files and pydantic models, every mistake one clear line.

Invariant: nothing a person wrote is dropped in silence: unknown keys, repeated keys and wrong types are
InputError with file, place and what is allowed.
"""

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from farm.errors import InputError
from farm.mistakes import mistakes, unknown

__all__ = ["Document", "parse_yaml", "read_yaml", "unknown", "validate"]

MAX_DOCUMENT_BYTES = 8 * 2**20
_MAX_ALIASES = 100
# YAML can spell what no file name, Parquet file or terminal takes.
_NOT_STORED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

M = TypeVar("M", bound=BaseModel)


class Document(BaseModel):
    """The base of all that people write: frozen, no key that is not declared, and types taken as they are.

    A text is no number and a boolean no count. Sequences are declared as list: strict models take no list as tuple.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
        raise InputError(f"{line}: not valid YAML: {_problem(e)}") from None
    except yaml.reader.ReaderError as e:
        line = f"{where}:{text.count(chr(10), 0, e.position) + 1}"
        raise InputError(
            f"{line}: not valid YAML: the character U+{e.character:04X} is not allowed"
        ) from None
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
        told = mistakes(cls, value, e.errors(include_url=False))
        more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
        raise InputError(f"{where}: {'; '.join(told[:3])}{more}") from None


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses repeated keys, texts that cannot be stored, and a document that grows by aliases."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > _MAX_ALIASES:
                mark = self.get_mark()
                raise yaml.composer.ComposerError(None, None, f"more than {_MAX_ALIASES} aliases", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and (found := _NOT_STORED.search(value)):
            raise yaml.constructor.ConstructorError(
                None, None, f"the character U+{ord(found.group()):04X} is not allowed", node.start_mark
            )
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a list or a mapping cannot be a key", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _problem(e: yaml.MarkedYAMLError) -> str:
    problem = str(e.problem)
    if "'\\t'" in problem:
        return "a tab; indentation is written in spaces"
    if e.context and e.context.startswith("expected"):
        return f"{e.context}, {problem}"
    return problem


def _kind(value: object) -> str:
    return {"NoneType": "nothing", "str": "a text", "list": "a list"}.get(
        type(value).__name__, type(value).__name__
    )
