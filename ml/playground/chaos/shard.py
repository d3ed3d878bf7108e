"""Runs many seeds in one environment, and appends each result to a file, so that a killed shard can be continued."""

from __future__ import annotations

import contextlib
import gc
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ml.playground.chaos import captured_month, drawn_pictures
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.loop import Loop, Result, Scene, Training
from ml.playground.chaos.watch import Watch

_RUNS_OF_AN_ENVIRONMENT = 250
"""The emulators keep the results of jobs and their logs, so that they are started anew after as many runs."""
SceneName = Literal["training", "whole", "watch"]
"""From nothing to a served model; the same, a second model, a rollback and a failed gate; a served model's drift."""


def run(
    source: Path,
    seeds: Iterable[int],
    *,
    results: Path | None = None,
    scene: SceneName = "training",
    each: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """The results of the seeds that `results` does not have yet, each appended to it.

    Args:
        source: a checkout of the product.
        scene: what each run plays.
        each: called with each result.
    """
    done = {line["seed"] for line in read(results)} if results else set()
    left = [seed for seed in seeds if seed not in done]
    played: list[Result] = []
    for start in range(0, len(left), _RUNS_OF_AN_ENVIRONMENT):
        with tempfile.TemporaryDirectory(prefix="fraudops-chaos-") as folder:
            log = Path(folder) / "verbs.log"
            flush = {"flush_seconds": captured_month.FLUSH_SECONDS} if scene == "watch" else {}
            with (
                drawn_pictures.kept(),
                ChaosEnvironment(source, Path(folder), **flush) as environment,
                log.open("w", encoding="utf-8") as output,
            ):
                loop = Loop(environment, _scene(environment, scene))
                with contextlib.redirect_stderr(output):
                    loop.learn()
                with _kept_objects():
                    for seed in left[start : start + _RUNS_OF_AN_ENVIRONMENT]:
                        with contextlib.redirect_stderr(output):
                            result = loop.run(seed)
                        played.append(result)
                        if results is not None:
                            with results.open("a", encoding="utf-8") as file:
                                file.write(json.dumps(result.as_json()) + "\n")
                        each(result)
    return played


@contextmanager
def _kept_objects() -> Iterator[None]:
    """Excludes what exists now from garbage collection: millions of objects of service models, which all runs use."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _scene(environment: ChaosEnvironment, name: SceneName) -> Scene:
    return Watch(environment) if name == "watch" else Training(environment=environment, whole=name == "whole")


def read(results: Path) -> list[dict[str, Any]]:
    """The results in a file; none if there is no file. A line that a kill has cut off is left out."""
    if not results.is_file():
        return []
    lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
