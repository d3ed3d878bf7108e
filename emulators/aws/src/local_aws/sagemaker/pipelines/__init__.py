"""SageMaker Pipelines on this machine: executes the definition JSON itself, the one AWS would get.

    service      the AWS operations (StartPipelineExecution …), tokens, what was executed
    definition   parsing and checking; `paths`, `parameters`, `conditions` and `shapes` are its grammar
    execution    the scheduler: which step when, in parallel, stop and retry
    steps        what each step type does; `caching` and `retries` decide whether it does it, or does it again
    jobs         the file and environment contract of processing and training jobs; `storage`, `packing`, `logs`
    isolation    a job's own /opt/ml, Python and environment; `processes` runs and ends it
    images       which local command stands for an image's own program; `script_mode` is one such

It knows nothing of this project's own pipeline, and never installs into the Python that runs it.
"""

from __future__ import annotations

from local_aws.sagemaker.pipelines.image_commands import ImageMap
from local_aws.sagemaker.pipelines.isolation import Isolation
from local_aws.sagemaker.pipelines.operations import PipelineService

__all__ = ["ImageMap", "Isolation", "PipelineService"]
