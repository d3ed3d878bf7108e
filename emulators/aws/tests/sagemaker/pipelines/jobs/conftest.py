"""Each isolation mode."""

from __future__ import annotations

import pytest
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from pipeline_jobs import PipelineAws


@pytest.fixture(params=["namespace", "relocate"])
def mode(request: pytest.FixtureRequest, aws: PipelineAws) -> Mode:
    """Each isolation mode."""
    chosen: Mode = request.param
    isolation = Isolation(chosen)
    if chosen == "namespace" and not Isolation("auto").prefix:
        pytest.skip("this system allows no mount namespaces")
    aws.serve(isolation=isolation)
    return chosen
