"""Which statements and actions of infra/*.yaml the demo does not use, and the test that does; not a test itself.

A test of the tables must need its statements and use each of their actions that no comment of the template justifies:
together with the demo, the tests use every action or the template says why not.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from local_aws.authorization.usage import AuthorizedCall, PolicyUsage, Report

from tests.harness.platform import template_statements
from tests.harness.platform.template_statements import Statement

Action = tuple[str, str, str]
"""Owner and Sid of a statement, and an action as the template writes it."""
WORKFLOW_PERMISSIONS = "tests/infra/test_workflow_permissions.py"
INFRA = f"{WORKFLOW_PERMISSIONS}::test_infra_role_changes_the_platform_through_cloudformation_alone"
KEY = f"{WORKFLOW_PERMISSIONS}::test_infra_role_changes_a_platform_with_a_key_of_its_own"
FAILED_CHANGE = f"{WORKFLOW_PERMISSIONS}::test_infra_role_reads_why_a_change_failed"
RETRIES = f"{WORKFLOW_PERMISSIONS}::test_train_role_retries_and_stops_executions"
PLAN = f"{WORKFLOW_PERMISSIONS}::test_plan_role_previews_changes"
FUNCTION = f"{WORKFLOW_PERMISSIONS}::test_deploy_function_refuses_and_reports_with_its_role"
TRAIN = "tests/workflows/test_run_training.py::test_trainings_wait_resume_fail_the_gate_and_are_proposed"
DRIFT = "tests/workflows/test_run_drift.py::test_drift_creates_a_request_and_the_request_a_training"
COLLECT = f"{WORKFLOW_PERMISSIONS}::test_drift_role_collects_labels"
STATUS = "tests/commands/test_status.py::test_drift_role_may_read_what_status_compares"
COUNT = "tests/shards/test_count_job.py::test_counts_are_those_of_one_process"
STOPPED_COUNT = "tests/shards/test_count_job.py::test_job_that_does_not_end_is_stopped"
LOGS = f"{WORKFLOW_PERMISSIONS}::test_train_role_reads_the_log_of_a_failed_job"
CUSTOMER_KEY = "tests/workflows/test_run_customer_key.py::test_platform_with_a_key_trains_deploys_and_checks_drift"
CANARY = "tests/commands/test_deploy_canary.py::test_function_may_read_the_alarms_that_it_names"
COMPARISON = "tests/commands/test_deploy_canary.py::test_deploy_role_may_compare_a_canary"
SCALING = "tests/commands/test_deploy_autoscaling.py::test_deploy_role_may_scale_the_endpoint"
DEMO = "tests/playground/test_demo_round.py::test_commit_becomes_a_served_model"
UNDELIVERED = "tests/infra/test_shared_policies.py::test_event_that_cannot_be_delivered_becomes_a_dead_letter"
ARCHIVES = "tests/infra/test_shared_policies.py::test_only_the_deploy_function_writes_deployed_archives"
FAILED_STEP = "tests/infra/test_platform_deployment.py::test_failed_step_is_published_to_the_topic"
ACCESS_LOGS = "tests/infra/test_platform_deployment.py::test_lake_is_logged_and_objects_expire_by_prefix"
TLS = "tests/infra/test_platform_template.py::test_storage_is_private_and_encrypted"
SIGNING = "tests/infra/test_signing_key_policy.py::test_train_role_alone_signs_and_deploy_role_verifies"
LAKE = "tests/infra/test_permissions_boundary.py::test_infra_cannot_open_the_lake"

USED_BY: Mapping[Statement, str] = {
    ("CountingRole", "ListRequests"): COUNT,
    ("CountingRole", "ReadTrafficAndLabels"): COUNT,
    ("CountingRole", "WriteLogs"): COUNT,
    ("CountingRole", "WriteSummaries"): COUNT,
    ("DeployRole", "ListObjectsToDetectMissing"): FUNCTION,
    ("DeployRole", "PublishNotifications"): FUNCTION,
    ("DeployRole", "ReadRollbackAlarms"): CANARY,
    ("DeployRole", "SendToDeadLetterQueue"): FUNCTION,
    ("github-DeployRole", "ChangeScalingAlarms"): SCALING,
    ("github-DeployRole", "CreateScalingRole"): SCALING,
    ("github-DeployRole", "PublishCanaryMetrics"): COMPARISON,
    ("github-DeployRole", "RegisterScaling"): SCALING,
    ("github-DriftRole", "CountTraffic"): COUNT,
    ("github-DriftRole", "EmptyLabelsInbox"): COLLECT,
    ("github-DriftRole", "ImportLabels"): COLLECT,
    ("github-DriftRole", "ListTrafficLabelsAndChecks"): DRIFT,
    ("github-DriftRole", "PassCountingRole"): COUNT,
    ("github-DriftRole", "PublishDriftMetrics"): DRIFT,
    ("github-DriftRole", "ReadPlatformStack"): DRIFT,
    ("github-DriftRole", "ReadTrafficLabelsAndArchives"): DRIFT,
    ("github-DriftRole", "ListDeployments"): STATUS,
    ("github-DriftRole", "ListPackagesAndScaling"): STATUS,
    ("github-DriftRole", "ReadAlarms"): STATUS,
    ("github-DriftRole", "ReadBucketPolicies"): STATUS,
    ("github-DriftRole", "ReadEndpointAndPackages"): STATUS,
    ("github-DriftRole", "ReadEventRules"): STATUS,
    ("github-DriftRole", "ReadOrderHistoryAndServedArchive"): STATUS,
    ("github-DriftRole", "ReadKeyPolicy"): STATUS,
    ("github-DriftRole", "ReadPlatformTemplate"): STATUS,
    ("github-DriftRole", "ReadPolicies"): STATUS,
    ("github-DriftRole", "ReadRoles"): STATUS,
    ("github-DriftRole", "ReadRolesStack"): STATUS,
    ("github-DriftRole", "WriteDriftChecks"): DRIFT,
    ("github-InfraRole", "AttachPlatformPolicies"): INFRA,
    ("github-InfraRole", "ChangeAlarmsDashboardAndLogs"): INFRA,
    ("github-InfraRole", "ChangeAlias"): KEY,
    ("github-InfraRole", "ChangeAliasOfKey"): KEY,
    ("github-InfraRole", "ChangeBoundedRoles"): INFRA,
    ("github-InfraRole", "ChangeEventRule"): INFRA,
    ("github-InfraRole", "ChangeFunction"): INFRA,
    ("github-InfraRole", "ChangeKey"): KEY,
    ("github-InfraRole", "ChangeLake"): INFRA,
    ("github-InfraRole", "ChangePackageGroup"): INFRA,
    ("github-InfraRole", "ChangePlatformPolicies"): INFRA,
    ("github-InfraRole", "ChangePlatformRoles"): INFRA,
    ("github-InfraRole", "ChangeQueueAndTopic"): INFRA,
    ("github-InfraRole", "CreateKey"): KEY,
    ("github-InfraRole", "EncryptFunctionEnvironment"): KEY,
    ("github-InfraRole", "ListAliases"): KEY,
    ("github-InfraRole", "ListFunctionCode"): INFRA,
    ("github-InfraRole", "ListLogGroups"): INFRA,
    ("github-InfraRole", "PassFunctionRole"): INFRA,
    ("github-InfraRole", "PreviewChanges"): INFRA,
    ("github-InfraRole", "ReadTemplateSummary"): INFRA,
    ("github-InfraRole", "UpdatePlatformStack"): INFRA,
    ("github-InfraRole", "WriteFunctionCode"): INFRA,
    ("github-PlanRole", "ReadTemplateSummary"): PLAN,
    ("github-TrainRole", "DescribeProcessingJobs"): TRAIN,
    ("github-TrainRole", "ReadJobLogs"): LOGS,
    ("github-PlatformBoundary", "Notify"): FUNCTION,
    ("github-PlatformBoundary", "ReadRollbackAlarms"): CANARY,
    ("github-PlatformBoundary", "UseKeyOfTheStack"): CUSTOMER_KEY,
    ("DeadLetters", "AllowUndeliveredEvents"): UNDELIVERED,
    ("NotificationTopic", "AllowFailedSteps"): FAILED_STEP,
    ("lakelogs", "DeliverAccessLogs"): ACCESS_LOGS,
    ("trust of CountingRole", "#0"): COUNT,
    ("trust of github-DriftRole", "#0"): DRIFT,
    ("trust of github-InfraRole", "#0"): INFRA,
}
"""By Allow statement that the demo does not use: the test that makes calls that need it, and fails without it."""
ACTION_USED_BY: Mapping[Action, str] = {
    ("github-DeployRole", "DescribeInvokeAndScaleEndpoint", "sagemaker:DescribeEndpointConfig"): SCALING,
    ("github-DeployRole", "DescribeInvokeAndScaleEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"): SCALING,
    ("github-DriftRole", "CountTraffic", "sagemaker:StopProcessingJob"): STOPPED_COUNT,
    ("github-InfraRole", "ChangeAlarmsDashboardAndLogs", "logs:AssociateKmsKey"): KEY,
    ("github-InfraRole", "ChangeAlarmsDashboardAndLogs", "logs:DisassociateKmsKey"): KEY,
    ("github-InfraRole", "UpdatePlatformStack", "cloudformation:DescribeStackEvents"): FAILED_CHANGE,
    ("github-PlanRole", "PreviewChanges", "cloudformation:CreateChangeSet"): PLAN,
    ("github-PlanRole", "PreviewChanges", "cloudformation:DeleteChangeSet"): PLAN,
    ("github-PlanRole", "PreviewChanges", "cloudformation:DescribeChangeSet"): PLAN,
    ("github-TrainRole", "RunPipeline", "sagemaker:RetryPipelineExecution"): RETRIES,
    ("github-TrainRole", "RunPipeline", "sagemaker:StopPipelineExecution"): RETRIES,
}
"""By action of an Allow statement that neither the demo nor the statement's test uses: the test that does."""
KEYED_BY: Mapping[Statement, str] = {
    **dict.fromkeys([("CountingRole", "EncryptAndDecryptData"), ("CountingRole", "EncryptVolumes")], COUNT),
    **dict.fromkeys(
        [
            ("DeployRole", "EncryptAndDecryptDataAndMessages"),
            ("DeployRole", "EncryptVolumesOfEndpoint"),
            ("EndpointRole", "EncryptAndDecryptData"),
            ("ExecutionRole", "EncryptAndDecryptData"),
            ("ExecutionRole", "EncryptVolumes"),
            ("Key", "EncryptEvents"),
            ("Key", "EncryptLogs"),
            ("Key", "LetPoliciesOfThisAccountGrantIt"),
            ("github-DeployRole", "EncryptAndDecryptObjects"),
            ("github-DriftRole", "EncryptAndDecryptObjects"),
            ("github-PlanRole", "DecryptObjects"),
            ("github-TrainRole", "EncryptAndDecryptObjects"),
        ],
        CUSTOMER_KEY,
    ),
}
"""The same for statements that only a platform with a key of its own has."""
DENIED_BY: Mapping[Statement, str] = {
    ("DeadLetters", "DenyWithoutTls"): TLS,
    ("Key", "OnlyTrainRoleSigns"): SIGNING,
    ("Lake", "DenyWithoutTls"): TLS,
    ("Lake", "OnlyDeployFunctionWritesArtifacts"): ARCHIVES,
    ("LakeLogs", "DenyWithoutTls"): TLS,
    ("NotificationTopic", "DenyWithoutTls"): TLS,
    ("github-InfraRole", "NeverOpenLakeOrCode"): LAKE,
}
"""By Deny statement: the test that fails without it."""

