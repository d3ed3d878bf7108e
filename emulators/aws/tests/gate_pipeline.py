"""A pipeline that evaluates a model, and registers it or fails."""

from __future__ import annotations

from typing import Any

from pipeline_jobs import Json, PipelineAws, processing, python


def condition(name: str, conditions: list[Json], then: list[Json], otherwise: list[Json]) -> Json:
    """A Condition step."""
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": conditions, "IfSteps": then, "ElseSteps": otherwise},
    }


def fail(name: str, message: Any) -> Json:
    """A Fail step."""
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def gate(aws: PipelineAws, recall: float | None) -> list[Json]:
    """Evaluate → Gate → Register or Fail, with the gate on a nested member of a property file; None writes null."""
    model = aws.put("models/model.tar.gz", b"a model")
    evaluate = processing(
        "Evaluate",
        python(
            "import json, pathlib; pathlib.Path('/opt/ml/processing/report/evaluation.json').write_text(json.dumps("
            f"{{'metrics': [{{'re-call': {{'value': {recall}}}}}], 'reason': 'too few'}}))"
        ),
        outputs={
            "report": {
                "Std:Join": {"On": "/", "Values": [f"s3://{aws.bucket}", {"Get": "Execution.PipelineExecutionId"}]}
            }
        },
        PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}],
    )
    report = {"Get": "Steps.Evaluate.PropertyFiles.Report"}
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": f"group-{aws.bucket}",
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": {
                "reason": {"Std:JsonGet": {"PropertyFile": report, "Path": "$.reason"}},
                "execution": {"Get": "Execution.PipelineExecutionArn"},
            },
            "InferenceSpecification": {
                "Containers": [{"Image": "image", "ModelDataUrl": model}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "SkipModelValidation": "None",
            "ModelPackageDescription": None,
        },
    }
    return [
        evaluate,
        condition(
            "Gate",
            [
                {
                    "Type": "GreaterThan",
                    "LeftValue": {"Std:JsonGet": {"PropertyFile": report, "Path": "metrics[0]['re-call'].value"}},
                    "RightValue": {"Get": "Parameters.Minimum"},
                }
            ],
            [register],
            [
                fail(
                    "Missed",
                    {
                        "Std:Join": {
                            "On": ": ",
                            "Values": ["Gate failed", {"Std:JsonGet": {"PropertyFile": report, "Path": "reason"}}],
                        }
                    },
                )
            ],
        ),
    ]


MINIMUM = [{"Name": "Minimum", "Type": "Float", "DefaultValue": 0.6}]
