"""Look-ups by hash are exact, also where hashes collide."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.steps import id_index

pytestmark = pytest.mark.container
TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(["", "a", "aaaaaaaa", "aaaaaaaab", "\x00", "é" * 9]))


def chunked(texts: list[str], cut: int = 0) -> pa.ChunkedArray:
    """The texts in two chunks, which are slices of longer ones."""
    whole = pa.array(["before", *texts, "after"], pa.string())
    cut = min(cut, len(texts))
    return pa.chunked_array([whole.slice(1, cut), whole.slice(1 + cut, len(texts) - cut)])


@given(st.lists(TEXTS, max_size=40), st.integers(0, 40))
def test_equal_texts_have_equal_hashes(texts: list[str], cut: int) -> None:
    """And different ones have different hashes, wherever they lie in a chunk."""
    hashes = id_index.text_hashes(chunked(texts, cut))
    assert len(hashes) == len(texts)
    assert len({*zip(texts, hashes.tolist(), strict=True)}) == len({*texts}) == len({*hashes.tolist()})


@given(st.lists(TEXTS, max_size=40), st.integers(0, 40))
def test_repeats_name_the_first_occurrence(texts: list[str], cut: int) -> None:
    """Of every text that occurs before."""
    later, first = id_index.repeats(chunked(texts, cut))
    expected = {place: texts.index(text) for place, text in enumerate(texts) if texts.index(text) != place}
    assert dict(zip(later.tolist(), first.tolist(), strict=True)) == expected


@given(st.lists(TEXTS, max_size=40), st.lists(TEXTS, max_size=40, unique=True), st.integers(0, 40))
def test_places_are_those_of_a_list(texts: list[str], among: list[str], cut: int) -> None:
    """-1 for a text that is not there; in the same order, too."""
    expected = [among.index(text) if text in among else -1 for text in texts]
    assert id_index.places(chunked(texts, cut), chunked(among, cut // 2)).tolist() == expected
    assert id_index.places(chunked(among, cut), chunked(among)).tolist() == list(range(len(among)))


def test_collisions_only_cost_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hash of two values, nothing changes."""
    monkeypatch.setattr(
        id_index, "text_hashes", lambda texts: np.array([len(text) % 2 for text in texts.to_pylist()], dtype=np.uint64)
    )
    texts = ["a", "b", "cc", "a", "dd", "cc"]
    later, first = id_index.repeats(chunked(texts))
    assert (later.tolist(), first.tolist()) == ([3, 5], [0, 2])
    assert id_index.places(chunked(texts), chunked(["dd", "a"])).tolist() == [1, -1, -1, 1, 0, -1]
    assert id_index.places(chunked(["b"]), chunked(["a"])).tolist() == [-1]


def test_numbered_ids_do_not_collide() -> None:
    """Ids of several files that differ in a few bits only."""
    ids = [f"{file:08x}{row:08x}" for file in range(20) for row in range(5_000)]
    assert not len(id_index.shared(id_index.text_hashes(chunked(ids))))
