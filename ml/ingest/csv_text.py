"""Finds the header and the lines of a CSV file, so that each row of it is one line with a number.

DuckDB parses the rows. This module sees to it that no row spans two lines, and that no field is dropped: a line with
an unclosed quotation mark, or with more fields than the header of which the last is empty, is left empty in what DuckDB
reads, and is reported with its number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.errors import DataError
from ml.ingest.content import RawRows, fields
from ml.model.data_contract import Fault

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t", "|")
_BLOCK_BYTES = 1 << 22
_MAX_HEADER_BYTES = 1 << 20
_FIRST_LINE = re.compile(rb"[^\r\n]*\S[^\r\n]*")
_NEWLINE, _QUOTE, _RETURN = 10, 34, 13


@dataclass(frozen=True, kw_only=True)
class Header:
    """The line with the column names: its number from 1, the delimiter, and the names."""

    number: int
    delimiter: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LineCheck:
    """What a scan of all lines found.

    `filled` is the number of lines that are not empty, with the header. `unreadable` are the numbers of the lines that
    DuckDB must not see. `plain` says that it can read the file as it is: no such line, and one kind of line end.
    """

    filled: int
    unreadable: frozenset[int]
    plain: bool


def header(path: str, local: Path, wanted: Iterable[str]) -> Header:
    """The header of the text file `local`; the delimiter is the one that gives most of the names `wanted`.

    Raises:
        DataError: there is no header, or it is not UTF-8.
    """
    with local.open("rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    first = _FIRST_LINE.search(start)
    if not first:
        raise DataError(f"{path}: is empty ({local.stat().st_size} bytes); give a file with a header and rows")
    at = len(start[: first.start()].splitlines()) + 1
    line = first.group().removeprefix(_BOM)
    if b"\0" in line or line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: line {at} is not UTF-8 (it looks like UTF-16 or binary); save the file as UTF-8 CSV")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {at} is not UTF-8 (byte {line[error.start]:#04x} at position {error.start + 1}); "
            f"save the file as UTF-8 CSV"
        ) from error
    needed = frozenset(wanted)
    found = [Header(number=at, delimiter=mark, names=_names(path, at, text, mark)) for mark in _DELIMITERS]
    best = max(found, key=lambda item: (len(needed.intersection(item.names)), len(item.names)))
    if all(_is_number(name) for name in best.names):
        raise DataError(f"{path}: line {at} has numbers, not a header; add a line with the column names")
    return best


def _names(path: str, at: int, text: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(name.strip() for name in fields(text, delimiter))
    except csv.Error as error:
        raise DataError(f"{path}: line {at} is not a header in CSV ({error}); correct the column names") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_lines(local: Path, head: Header) -> LineCheck:
    """Scans the file once, in blocks."""
    filled, number, returns, ends = 0, 0, 0, 0
    unreadable: list[int] = []
    delimiter = ord(head.delimiter)
    for block in _blocks(local):
        letters = np.frombuffer(block, np.uint8)
        newlines = np.flatnonzero(letters == _NEWLINE)
        if not block.endswith(b"\n"):  # the file's last line has no end
            newlines = np.append(newlines, len(letters))
        starts = np.concatenate([[0], newlines[:-1] + 1])
        returned = np.zeros(len(newlines), dtype=np.bool_)
        long = newlines > starts
        returned[long] = letters[newlines[long] - 1] == _RETURN
        filled += int(np.count_nonzero(newlines - starts - returned > 0))
        ends += int(np.count_nonzero(returned))
        returns += int(np.count_nonzero(letters == _RETURN))
        stops = newlines - returned
        suspect = np.zeros(len(newlines), dtype=np.bool_)
        suspect[long] = letters[stops[long] - 1] == delimiter
        quotes = np.flatnonzero(letters == _QUOTE)
        if len(quotes):
            suspect |= np.diff(np.searchsorted(quotes, newlines), prepend=0) % 2 == 1
        for at in np.flatnonzero(suspect).tolist():
            if number + at + 1 > head.number and _is_unreadable(block[starts[at] : stops[at]], head):
                unreadable.append(number + at + 1)
        number += len(newlines)
    uniform = returns == 0 or returns == ends == number
    return LineCheck(filled=filled, unreadable=frozenset(unreadable), plain=uniform and not unreadable)


def _is_unreadable(line: bytes, head: Header) -> bool:
    """Whether DuckDB would join the line with the next, or drop its last fields without a word."""
    if line.count(b'"') % 2:
        return True
    mark = head.delimiter.encode()
    if not line.endswith(mark):
        return False
    if b'"' not in line:
        return line.count(mark) >= len(head.names)
    try:
        return len(fields(line.decode("utf-8", errors="replace"), head.delimiter)) > len(head.names)
    except csv.Error:
        return True


def _blocks(local: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines that end in a line feed; the last may lack it."""
    rest = b""
    with local.open("rb") as file:
        while chunk := file.read(_BLOCK_BYTES):
            end = chunk.rfind(b"\n") + 1
            if end:
                yield rest + chunk[:end]
                rest = chunk[end:]
            else:
                rest += chunk
    if rest:
        yield rest


