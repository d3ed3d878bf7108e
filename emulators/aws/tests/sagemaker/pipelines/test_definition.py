"""Validation of pipeline definitions, with CreatePipeline's error messages."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from local_aws.errors import AwsError
from local_aws.sagemaker.pipelines import conditions, definition, names, reference_paths, step_cache
from pipeline_jobs import ROLE, PipelineAws, processing, training

Json = dict[str, Any]
PARTS = st.lists(
    st.one_of(
        st.integers(0, 10**6),
        st.text(st.characters(codec="utf-8", exclude_characters="'\n"), min_size=1),
        st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True),
    ),
    min_size=1,
    max_size=6,
)


def refusal(steps: Any, parameters: Any = (), **members: Any) -> str:
    """The error message for a definition."""
    raw = {"Version": "2020-12-01", "Parameters": list(parameters), "Steps": steps, **members}
    with pytest.raises(AwsError) as caught:
        definition.parse(json.dumps(raw))
    assert caught.value.code == "ValidationException"
    assert str(caught.value).startswith("Unable to parse pipeline definition. ")
    return str(caught.value)


def step(name: str = "A", **members: Any) -> Json:
    """A small step with some members changed."""
    return {**processing(name, ["true"]), **members}


def having(reference: Any) -> Json:
    """A step with a reference in its environment."""
    return processing("A", ["true"], arguments={"Environment": {"X": reference}})


def json_get(reference: str) -> Json:
    """A JsonGet of a property file."""
    return {"Std:JsonGet": {"PropertyFile": {"Get": reference}, "Path": "x"}}


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step(Type="Teleport")], "unknown step type 'Teleport'"),
        ([step(Type="Transform")], "the AWS emulator does not execute steps of type 'Transform'"),
        ([step(), step()], "Duplicate step names found: [A]"),
        ([step(DependsOn=["B"])], "depends on step 'B', which does not exist"),
        ([step(DependsOn=["B"]), step("B", DependsOn=["A"])], "Cycle detected"),
        ([step(DependsOn=["A"])], "Cycle detected"),
        ([], "at least one step"),
        ({}, "Expecting start of Json Array."),
        ([step("white space")], "Invalid step name"),
        ([step(Colour="red")], "unknown property 'Colour'"),
        ([step(CacheConfig={"Enabled": True, "ExpireAfter": "soon"})], "not an ISO 8601 duration"),
        ([step(RetryPolicies=[{"ExceptionType": ["Bad.LUCK"]}])], "ExceptionType of a retry policy"),
        ([having({"Get": "Parameters.Missing"})], "parameter that the pipeline does not declare"),
        ([having({"Get": "Execution.Weather"})], "Unknown execution variable"),
        ([having({"Get": "Execution.TrainingJobName"})], "Unknown execution variable"),
        ([having({"Get": "Steps.B.ProcessingJobArn"})], "step that does not exist"),
        ([having({"Get": "Steps"})], "Invalid reference"),
        ([having({"Get": "Steps.A..b"})], "malformed path"),
        ([having({"Get": 3})], "must be a string"),
        ([having({"Std:Upper": "x"})], "Unknown function 'Std:Upper'"),
        ([having({"Std:Join": {"On": "-"}})], "a list of 'Values'"),
        ([having(json_get("Steps.A.PropertyFiles.F"))], "no step declares"),
        ([having({"Get": "Steps.B.Nonsense"}), step("B")], "DescribeProcessingJob returns no 'Nonsense'"),
        ([having({"Get": "Steps.B.X"}), step("B", Type="Fail", Arguments={"ErrorMessage": ""})], "no properties"),
        ([step(PropertyFiles=[{"PropertyFileName": "F", "OutputName": "o", "FilePath": "f"}])], "output 'o'"),
        ([step(Arguments={})], "Missing required Argument member"),
        ([step(Arguments=None)], "must have Arguments"),
    ],
)  # fmt: skip
def test_malformed_unknown_or_cyclic_steps_are_refused(steps: Any, words: str) -> None:
    """The refusal comes before anything runs and names the step or the reference."""
    assert words in refusal(steps)


def test_step_arguments_are_validated_like_aws() -> None:
    """Unknown members and wrong structures are refused with CreatePipeline's messages."""
    unknown = processing("A", ["true"], arguments={"Colour": "red"})
    assert "Unknown Argument member 'Colour'." in refusal([unknown])
    network = {"VpcConfig": {"SecurityGroupIds": {"Get": "Parameters.Groups"}, "Subnets": ["subnet-1"]}}
    listed = processing("A", ["true"], arguments={"NetworkConfig": network})
    assert "Expecting start of Json Array." in refusal([listed], [{"Name": "Groups", "Type": "String"}])
    named = {"Name": "R", "Type": "RegisterModel", "Arguments": {"ModelPackageName": "x"}}
    assert "Unknown Argument member 'ModelPackageName'." in refusal([named])


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([{"Name": "P", "Type": "Date"}], "Unknown type"),
        ([{"Name": "P", "Type": "String"}, {"Name": "P", "Type": "String"}], "Duplicate parameter names"),
        ([{"Name": "P", "Type": "Integer", "DefaultValue": "1"}], "must be of type Integer"),
        ([{"Name": "P", "Type": "Integer", "DefaultValue": True}], "must be of type Integer"),
        ([{"Name": "P", "Type": "String", "DefaultValue": "c", "EnumValues": ["a", "b"]}], "not one of its EnumValues"),
    ],
)
def test_parameter_declarations_are_validated(parameters: list[Json], words: str) -> None:
    """A declaration's type, default and choices must agree."""
    assert words in refusal([step()], parameters)


