"""Finds equal ids and texts among millions by hashes of 64 bits, and compares the texts where hashes are equal.

Exact whatever the hashes are: those that are equal by chance only cost time. A hash table of all texts would take more
memory than the rows themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS, _LAST_SHIFT = (np.uint64(30), np.uint64(27)), np.uint64(31)
_WORD_BYTES = 8


def mixed(hashes: Hashes, bits: Hashes) -> Hashes:
    """The hashes of what `hashes` stand for followed by `bits` (the finaliser of SplitMix64, Steele et al. 2014).

    Each bit reaches all others before the next word follows: ids that are numbered differ in few bits, and with a
    weaker mixture those of two words cancel out.
    """
    made = hashes ^ bits
    for factor, shift in zip(_FACTORS, _SHIFTS, strict=True):
        made ^= made >> shift
        made *= factor
    made ^= made >> _LAST_SHIFT
    return made


def text_hashes(texts: pa.ChunkedArray) -> Hashes:
    """The hash of each text; equal texts have equal hashes. No text is missing."""
    return np.concatenate(
        [np.empty(0, dtype=np.uint64), *(_chunk_hashes(chunk) for chunk in texts.chunks if len(chunk))]
    )


def _chunk_hashes(texts: pa.StringArray) -> Hashes:
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    size = -(-(last - first) // _WORD_BYTES) + 2
    padded = np.zeros(size * _WORD_BYTES, dtype=np.uint8)
    if last > first:
        padded[: last - first] = np.frombuffer(content, dtype=np.uint8)[first:last]
    words = padded.view("<u8")
    starts, lengths = ends[:-1] - first, np.diff(ends)
    made = lengths.astype(np.uint64)
    active = np.arange(len(texts))
    for done in range(0, int(lengths.max(initial=0)), _WORD_BYTES):
        if int(lengths[active].min()) <= done:
            active = active[lengths[active] > done]
        made[active] = mixed(made[active], _words(words, starts[active] + done, lengths[active] - done))
    return made


def _words(words: Hashes, at: NDArray[np.int64], left: NDArray[np.int64]) -> Hashes:
    """The eight bytes at the places `at`, zeros from the byte `left` on."""
    place, shift = at >> 3, (at & 7).astype(np.uint64) << np.uint64(3)
    found = words[place] >> shift
    found |= (words[place + 1] << np.uint64(1)) << (np.uint64(63) - shift)
    unused = (np.uint64(_WORD_BYTES) - np.minimum(left, _WORD_BYTES).astype(np.uint64)) << np.uint64(3)
    kept: Hashes = found & (np.uint64(0xFFFFFFFFFFFFFFFF) >> unused)
    return kept


def shared(hashes: Hashes) -> NDArray[np.intp]:
    """The places of the hashes that occur more than once."""
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return np.empty(0, dtype=np.intp)
    found = np.searchsorted(repeated, hashes)
    found[found == len(repeated)] = 0
    return np.flatnonzero(repeated[found] == hashes)


def repeats(texts: pa.ChunkedArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of the texts that occur before, and for each of them the place of the first one."""
    candidates = shared(text_hashes(texts))
    among = texts.take(pa.array(candidates)).combine_chunks()
    first = _indices(among, among)
    later = first != np.arange(len(first))
    return candidates[later], candidates[first[later]]


def places(texts: pa.ChunkedArray, among: pa.ChunkedArray) -> NDArray[np.intp]:
    """The place of each text among others that are all different; -1 if it is not there."""
    if texts.equals(among):
        return np.arange(len(texts))
    wanted, known = text_hashes(texts), text_hashes(among)
    order, queries = np.argsort(known), np.argsort(wanted)  # ascending queries find their place in the cache
    ordered = known[order]
    found = np.empty(len(wanted), dtype=np.intp)
    found[queries] = np.searchsorted(ordered, wanted[queries])
    inside = found < len(ordered)
    inside[inside] = ordered[found[inside]] == wanted[inside]
    made = np.full(len(wanted), -1, dtype=np.intp)
    made[inside] = order[found[inside]]
    matched = pc.equal(texts.take(pa.array(np.flatnonzero(inside))), among.take(pa.array(made[inside])))
    if np.any(ordered[1:] == ordered[:-1]) or not pc.all(matched, min_count=0).as_py():
        return _indices(texts, among.combine_chunks())
    return made


def _indices(texts: Any, among: pa.StringArray) -> NDArray[np.intp]:
    """Arrow's own look-up: -1 for a text that is not there."""
    found = pc.fill_null(pc.index_in(texts, value_set=among), -1)
    made: NDArray[np.intp] = found.to_numpy().astype(np.intp)
    return made
