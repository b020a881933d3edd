"""A YAML reader for files of strangers: plain data only, and every key and value with its line and column.

Scalars stay text until the schema says what they are (`autorl.studies.convert`). Built on PyYAML's event stream rather than on its
constructors, so tags, anchors and aliases are seen and refused, duplicate keys noticed, size and depth bounded while reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml import events

from autorl.studies.problems import Path, Position, Problem, SpecificationError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 20_000


@dataclass(frozen=True)
class ScalarNode:
    """A scalar of a file or an override. ``plain`` is False if it was quoted (or a block), and so is text whatever it looks like."""

    position: Position
    text: str
    plain: bool


@dataclass(frozen=True)
class ValueNode:
    """A value given in Python, already of its type."""

    position: Position
    value: Any


@dataclass(frozen=True)
class MappingNode:
    """A mapping. ``keys`` has the position of each key, ``entries`` the node of each value."""

    position: Position
    entries: Mapping[str, Node]
    keys: Mapping[str, Position]


@dataclass(frozen=True)
class SequenceNode:
    """A list."""

    position: Position
    items: tuple[Node, ...]


Node = ScalarNode | ValueNode | MappingNode | SequenceNode


def decode(data: bytes, filename: str) -> str:
    """Return the text of a UTF-8 file (a byte order mark is dropped).

    Raises:
        SpecificationError: Too large or not UTF-8; says where.
    """
    if len(data) > MAX_BYTES:
        raise SpecificationError(
            [_whole(filename, f"the file is too large: {len(data):,} bytes, {MAX_BYTES:,} at most")]
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        place = Position(filename, before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"not UTF-8: byte 0x{data[error.start]:02x}. Save the file as UTF-8"
        raise SpecificationError([Problem.at(place, (), message)]) from None


def read(text: str, source: Position) -> tuple[Node, list[Problem]]:
    """Return the one document in ``text`` and the problems that do not stop the reading (duplicate keys, tags, anchors).

    Args:
        text: YAML.
        source: The file at line 1, column 1; or a position without a line, which all nodes then get.

    Raises:
        SpecificationError: It cannot be read any further: a syntax error, too deep, too large, empty, several documents.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise SpecificationError([Problem.at(source, (), f"too large: {MAX_BYTES:,} bytes at most")])
    reader = _Reader(source)
    try:
        reader.stream = yaml.parse(text, Loader=yaml.SafeLoader)
        return reader.document(), reader.problems
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)] if isinstance(error.position, int) else ""
        place = reader.place(before.count("\n"), len(before) - before.rfind("\n") - 1)
        code = error.character if isinstance(error.character, int) else ord(str(error.character))
        message = f"a control character (0x{code:02x}) that YAML does not allow. Remove it"
        raise SpecificationError([*reader.problems, Problem.at(place, (), message)]) from None
    except yaml.MarkedYAMLError as error:
        raise SpecificationError([*reader.problems, reader.syntax_problem(error, text)]) from None