def test_text_that_is_no_definition_is_refused() -> None:
    """Invalid JSON, a value that is no object, and another version."""
    for text, words in (("{", "Invalid JSON"), ("[]", "Json Object"), ('{"Version": "2019-01-01"}', "version")):
        with pytest.raises(AwsError, match=words):
            definition.parse(text)


def test_create_and_update_pipeline_refuse_invalid_definitions(aws: PipelineAws) -> None:
    """A malformed definition never becomes a pipeline, and does not replace a good one."""
    good = aws.create([step()])
    bad = json.dumps({"Version": "2020-12-01", "Steps": [step(Type="Teleport")]})
    sagemaker = aws.client("sagemaker")
    with pytest.raises(ClientError, match=r"ValidationException.*Teleport"):
        sagemaker.create_pipeline(PipelineName="bad", PipelineDefinition=bad, RoleArn=ROLE, ClientRequestToken="t" * 32)
    with pytest.raises(ClientError, match=r"ValidationException.*Teleport"):
        sagemaker.update_pipeline(PipelineName=good, PipelineDefinition=bad)
    assert json.loads(sagemaker.describe_pipeline(PipelineName=good)["PipelineDefinition"])["Steps"] == [step()]


def test_branch_step_needs_its_condition() -> None:
    """A step of a branch depends on its condition; a condition that needs its own branch is a cycle."""
    check = {"Type": "Equals", "LeftValue": {"Get": "Steps.A.ProcessingJobStatus"}, "RightValue": "Completed"}
    gate = {
        "Name": "G",
        "Type": "Condition",
        "Arguments": {"Conditions": [check], "IfSteps": [step("B")], "ElseSteps": []},
    }
    parsed = definition.parse(json.dumps({"Version": "2020-12-01", "Steps": [gate, step("A")]}))
    assert parsed.steps["G"].needs == {"A"}
    assert parsed.steps["B"].needs == {"G"}
    assert parsed.steps["B"].branch == ("G", True)
    looped: Any = copy.deepcopy(gate)
    looped["Arguments"]["IfSteps"] = [step("A")]
    assert "Cycle detected" in refusal([looped])


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"Type": "Not", "Expression": {}}, "unknown property 'Expression'"),
        ({"Type": "Perhaps"}, "unknown condition type 'Perhaps'"),
        ({"Type": "Or", "Conditions": {}}, "Json Array"),
        ({"Type": "Equals", "LeftValue": 1}, "property 'RightValue'"),
        ({"Type": "Equals", "LeftValue": None, "RightValue": 1}, "property 'LeftValue' of condition 'Equals' is null"),
        ({"Type": "Not", "Condition": None}, "property 'Condition' of condition 'Not' is null"),
        ({"Type": "In", "QueryValue": None, "Values": []}, "property 'QueryValue' of condition 'In' is null"),
        ("true", "Json Object"),
    ],
)
def test_malformed_conditions_are_refused(condition: Any, words: str) -> None:
    """The grammar of conditions is checked with the definition."""
    gate = {"Name": "G", "Type": "Condition", "Arguments": {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}}
    assert words in refusal([gate])


def compare(kind: str, left: Any, right: Any) -> bool:
    """The truth of a comparison."""
    return conditions.holds({"Type": kind, "LeftValue": left, "RightValue": right})


