"""CSV: every line becomes one row, and every fault has its line and cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.data_files import GOOD, HEADER, INPUTS, found, read


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{GOOD}",
        f"{HEADER}\n{GOOD}".rstrip("\n"),
        f"{HEADER}\n{GOOD}".replace("\n", "\r\n"),
        f"{HEADER}\n{GOOD}".replace("\n", "\r"),
        f"\ufeff{HEADER}\n{GOOD}",
        f"\n  \n{HEADER}\n\n{GOOD}\n \n",
        '"Time","V1","V2","Amount","Class"\n0,1.5,-2,3.25,"0"\n60,-1e-3,.5,0,"1"\n',
        f"{HEADER}\n 0 ,+1.5,-2.,3.25,0\n60,-1E-3,\t.5,0.0,1.0\n",
    ],
)
def test_read_accepts_equivalent_csv(tmp_path: Path, text: str) -> None:
    """Line ends, a byte order mark, quotes (Kaggle's file has them), blanks and empty lines make no difference."""
    content = read(tmp_path, text)
    assert content.faults == ()
    assert content.frame.to_numpy().tolist() == [[0, 1.5, -2, 3.25, 0], [60, -0.001, 0.5, 0, 1]]
    assert list(content.frame.columns) == INPUTS


@pytest.mark.parametrize(
    ("row", "kind", "column", "cell"),
    [
        ("1,abc,3,4,0", "not a number", "V1", "abc"),
        ("1,0x10,3,4,0", "not a number", "V1", "0x10"),
        ("1,1_0,3,4,0", "not a number", "V1", "1_0"),
        ("1,nan(1),3,4,0", "not a number", "V1", "nan(1)"),
        ("1,,3,4,0", "missing value", "V1", ""),
        ("1,NULL,3,4,0", "missing value", "V1", "NULL"),
        ("1,2,NaN,4,0", "not finite", "V2", "NaN"),
        ("1,2,-inf,4,0", "not finite", "V2", "-inf"),
        ("1,2,1e999,4,0", "not finite", "V2", "1e999"),
        ("1,2,1e200,4,0", "value out of range", "V2", "1e200"),
        ("1,2,3,1e13,0", "value out of range", "Amount", "1e13"),
        ("1,2,3,-0.01,0", "negative amount", "Amount", "-0.01"),
        ("-1,2,3,4,0", "negative time", "Time", "-1"),
        ("1,2,3,4,2", "label outside {0,1}", "Class", "2"),
        ("1,2,3,4,", "missing value", "Class", ""),
        ("1,2,3,4", "wrong number of fields", None, "1,2,3,4"),
        ("1,2,3,4,0,", "wrong number of fields", None, "1,2,3,4,0,"),
        ("1;2;3;4;0", "wrong number of fields", None, "1;2;3;4;0"),
        ('1,2,3,4,"0', "unbalanced quotes", None, '1,2,3,4,"0'),
        (f'1,"{"9" * 400}",3,4,0', "not finite", "V1", "9" * 400),
        (f'1,"{"9" * 2_100_000}",3,4,0', "not CSV", None, f'1,"{"9" * 2_100_000}",3,4,0'),
        ('1,2,"3"4,4,0', "not CSV", None, '1,2,"3"4,4,0'),
    ],
)
def test_fault_has_its_line_and_cell(tmp_path: Path, row: str, kind: str, column: str | None, cell: str) -> None:
    """Empty lines count; the cell has the file's text; other rows are unchanged."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\n\n{row}\n5,6,7,8,1\n")
    assert found(content) == [(kind, column, 4, cell)]
    assert content.bad.tolist() == [False, True, False]
    assert content.frame[~content.bad].to_numpy().tolist() == [[0, 1, 2, 3, 0], [5, 6, 7, 8, 1]]


def test_invalid_utf8_is_a_fault_of_its_row_only(tmp_path: Path) -> None:
    """The fault has the byte and its position; the row's bytes are kept unchanged."""
    content = read(tmp_path, f"{HEADER}\n0,1,2,3,0\n1,2,3,4,0\n".encode() + b"5,caf\xe9,3,4,0\n")
    assert [item[:3] for item in found(content)] == [("not UTF-8", None, 4)]
    assert content.faults[0].rule == "must be UTF-8 (byte 0xe9 at position 6 is not)"
    assert content.raw.text(2) == b"5,caf\xe9,3,4,0"


CELL = st.one_of(
    st.floats(-1e6, 1e6).map(repr),
    st.floats().map(repr),
    st.integers(-5, 5).map(str),
    st.sampled_from(["", " ", "x", '"', '""', '"1"', '"1,2"', "1;2", "+1", ".5", "5.", "1e5", "NA", "1,2", "\xe9"]),
    st.text(max_size=4).filter(lambda text: not set(text) & {"\n", "\r"}),
)


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(CELL, min_size=1, max_size=6).map(",".join), min_size=1, max_size=8),
    good=st.lists(st.floats(0, 1e6), min_size=5, max_size=5),
)
def test_read_keeps_every_row(tmp_path_factory: pytest.TempPathFactory, rows: list[str], good: list[float]) -> None:
    """Each line is one row, valid or not; invalid rows keep their text, valid ones their numbers."""
    rows = [row for row in rows if row.encode().strip()]
    last = ",".join(repr(value) for value in good[:4]) + ",1"
    folder = tmp_path_factory.getbasetemp()
    content = read(folder, "\n".join([HEADER, *rows, last]) + "\n", "any.csv")
    assert len(content.frame) == len(rows) + 1
    assert not content.bad[-1]
    assert content.frame.iloc[-1].tolist() == [*good[:4], 1.0]
    for position, row in enumerate(rows):
        if content.bad[position]:
            assert content.raw.text(position) == row.encode()
            assert content.raw.line(position) == position + 2
        else:
            values = [float(field.strip(' \t"')) for field in row.split(",")]
            assert content.frame.iloc[position].tolist() == values


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 1e12), min_size=3, max_size=3), min_size=1, max_size=6))
def test_row_has_the_same_bits_beside_a_faulty_one(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[list[float]]
) -> None:
    """A row has the same bits whether or not another row of its file is invalid."""
    rows = "".join(f"1,{','.join(repr(value) for value in row)},0\n" for row in numbers)
    folder = tmp_path_factory.getbasetemp()
    quick = read(folder, f"{HEADER}\n{rows}", "quick.csv")
    careful = read(folder, f"{HEADER}\n{rows}x,1,1,1,1\n", "careful.csv")
    assert quick.faults == ()
    assert careful.bad.tolist() == [*[False] * len(numbers), True]
    np.testing.assert_array_equal(quick.frame.to_numpy(), careful.frame.to_numpy()[:-1])
