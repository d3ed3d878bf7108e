"""Step caching."""

from __future__ import annotations

from pipeline_jobs import PipelineAws, processing, python


def test_cached_step_is_not_run_again(aws: PipelineAws) -> None:
    """The second execution uses the first one's result, also in references; other inputs run again."""
    source, count = aws.put("in/rows.csv", "1\n"), aws.folder / "count"
    steps = [
        processing(
            "Prepare",
            python(f"open({str(count)!r}, 'a').write('x'); open('/opt/ml/processing/out/a', 'w').write('made')"),
            inputs={"in": {"Get": "Parameters.Source"}},
            outputs={
                "out": {
                    "Std:Join": {
                        "On": "/",
                        "Values": [f"s3://{aws.bucket}", {"Get": "Execution.PipelineExecutionId"}],
                    }
                }
            },
            CacheConfig={"Enabled": True, "ExpireAfter": "30d"},
        ),
        processing(
            "Use",
            ["test", "-e", "/opt/ml/processing/made/a"],
            inputs={"made": {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}},
        ),
    ]
    pipeline = aws.create(steps, [{"Name": "Source", "Type": "String", "DefaultValue": source}])
    first = aws.start(pipeline)
    assert aws.finish(first)["PipelineExecutionStatus"] == "Succeeded"
    second = aws.start(pipeline)
    assert aws.finish(second)["PipelineExecutionStatus"] == "Succeeded"
    hit = aws.steps(second)["Prepare"]
    assert hit["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert hit["Metadata"] == aws.steps(first)["Prepare"]["Metadata"]
    assert count.read_text() == "x"
    other = aws.put("other/rows.csv", "2\n")
    third = aws.start(pipeline, PipelineParameters=[{"Name": "Source", "Value": other}])
    assert aws.finish(third)["PipelineExecutionStatus"] == "Succeeded"
    assert "CacheHitResult" not in aws.steps(third)["Prepare"]
    assert count.read_text() == "xx"


def test_forgotten_results_run_again(aws: PipelineAws) -> None:
    """`forget` drops ended executions; the results of other steps than the named one stay in the cache."""
    count = aws.folder / "count"
    cached = {"CacheConfig": {"Enabled": True, "ExpireAfter": "30d"}}
    steps = [
        processing(name, python(f"open({str(count)!r}, 'a').write({name!r})", name), **cached) for name in ("A", "B")
    ]
    pipeline = aws.create(steps)
    aws.finish(aws.start(pipeline))
    aws.service.wait(aws.start(pipeline), 60)
    assert sorted(count.read_text()) == ["A", "B"]
    aws.service.forget(cached_step="B")
    assert aws.client("sagemaker").list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"] == []
    aws.finish(aws.start(pipeline))
    assert sorted(count.read_text()) == ["A", "B", "B"]