@given(st.integers() | st.floats(allow_nan=False), st.integers() | st.floats(allow_nan=False))
def test_conditions_compare_numbers(left: float, right: float) -> None:
    """Each comparison equals Python's operator; Not, Or and In agree with them."""
    assert compare("GreaterThan", left, right) is (left > right)
    assert compare("GreaterThanOrEqualTo", left, right) is (left >= right)
    assert compare("LessThan", left, right) is (left < right)
    assert compare("LessThanOrEqualTo", left, right) is (left <= right)
    equal = {"Type": "Equals", "LeftValue": left, "RightValue": right}
    assert conditions.holds({"Type": "Not", "Condition": equal}) is (left != right)
    assert conditions.holds({"Type": "Or", "Conditions": [equal, {"Type": "Not", "Condition": equal}]})
    assert conditions.holds({"Type": "In", "QueryValue": left, "Values": [right, left]})


def test_values_without_order_are_not_compared() -> None:
    """A number is not greater than a string, and true is not one."""
    with pytest.raises(conditions.ConditionError):
        compare("GreaterThan", 1, "0")
    assert not compare("Equals", True, 1)


def test_operand_that_resolves_to_null_fails_the_step() -> None:
    """The resolution of references leaves out null members; the error names the operand, and no KeyError escapes."""
    with pytest.raises(conditions.ConditionError, match="Equals has no LeftValue: its value is null"):
        conditions.holds({"Type": "Equals", "RightValue": 1})
    with pytest.raises(conditions.ConditionError, match="GreaterThan cannot compare null with 1"):
        compare("GreaterThan", None, 1)
    assert not compare("Equals", None, 1)


@given(PARTS)
def test_rendered_path_parses_to_the_same_parts(parts: list[reference_paths.Part]) -> None:
    """render and parse are inverse for all keys."""
    text = reference_paths.render(parts)
    assert reference_paths.parse(text) == tuple(parts)
    assert reference_paths.parse(f"${text}" if text.startswith("[") else f"$.{text}") == tuple(parts)


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    """A malformed path raises PathError and nothing else."""
    try:
        parts = reference_paths.parse(text)
    except reference_paths.PathError:
        return
    assert parts


@pytest.mark.parametrize("path", ["a..b", "a.", ".", "", "$", "a[", "a[x]", "a['b", "a b", "a]b"])
def test_malformed_paths_are_refused(path: str) -> None:
    """A path has only names, keys and indexes."""
    with pytest.raises(reference_paths.PathError):
        reference_paths.parse(path)


def test_name_selects_an_element_of_a_list() -> None:
    """Outputs['train'] is the output with that name; a missing one is an error with its path."""
    value = {"Outputs": [{"OutputName": "a"}, {"OutputName": "train", "S3Output": {"S3Uri": "s3://x"}}]}
    assert reference_paths.resolve(value, reference_paths.parse("Outputs['train'].S3Output.S3Uri")) == "s3://x"
    with pytest.raises(reference_paths.PathError, match=r"'Outputs\[7\]' does not exist"):
        reference_paths.resolve(value, reference_paths.parse("Outputs[7].S3Output"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT1H", timedelta(hours=1)),
        ("30d", timedelta(days=30)),
        ("T16m", timedelta(minutes=16)),
        ("30dT5h", timedelta(days=30, hours=5)),
        ("P1W", timedelta(weeks=1)),
    ],
)
def test_cache_lifetime_is_an_iso_duration(text: str, expected: timedelta) -> None:
    """Both forms of SageMaker's guide are parsed."""
    assert step_cache.lifetime({"Enabled": True, "ExpireAfter": text}, "Training") == expected
    assert step_cache.lifetime({"Enabled": False, "ExpireAfter": text}, "Training") is None


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_job_names_have_sagemakers_format(name: str) -> None:
    """At most 63 characters, letters, digits and single hyphens inside, different each time."""
    made = names.job_name("abcdefghijkl", name)
    assert len(made) <= 63
    assert made.startswith("pipelines-abcdefghijkl-")
    assert all(part.isalnum() for part in made.split("-") if part)
    assert made != names.job_name("abcdefghijkl", name)


def test_order_of_steps_in_a_definition_does_not_matter() -> None:
    """References define the order of the steps."""
    train = training(
        "Train",
        ["true"],
        "s3://b/m",
        channels={"a": {"Get": "Steps.A.ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri"}},
    )
    made = processing("A", ["true"], outputs={"o": "s3://b/o"})
    for steps in ([train, made], [made, train]):
        assert definition.parse(json.dumps({"Version": "2020-12-01", "Steps": steps})).steps["Train"].needs == {"A"}
