"""Runs the real workflow files on both emulators once, and prints the seconds of the loop as JSON.

A commit of a settings file trains and opens the approval pull request; the merge deploys. Jobs are the steps of the
SageMaker pipeline; their seconds are those that SageMaker's API reports.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from ml import config
from ml.aws import endpoint, executions, platform_stack, session
from tests.harness.workflows import environment
from tests.waiting import wait_until

POLLS = 30_000


def main() -> int:
    """Prints one line of JSON."""
    with tempfile.TemporaryDirectory() as folder, environment.started(Path(folder)) as env:
        environment.equip(env)
        environment.fill(env)
        began = time.perf_counter()
        env.set_values(config.GATE, {"min_recall": 0.61}, "Ask for more")
        wait_until(lambda: env.bot.api.get_pulls().totalCount, POLLS)
        proposed = time.perf_counter() - began
        jobs = _job_seconds()
        env.runs()
        env.switch("ci.yml", on=False)
        began = time.perf_counter()
        env.bot.merge(1)
        wait_until(_serves, POLLS)
        served = time.perf_counter() - began
        env.runs()
    print(json.dumps({"proposed": proposed, "jobs": jobs, "served": served}))
    return 0


def _job_seconds() -> float:
    """The seconds of all steps of the only execution."""
    client = session.client("sagemaker")
    (pipeline,) = client.list_pipelines()["PipelineSummaries"]
    (execution,) = client.list_pipeline_executions(PipelineName=pipeline["PipelineName"])["PipelineExecutionSummaries"]
    steps = executions.describe(execution["PipelineExecutionArn"]).steps
    return sum(step.seconds or 0.0 for step in steps if step.job_arn)


def _serves() -> bool:
    state = endpoint.describe(platform_stack.endpoint_name())
    return state is not None and not state.moving


if __name__ == "__main__":
    sys.exit(main())