def lines(local: Path) -> Iterator[tuple[int, bytes]]:
    """The number and the bytes of each line, without its end: a line feed, a carriage return, or both."""
    number = 0
    for block in _blocks(local):
        for line in block.splitlines():
            number += 1
            yield number, line


def write_plain(local: Path, target: Path, head: Header) -> LineCheck:
    """Writes the lines with line feeds to `target`, empty where they are blank or unreadable."""
    unreadable, filled = [], 0
    with target.open("wb") as file:
        for number, line in lines(local):
            blank = not line.strip()
            filled += not blank
            left_out = number > head.number and not blank and _is_unreadable(line, head)
            if left_out:
                unreadable.append(number)
            file.write(b"\n" if left_out or blank else line + b"\n")
    return LineCheck(filled=filled, unreadable=frozenset(unreadable), plain=True)


def fault_of(line: bytes, width: int, delimiter: str) -> tuple[str, str]:
    """Kind and rule of a fault of a whole line, which DuckDB did not accept."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {line[error.start]:#04x} at position {error.start + 1} is not"
        return "not UTF-8", f"must be UTF-8 ({where})"
    if text.count('"') % 2:
        return "unbalanced quotes", "must close each quotation mark on its line"
    try:
        found = fields(text, delimiter)
    except csv.Error as error:
        return "not CSV", f"must be fields separated by commas ({error})"
    if len(found) != width:
        return "wrong number of fields", f"must have {width} fields (has {len(found)})"
    return "not CSV", "must have quotation marks around whole fields only, and be no longer than 2 MB"


@dataclass(frozen=True)
class Lines:
    """The lines of the file `local` after its header that are rows: those on which something is visible."""

    local: Path
    header: Header

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each row's line, ascending."""
        after = self.header.number
        found = (number for number, line in lines(self.local) if number > after and line.strip())
        return np.fromiter(found, dtype=np.int64)

    def faults(self, refused: Collection[int]) -> list[Fault]:
        """The faults of the lines with these numbers; blank ones have none."""
        width, delimiter = len(self.header.names), self.header.delimiter
        places = {int(number): place for place, number in enumerate(self.numbers) if int(number) in refused}
        found: dict[tuple[str, str], list[int]] = {}
        for number, line in lines(self.local):
            if number in places:
                found.setdefault(fault_of(line, width, delimiter), []).append(places[number])
        return [Fault(kind=kind, column=None, rule=rule, rows=np.array(at)) for (kind, rule), at in found.items()]

    def raw(self, rows: NDArray[np.int64]) -> RawRows:
        """The raw rows at the positions `rows`."""
        at = dict(zip(self.numbers[rows].tolist(), rows.tolist(), strict=True))
        return RawRows(
            unit="line",
            names=self.header.names,
            numbers={row: number for number, row in at.items()},
            texts={at[number]: line for number, line in lines(self.local) if number in at},
            delimiter=self.header.delimiter,
        )
