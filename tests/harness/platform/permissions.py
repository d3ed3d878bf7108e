"""Which statements of infra/*.yaml the demo does not use, and the test that does; not a test itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from local_aws.authorization.usage import RoleUsage

WORKFLOW_PERMISSIONS = "tests/infra/test_workflow_permissions.py"
INFRA = f"{WORKFLOW_PERMISSIONS}::test_infra_role_changes_the_platform_through_cloudformation_alone"
KEY = f"{WORKFLOW_PERMISSIONS}::test_infra_role_changes_a_platform_with_a_key_of_its_own"
PLAN = f"{WORKFLOW_PERMISSIONS}::test_plan_role_previews_and_changes_nothing"
FUNCTION = f"{WORKFLOW_PERMISSIONS}::test_deploy_function_refuses_and_reports_with_its_role"
TRAIN = "tests/workflows/test_run_training.py::test_trainings_wait_resume_fail_the_gate_and_are_proposed"
DRIFT = "tests/workflows/test_run_drift.py::test_drift_creates_a_request_and_the_request_a_training"
LOGS = f"{WORKFLOW_PERMISSIONS}::test_train_role_reads_the_log_of_a_failed_job"

USED_BY: Mapping[tuple[str, str], str] = {
    ("fraudops-DeployRole", "ListObjectsToDetectMissing"): FUNCTION,
    ("fraudops-DeployRole", "PublishNotifications"): FUNCTION,
    ("fraudops-DeployRole", "SendToDeadLetterQueue"): FUNCTION,
    ("fraudops-github-DriftRole", "ListTrafficLabelsAndChecks"): DRIFT,
    ("fraudops-github-DriftRole", "PublishDriftMetrics"): DRIFT,
    ("fraudops-github-DriftRole", "ReadPlatformStack"): DRIFT,
    ("fraudops-github-DriftRole", "ReadTrafficLabelsAndArchives"): DRIFT,
    ("fraudops-github-DriftRole", "WriteDriftChecks"): DRIFT,
    ("fraudops-github-InfraRole", "AttachPlatformPolicies"): INFRA,
    ("fraudops-github-InfraRole", "ChangeAlarmsDashboardAndLogs"): INFRA,
    ("fraudops-github-InfraRole", "ChangeAlias"): KEY,
    ("fraudops-github-InfraRole", "ChangeAliasOfKey"): KEY,
    ("fraudops-github-InfraRole", "ChangeBoundedRoles"): INFRA,
    ("fraudops-github-InfraRole", "ChangeEventRule"): INFRA,
    ("fraudops-github-InfraRole", "ChangeFunction"): INFRA,
    ("fraudops-github-InfraRole", "ChangeKey"): KEY,
    ("fraudops-github-InfraRole", "ChangeLake"): INFRA,
    ("fraudops-github-InfraRole", "ChangePackageGroup"): INFRA,
    ("fraudops-github-InfraRole", "ChangePlatformPolicies"): INFRA,
    ("fraudops-github-InfraRole", "ChangePlatformRoles"): INFRA,
    ("fraudops-github-InfraRole", "ChangeQueueAndTopic"): INFRA,
    ("fraudops-github-InfraRole", "CreateKey"): KEY,
    ("fraudops-github-InfraRole", "EncryptFunctionEnvironment"): KEY,
    ("fraudops-github-InfraRole", "ListAliases"): KEY,
    ("fraudops-github-InfraRole", "ListFunctionCode"): INFRA,
    ("fraudops-github-InfraRole", "ListLogGroups"): INFRA,
    ("fraudops-github-InfraRole", "PassFunctionRole"): INFRA,
    ("fraudops-github-InfraRole", "PreviewChanges"): INFRA,
    ("fraudops-github-InfraRole", "ReadTemplateSummary"): INFRA,
    ("fraudops-github-InfraRole", "UpdatePlatformStack"): INFRA,
    ("fraudops-github-InfraRole", "WriteFunctionCode"): INFRA,
    ("fraudops-github-PlanRole", "ReadTemplateSummary"): PLAN,
    ("fraudops-github-TrainRole", "DescribeProcessingJobs"): TRAIN,
    ("fraudops-github-TrainRole", "ReadJobLogs"): LOGS,
}
"""By (role, statement): the test that makes the calls that the statement allows."""

_SUFFIX = re.compile(r"-[A-Z0-9]{12}$")
"""What CloudFormation appends to a generated name."""


def role_name(usage: RoleUsage) -> str:
    """The role's name without the suffix of its stack."""
    return _SUFFIX.sub("", usage.role.rpartition("/")[2])


def unjustified(usages: Sequence[RoleUsage]) -> set[tuple[str, str]]:
    """(role, statement) of every statement that no call used and no comment justifies."""
    return {(role_name(usage), statement.sid) for usage in usages for statement in usage.unjustified}


def denied(usages: Sequence[RoleUsage]) -> Mapping[str, Mapping[tuple[str, str, str], int]]:
    """The denied calls of each role that has any."""
    return {role_name(usage): usage.denied for usage in usages if usage.denied}
