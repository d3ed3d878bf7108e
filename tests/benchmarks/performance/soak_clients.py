"""The clients of the soak: threads that call InvokeEndpoint with boto3 at a rate, or as fast as answers come.

Argument: a JSON file with environment, endpoint, prefix (of the inference ids), seconds, rate (0: as fast as possible)
and ids (the file for the ids of answered requests). Prints JSON: answered, errors, p50_ms, p99_ms. Latency is counted
from the moment at which a request was due.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

THREADS = 8
BODY = "3600.0,0.5,-1.25,9.99"
MAX_ERRORS = 20


@dataclass
class Sent:
    """What one thread has sent."""

    ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def send(settings: dict[str, Any], number: int, begin: float, sent: Sent) -> None:
    """Sends the requests of one thread, each THREADS-th of all."""
    options = Config(retries={"total_max_attempts": 1}, max_pool_connections=1)
    client = boto3.client("sagemaker-runtime", config=options)
    rate, end = settings["rate"], begin + settings["seconds"]
    place = number
    while True:
        now = time.perf_counter()
        due = begin + place / rate if rate else max(now, begin)
        if due >= end:
            return
        if due > now:
            time.sleep(due - now)  # the load has a rate of its own: no request is sent before it is due
        name = f"{settings['prefix']}-{place}"
        try:
            answer = client.invoke_endpoint(
                EndpointName=settings["endpoint"], ContentType="text/csv", InferenceId=name, Body=BODY
            )
            prediction = json.loads(answer["Body"].read())["predictions"][0]
            if not 0 < prediction["score"] < 1:
                raise ValueError(f"score {prediction['score']!r}")  # noqa: TRY301 - counts as any other error
        except (BotoCoreError, ClientError, ValueError) as error:
            sent.errors.append(f"{name}: {error}")
            if len(sent.errors) > MAX_ERRORS:
                return
        else:
            sent.ids.append(name)
            sent.seconds.append(time.perf_counter() - due)
        place += THREADS


def main() -> int:
    """Prints one line of JSON."""
    settings = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    os.environ.update(settings["environment"])
    begin = time.perf_counter() + 0.5
    every = [Sent() for _ in range(THREADS)]
    threads = [threading.Thread(target=send, args=(settings, number, begin, sent)) for number, sent in enumerate(every)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Path(settings["ids"]).write_text("\n".join(name for sent in every for name in sent.ids))
    taken = sorted(seconds for sent in every for seconds in sent.seconds)
    errors = [error for sent in every for error in sent.errors]
    figures = {"answered": len(taken), "errors": errors}
    if taken:
        figures |= {"p50_ms": 1e3 * taken[len(taken) // 2], "p99_ms": 1e3 * taken[int(0.99 * len(taken))]}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
