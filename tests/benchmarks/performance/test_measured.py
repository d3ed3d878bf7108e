"""How benchmarks are timed: alternation, medians, ratios, and processes whose memory is their own."""

from __future__ import annotations

import sys

import pytest

from tests.benchmarks.performance.measured import BenchFailed, Measured, alternate, fastest, limited, run


def row(samples: tuple[float, ...], peer: tuple[float, ...] = (), **more: object) -> Measured:
    fields = {"name": "train_x1", "unit": "s", "size": "10 rows", "samples": samples, "peer_samples": peer} | more
    return Measured(**fields)  # type: ignore[arg-type] # the fields of the dataclass


def test_time_ratio_is_peer_over_ours() -> None:
    """Medians make the ratio; the best ratio is that of the best round."""
    found = row((1.0, 2.0, 9.0), (10.0, 4.0, 9.0))
    assert (found.ours, found.peer, found.ratio, found.best_ratio) == (2.0, 9.0, 4.5, 10.0)


def test_rate_ratio_is_ours_over_peer() -> None:
    """More requests per second are better."""
    assert row((300.0,), (100.0,), higher_is_better=True).ratio == 3.0


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (row((1.0,), (15.0,), target=15.0), True),
        (row((1.0,), (14.0,), target=15.0), False),
        (row((9.0,), target=10.0), True),
        (row((11.0,), target=10.0), False),
        (row((1.0,), (2.0,)), None),
    ],
)
def test_target_is_a_ratio_or_without_a_peer_a_limit(found: Measured, met: bool | None) -> None:
    """A ratio must reach its target; a figure without a peer must not exceed it."""
    assert found.met is met


def test_row_without_a_peer_has_no_ratio() -> None:
    """bench.json has null there."""
    found = row((3.0, 1.0, 2.0)).to_dict()
    assert (found["ratio"], found["peer"], found["peer_name"], found["best_ratio"]) == (None, None, None, None)
    assert (found["ours"], found["unit"], found["size"], found["rounds"]) == (2.0, "s", "10 rows", 3)


def test_every_other_round_is_reversed() -> None:
    """Each way runs once in each round, and first in half of them."""
    order: list[str] = []

    def call(name: str) -> int:
        order.append(name)
        return len(order)

    found = alternate({name: lambda name=name: call(name) for name in "abc"}, 3)  # type: ignore[misc]
    assert "".join(order) == "abccbaabc"
    assert found == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_fastest_number_of_threads_is_taken() -> None:
    """One thread, or one for each core."""
    assert fastest(lambda threads: 1.0 if threads == 1 else 2.0) == 1


def test_process_answers_with_json_and_its_peak_memory() -> None:
    """The last line is the answer, threads are limited, and the peak is that of the process."""
    program = (
        "import json, os; block = bytearray(300_000_000); block[::4096] = b'1' * len(block[::4096]); "
        "print('noise'); print(json.dumps({'threads': os.environ['OMP_NUM_THREADS']}))"
    )
    ended = run([sys.executable, "-c", program], threads=3)
    assert ended.answer == {"threads": "3"}
    assert ended.peak_megabytes > 290
    assert set(limited(3).values()) == {"3"}


def test_failed_process_fails_the_benchmark() -> None:
    """The message has the exit code and the command."""
    with pytest.raises(BenchFailed, match=r"exit code 3 of .*sys.exit\(3\)"):
        run([sys.executable, "-c", "import sys; sys.exit(3)"])