WITHOUT_DECISION = {("lakelogs", "DeliverAccessLogs")}
"""Statements whose absence a service refuses by itself: S3 checks the policy of a bucket for access logs."""
_GENERATED = re.compile(r"-([A-Z0-9]{12}|[a-z0-9]{12})$")
"""What CloudFormation appends to a generated name."""
_STACK = re.compile(r"^.*?-(?=(github-)?\w+$)")
"""The name of the stack before a resource's name; `-github` belongs to the name of the roles' stack."""


def owner_name(owner: str) -> str:
    """The name of a role or shared policy as in `USED_BY`: without account, path, stack and generated suffix."""
    kind = "trust of " if owner.startswith("trust policy of ") else ""
    if ":key/" in owner:
        return f"{kind}Key"
    return kind + _STACK.sub("", _GENERATED.sub("", re.split(r"[:/ ]", owner)[-1]))


def statements_of(test: str) -> set[Statement]:
    """The statements that `USED_BY` and `KEYED_BY` name the test for."""
    tables = {**USED_BY, **KEYED_BY}
    return {statement for statement, named in tables.items() if named == test} - WITHOUT_DECISION


def actions_of(test: str) -> set[Action]:
    """The actions that the test must use: all of its statements that no comment justifies, and its `ACTION_USED_BY`."""
    own = {
        (*statement, action)
        for statement in statements_of(test)
        for action in template_statements.unjustified_actions(*statement)
    }
    named = {action for action, other in ACTION_USED_BY.items() if other == test}
    return own - ACTION_USED_BY.keys() | named