@dataclass
class _Reader:
    """Turns events into nodes, recursively; its state is the stream, the path of keys and the problems so far."""

    source: Position
    stream: Any = None
    problems: list[Problem] = field(default_factory=list)
    values: int = 0

    def place(self, line: int, column: int) -> Position:
        """Return the position of a mark that counts from 0."""
        return self.source if self.source.line is None else Position(self.source.source, line + 1, column + 1)

    def start(self, event: events.Event) -> Position:
        """Return the position where ``event`` starts."""
        mark = event.start_mark
        return self.source if mark is None else self.place(mark.line, mark.column)

    def document(self) -> Node:
        """Read the stream: exactly one document."""
        next(self.stream)  # the start of the stream
        event = next(self.stream)
        if isinstance(event, events.StreamEndEvent):
            self.stop(self.place(0, 0), (), "empty; expected fields such as 'environment: gymnax:CartPole-v1'")
        node = self.node(next(self.stream), ())
        next(self.stream)  # the end of the document
        event = next(self.stream)
        if isinstance(event, events.DocumentStartEvent):
            self.stop(self.start(event), (), "a second document ('---'). Write one experiment a file")
        return node

    def stop(self, position: Position, path: Path, message: str) -> None:
        """End the reading with one more problem."""
        raise SpecificationError([*self.problems, Problem.at(position, path, message)])

    def node(self, event: events.Event, path: Path) -> Node:
        """Read the node that ``event`` starts."""
        place = self.start(event)
        self.values += 1
        if self.values > MAX_VALUES:
            self.stop(place, path, f"too large: more than {MAX_VALUES:,} values")
        if isinstance(event, events.AliasEvent):
            self.refuse(place, path, f"an alias ('*{event.anchor}') is not allowed. Write the value out")
            return ScalarNode(place, "", plain=False)
        self.refuse_extras(event, place, path)
        if isinstance(event, events.ScalarEvent):
            return ScalarNode(place, event.value, plain=event.style is None)
        if len(path) >= MAX_DEPTH:
            self.stop(place, path, f"nested too deep: {MAX_DEPTH} levels at most")
        if isinstance(event, events.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(self.stream), events.SequenceEndEvent):
                items.append(self.node(event, (*path, len(items))))
            return SequenceNode(place, tuple(items))
        return self.mapping(place, path)

    def mapping(self, place: Position, path: Path) -> MappingNode:
        """Read the entries of a mapping up to its end; the first of two equal keys counts."""
        entries: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        while not isinstance(event := next(self.stream), events.MappingEndEvent):
            key_place = self.start(event)
            if not isinstance(event, events.ScalarEvent):
                self.stop(key_place, path, "a key must be a plain word, not a list, a mapping or an alias")
            self.refuse_extras(event, key_place, path)
            key = event.value
            value = self.node(next(self.stream), (*path, key))
            if key == "<<" and event.style is None:
                self.refuse(key_place, (*path, key), "merge keys ('<<') are not allowed. Write the fields out")
            elif key in entries:
                first = keys[key]
                where = f" (first on line {first.line})" if first.line is not None else ""
                self.refuse(key_place, (*path, key), f"given twice{where}, here as {_source(value)}. Keep one of them")
            else:
                entries[key], keys[key] = value, key_place
        return MappingNode(place, entries, keys)

    def refuse_extras(self, event: Any, place: Position, path: Path) -> None:
        """Note a tag or an anchor on ``event``."""
        if getattr(event, "tag", None) is not None:
            self.refuse(place, path, f"a tag ({_tag(event.tag)}) is not allowed: this is plain data. Remove the tag")
        if getattr(event, "anchor", None) is not None:
            self.refuse(place, path, f"an anchor ('&{event.anchor}') is not allowed. Remove it")

    def refuse(self, place: Position, path: Path, message: str) -> None:
        """Note a problem and go on."""
        self.problems.append(Problem.at(place, path, message))

    def syntax_problem(self, error: yaml.MarkedYAMLError, text: str) -> Problem:
        """Say what PyYAML could not read, where, and what often helps."""
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        lines = text.splitlines()
        content = lines[line] if line < len(lines) else ""
        if "\t" in content[: column + 1]:
            message = "a tab. Indent with spaces"
        else:
            began = error.context_mark
            where = (
                f" that began on line {began.line + 1}, column {began.column + 1}:"
                if began is not None and began.line < line
                else ""
            )
            reason = " ".join(part for part in (f"{error.context or ''}{where}", error.problem) if part)
            message = f"not readable as YAML: {reason}"
            message += f", in {content.strip()[:60]!r}" if content.strip() else ""
        return Problem.at(self.place(line, column), (), message)


def _tag(tag: str) -> str:
    """Return a tag as it is written in a file."""
    return "!!" + tag.removeprefix("tag:yaml.org,2002:") if tag.startswith("tag:yaml.org,2002:") else tag


def _source(node: Node) -> str:
    """Return a node's text for a message."""
    if isinstance(node, ScalarNode):
        return repr(node.text[:60]) if not node.plain else (node.text[:60] or "nothing")
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def _whole(filename: str, message: str) -> Problem:
    """Return a problem of the file as a whole."""
    return Problem.at(Position(filename, 1, 1), (), message)
