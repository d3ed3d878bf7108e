"""Requests per second and latency of the serving image's server, compared with Flask, gunicorn and a joblib pipeline.

One core for the server, another for the load generator, sixteen connections, a row a request. Both servers run for all
rounds and get load in turn. Sampled answers are compared with the scorer.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.performance import score, servers, train, wrk
from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, Measured, alternate, cores, run

CONNECTIONS = 16
RPS_TARGET, P99_TARGET_MS = 70.0, 5.0
BODIES = 500
GUNICORN = (("--threads", "4"), ("--workers", "1"), ("--workers", "2"), ("--threads", "16"))
"""Settings to choose from; a quick run takes the first."""
TRIAL_SECONDS = 1.5
MANAGED = "SageMaker's scikit-learn serving stack, the archive's handler"
MAX_DIFFERENCE = 1e-9
HERE = ROOT / "tests/benchmarks/performance"


def measure(bench: Bench) -> list[Measured]:
    """Processor time of a request in both servers; in a full run also requests per second, p50 and p99."""
    data = train.rows(bench)
    train.train(data, train.SHIPPED)
    score.expected(data)
    folder = data.folder
    bodies = [",".join(map(repr, row)) for row in np.load(folder / "rows.npy", mmap_mode="r")[:BODIES].tolist()]
    (folder / "bodies.txt").write_text("\n".join(bodies))
    seconds = 2.0 if bench.quick else 6.0
    # A quick run is compared with one of another machine, which may have no wrk.
    generator = wrk.OWN if bench.quick else wrk.name()
    run([bench.peers, HERE / "serve_peer.py", folder / "model.json", folder / "pipeline.joblib"])
    options = GUNICORN[0] if bench.quick else max(GUNICORN, key=partial(_trial, bench, folder, generator))
    with ExitStack() as stack:
        started = {
            "ours": stack.enter_context(servers.ours(folder)),
            "peer": stack.enter_context(servers.gunicorn(bench, folder, options)),
        }
        if servers.STACK.exists() and not bench.quick:
            started["managed"] = stack.enter_context(servers.managed(folder))
        ways = {side: partial(_load, folder, generator, server, seconds) for side, server in started.items()}
        ended = alternate(ways, bench.rounds(7))
    size = f"{CONNECTIONS} connections of {generator}, 1 row a request"
    names = {"peer": f"Flask, gunicorn {' '.join(options)}, joblib pipeline", "managed": MANAGED}

    def row(name: str, figure: str, unit: str, target: float | None = None, peer: str = "peer") -> Measured:
        samples, peer_samples = (tuple(float(each[figure]) for each in ended[side]) for side in ("ours", peer))
        return Measured(
            name=name,
            samples=samples,
            peer_samples=peer_samples,
            peer_name=names[peer],
            unit=unit,
            size=size,
            higher_is_better=figure == "requests_per_second",
            target=target,
        )

    processor = row("serve_processor", "processor_us", "µs")
    if bench.quick:  # rates and latencies depend on what else the machine does
        return [processor]
    limit = Measured(
        name="serve_p99_limit",
        samples=tuple(float(each["p99_ms"]) for each in ended["ours"]),
        unit="ms",
        size=size,
        target=P99_TARGET_MS,
    )
    stack_rows = [
        row(f"serve_managed_{name}", figure, unit, peer="managed")
        for name, figure, unit in (
            ("rps", "requests_per_second", "requests/s"),
            ("processor", "processor_us", "µs"),
            ("p99_ms", "p99_ms", "ms"),
        )
        if "managed" in started
    ]
    return [
        row("serve_rps", "requests_per_second", "requests/s", RPS_TARGET),
        processor,
        row("serve_p50_ms", "p50_ms", "ms"),
        row("serve_p99_ms", "p99_ms", "ms"),
        limit,
        *stack_rows,
    ]


def _trial(bench: Bench, folder: Path, generator: str, options: tuple[str, ...]) -> float:
    """Requests per second with these options of gunicorn."""
    with servers.gunicorn(bench, folder, options) as server:
        return float(_load(folder, generator, server, TRIAL_SECONDS)["requests_per_second"])


def _load(folder: Path, generator: str, server: servers.Server, seconds: float) -> dict[str, Any]:
    """The figures of one round. Raises BenchFailed if a sampled answer is not the score of its row."""
    before = server.processor_seconds()
    answer = wrk.measure(server.port, folder / "bodies.txt", seconds, CONNECTIONS, cores()[-1], generator=generator)
    answer["processor_us"] = 1e6 * (server.processor_seconds() - before) / answer["requests"]
    known = np.load(folder / "scores.npy", mmap_mode="r")
    for place, body in answer["samples"]:
        (prediction,) = json.loads(body)["predictions"]
        if abs(prediction["score"] - known[place]) > MAX_DIFFERENCE:
            raise BenchFailed(f"serve: row {place} got {prediction['score']!r}, the scorer gives {known[place]!r}")
    if not answer["samples"]:
        raise BenchFailed("serve: too few answers to compare one")
    return answer