def unjustified(report: Report) -> set[Action]:
    """(owner, statement, action) of every action that no call used and no comment justifies."""
    return {
        (owner_name(usage.owner), each.sid, action)
        for usage in _usages(report)
        for each in usage.unjustified
        for action in each.unjustified
    }


def expected_of_others(keyed: Container[str] = ()) -> set[Action]:
    """What `unjustified` has for the demo alone: the actions that the tests of `USED_BY` and `ACTION_USED_BY` use.

    On a platform with a key of its own, also those that the tests named by `keyed` use of `KEYED_BY`.
    """
    statements = [*USED_BY, *(statement for statement, test in KEYED_BY.items() if test in keyed)]
    return {
        (*statement, action)
        for statement in statements
        for action in template_statements.unjustified_actions(*statement)
    } | set(ACTION_USED_BY)


def contradicted(report: Report) -> set[Action]:
    """(owner, statement, action) of every action that a call used and a comment calls unused."""
    return {
        (owner_name(usage.owner), each.sid, action)
        for usage in _usages(report)
        for each in usage.statements
        for action in each.contradicted
    }


def redundant(report: Report) -> set[Statement]:
    """(owner, statement) of every used statement without any of which all calls would still have been allowed."""
    return {(owner_name(usage.owner), each.sid) for usage in _usages(report) for each in usage.redundant}


def denied(report: Report) -> Mapping[str, Mapping[AuthorizedCall, int]]:
    """The denied calls of each caller that has any: roles, services, users."""
    roles = {owner_name(usage.owner): usage.denied for usage in report.roles if usage.denied}
    return {**roles, **report.denied}


def _usages(report: Report) -> list[PolicyUsage]:
    return [*report.roles, *report.shared]
