"""CloudFormation resource types that moto lacks or implements incorrectly, and the table of all such types.

The types of Lambda, KMS and policies have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_aws.cloudformation import kms_resources, policy_resources
from local_aws.cloudformation.lambda_resources import EventInvokeConfig, Function, Permission
from local_aws.cloudformation.resource_base import ResourceType

create_endpoint: Callable[[dict[str, Any]], dict[str, Any]] | None = None
"""CreateEndpoint of the emulator that runs in this process, for AWS::SageMaker::Endpoint."""


class ModelPackageGroup(ResourceType):
    """AWS::SageMaker::ModelPackageGroup."""

    name_property = "ModelPackageGroupName"

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates the group if it does not exist, and sets its description."""
        groups = _sagemaker(account, region).model_package_groups
        if name not in groups:
            _sagemaker(account, region).create_model_package_group(
                name, properties.get("ModelPackageGroupDescription"), properties.get("Tags")
            )
        groups[name].model_package_group_description = properties.get("ModelPackageGroupDescription")
        return groups[name].arn, {
            "ModelPackageGroupArn": groups[name].arn,
            "ModelPackageGroupStatus": "Completed",
            "Name": name,
        }

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the group; ValueError if it has packages, as on AWS."""
        name = physical_id.rsplit("/", maxsplit=1)[-1]
        backend = _sagemaker(account, region)
        if any(package.model_package_group_name == name for package in backend.model_packages.values()):
            raise ValueError(f"Model Package Group {physical_id} cannot be deleted while it has model packages")
        backend.model_package_groups.pop(name, None)


class Endpoint(ResourceType):
    """AWS::SageMaker::Endpoint, with its EndpointName, which moto ignores, and real servers."""

    name_property = "EndpointName"

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates the endpoint and does not wait until it is in service."""
        if create_endpoint is None:
            raise RuntimeError("no AWS emulator runs in this process")
        parameters: dict[str, Any] = {
            key: properties[key] for key in ("EndpointConfigName", "Tags") if key in properties
        }
        arn = create_endpoint({**parameters, "EndpointName": name})["EndpointArn"]
        return arn, {"EndpointName": name, "Name": name}


class Alarm(ResourceType):
    """AWS::CloudWatch::Alarm."""

    name_property = "AlarmName"

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Puts the alarm; moto does not evaluate alarms."""
        from moto.cloudwatch.models import cloudwatch_backends

        alarm = cloudwatch_backends[account][region].put_metric_alarm(
            name=name,
            namespace=properties.get("Namespace"),
            metric_name=properties.get("MetricName"),
            comparison_operator=properties["ComparisonOperator"],
            evaluation_periods=int(properties["EvaluationPeriods"]),
            period=int(properties.get("Period", 60)),
            threshold=float(properties.get("Threshold", 0)),
            statistic=properties.get("Statistic"),
            description=properties.get("AlarmDescription", ""),
            dimensions=properties.get("Dimensions", []),
            alarm_actions=properties.get("AlarmActions", []),
            ok_actions=properties.get("OKActions", []),
            insufficient_data_actions=properties.get("InsufficientDataActions", []),
            datapoints_to_alarm=properties.get("DatapointsToAlarm"),
            extended_statistic=properties.get("ExtendedStatistic"),
            treat_missing_data=properties.get("TreatMissingData"),
            unit=properties.get("Unit"),
        )
        return name, {"Arn": alarm.alarm_arn, "Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the alarm."""
        from moto.cloudwatch.models import cloudwatch_backends

        cloudwatch_backends[account][region].delete_alarms([physical_id])


class OidcProvider(ResourceType):
    """AWS::IAM::OIDCProvider."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates the identity provider; Ref returns its ARN."""
        from moto.iam.models import iam_backends

        backend = iam_backends[account]["aws"]
        arn = f"arn:aws:iam::{account}:oidc-provider/{properties['Url'].removeprefix('https://')}"
        backend.open_id_providers.pop(arn, None)
        provider = backend.create_open_id_connect_provider(
            properties["Url"],
            properties.get("ThumbprintList", []),
            properties.get("ClientIdList", []),
            properties.get("Tags", []),
        )
        return provider.arn, {"Arn": provider.arn}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the provider."""
        from moto.iam.models import iam_backends

        iam_backends[account]["aws"].delete_open_id_connect_provider(physical_id)


class Subscription(ResourceType):
    """AWS::SNS::Subscription."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Subscribes; moto sends no e-mail."""
        from moto.sns.models import sns_backends

        subscription = sns_backends[account][region].subscribe(
            properties["TopicArn"], properties["Endpoint"], properties["Protocol"]
        )
        return subscription.arn, {}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the subscription."""
        from moto.sns.models import sns_backends

        sns_backends[account][region].unsubscribe(physical_id)


_TYPES: dict[str, type[ResourceType]] = {
    "AWS::SageMaker::ModelPackageGroup": ModelPackageGroup,
    "AWS::SageMaker::Endpoint": Endpoint,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::Lambda::EventInvokeConfig": EventInvokeConfig,
    "AWS::Lambda::Permission": Permission,
    "AWS::Lambda::Function": Function,
    "AWS::IAM::OIDCProvider": OidcProvider,
    "AWS::IAM::ManagedPolicy": policy_resources.ManagedPolicy,
    "AWS::S3::BucketPolicy": policy_resources.BucketPolicy,
    "AWS::SNS::Subscription": Subscription,
    "AWS::SNS::TopicPolicy": policy_resources.TopicPolicy,
    "AWS::SQS::QueuePolicy": policy_resources.QueuePolicy,
    "AWS::KMS::Key": kms_resources.Key,
    "AWS::KMS::Alias": kms_resources.Alias,
}


def find_resource_type(type_name: str) -> ResourceType | None:
    """This package's implementation of the type; None to use moto's."""
    kind = _TYPES.get(type_name)
    return kind(type_name) if kind else None


def _sagemaker(account: str, region: str) -> Any:
    from moto.sagemaker.models import sagemaker_backends

    return sagemaker_backends[account][region]
