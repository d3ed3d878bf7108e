"""Builds the training pipeline's definition and uploads it to SageMaker; equal inputs give equal bytes.

The inputs of a run (data, settings, code, champion, commit) are parameters; the definition itself holds what belongs to
the platform and to `compute` in model.yaml. Commit, requests and champion reach no argument of Prepare and Train, so
that SageMaker's step cache works across commits. A run of another kind than `fit` starts from the champion: its
BaseModelUri, which Train reads, names the champion; that of a fit names the placeholder.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ml.aws import session
from ml.aws.pipeline import definition_cache
from ml.aws.pipeline.sdk import quiet

if TYPE_CHECKING:
    from ml.aws.platform_stack import Platform
    from ml.config import ModelFile

NO_CHAMPION = "champions/none/"
"""The prefix in the bucket that ChampionUri names if no model serves, and BaseModelUri if the run is a fit."""
_DESCRIPTION = (
    "Prepare, Train, Evaluate, Gate, then Register or stop. Made by fraudops from Git; edits are overwritten."
)

_AGAIN = "Prepare, Train, Evaluate: trains an approval again to compare it. Made by fraudops reproduce."


def definition(platform: Platform, training: ModelFile) -> str:
    """The pipeline's definition as JSON with sorted keys. Calls nothing and needs no credentials.

    Equal platforms and equal `compute` give equal bytes, in any process and on any day; so a runner's tool cache may
    hold it.

    Raises:
        NoImage: the image that the jobs run in is not published in the platform's region.
    """
    return definition_cache.cached(platform, training, lambda: _build(platform, training))


def reproduction(platform: Platform, training: ModelFile) -> str:
    """The same jobs without step cache, gate and registration: they end with the archive that Evaluate writes.

    Raises:
        NoImage: the image that the jobs run in is not published in the platform's region.
    """
    document = json.loads(definition(platform, training))
    jobs = [step for step in document["Steps"] if step["Type"] in ("Processing", "Training")]
    document["Steps"] = [{key: value for key, value in step.items() if key != "CacheConfig"} for step in jobs]
    return json.dumps(document, sort_keys=True, indent=2)


def _build(platform: Platform, training: ModelFile) -> str:
    with quiet(platform.region):
        from ml.aws.pipeline.steps import Workflow

        workflow = Workflow(platform=platform, training=training, no_champion=f"s3://{platform.bucket}/{NO_CHAMPION}")
        text = workflow.definition()
    return json.dumps(json.loads(text), sort_keys=True, indent=2)


def upsert(platform: Platform, text: str, *, pipeline: str | None = None) -> None:
    """Makes `text` the definition of later executions; running executions keep theirs.

    Args:
        pipeline: the pipeline's name; None for the training pipeline.

    Raises:
        CloudError: AWS refuses the definition, or the role may not be passed.
    """
    from botocore.exceptions import ClientError

    name = pipeline or platform.pipeline
    request = {
        "PipelineName": name,
        "PipelineDisplayName": name,
        "PipelineDescription": _DESCRIPTION if pipeline is None else _AGAIN,
        "PipelineDefinition": text,
        "RoleArn": platform.execution_role_arn,
    }
    sagemaker = session.client("sagemaker")
    with session.explained(f"putting pipeline {name}"):
        try:
            sagemaker.create_pipeline(**request)
        except ClientError as error:
            # SageMaker has no error code for a name that exists already.
            if "already exists" not in str(error):
                raise
            sagemaker.update_pipeline(**request)
