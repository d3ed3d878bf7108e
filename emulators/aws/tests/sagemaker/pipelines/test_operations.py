"""The operations on executions: parameters, request tokens, lists."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError
from pipeline_jobs import Json, PipelineAws, processing


def test_request_token_starts_one_execution(aws: PipelineAws) -> None:
    """The same token gives the same ARN; with other parameters it is refused."""
    pipeline = aws.create([processing("A", ["true"])], [{"Name": "P", "Type": "String", "DefaultValue": "a"}])
    token = uuid.uuid4().hex
    arn = aws.start(pipeline, ClientRequestToken=token)
    assert aws.start(pipeline, ClientRequestToken=token) == arn
    with pytest.raises(ClientError, match="ValidationException"):
        aws.start(pipeline, ClientRequestToken=token, PipelineParameters=[{"Name": "P", "Value": "b"}])
    listed = aws.client("sagemaker").list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]
    assert [entry["PipelineExecutionArn"] for entry in listed] == [arn]
    aws.finish(arn)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "without a default: [Count]"),
        ([{"Name": "Count", "Value": "many"}], "must be of type Integer"),
        ([{"Name": "Count", "Value": "1"}, {"Name": "Size", "Value": "huge"}], "not one of the EnumValues"),
        ([{"Name": "Count", "Value": "1"}, {"Name": "Other", "Value": "1"}], "Unknown parameter"),
    ],
)
def test_start_validates_parameters(aws: PipelineAws, given: list[Json], words: str) -> None:
    """Missing, ill-typed, not enumerated and unknown parameters are a ValidationException."""
    pipeline = aws.create(
        [processing("A", ["true"])],
        [
            {"Name": "Count", "Type": "Integer"},
            {"Name": "Size", "Type": "String", "DefaultValue": "small", "EnumValues": ["small", "large"]},
        ],
    )
    with pytest.raises(ClientError) as caught:
        aws.start(pipeline, PipelineParameters=given)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert words in caught.value.response["Error"]["Message"]


def test_lists_are_paged_and_unknown_arns_are_not_found(aws: PipelineAws) -> None:
    """NextToken continues after the page; an unknown execution is ResourceNotFound."""
    arn, _ = aws.run([processing(name, ["true"]) for name in "ABC"])
    sagemaker = aws.client("sagemaker")
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [[step["StepName"] for step in page["PipelineExecutionSteps"]] for page in pages] == [["A", "B"], ["C"]]
    definition = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    assert len(json.loads(definition["PipelineDefinition"])["Steps"]) == 3
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=f"{arn[:-12]}{'0' * 12}")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sagemaker.start_pipeline_execution(PipelineName="nowhere")
