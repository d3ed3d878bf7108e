"""CloudFormation resource types that moto lacks, or gets wrong, as the stacks of the local cloud make them.

Conditions of bucket, queue and topic policies are kept but not enforced.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_aws.cloudformation.lambda_resources import EventInvokeConfig, Function, Permission
from local_aws.cloudformation.resource_type import Recorded

create_endpoint: Callable[[dict[str, Any]], dict[str, Any]] | None = None
"""CreateEndpoint of the local cloud that runs in this process, for templates that hold endpoints."""


class ModelPackageGroup(Recorded):
    """AWS::SageMaker::ModelPackageGroup."""

    name_property = "ModelPackageGroupName"

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """A group that is there already belongs to somebody else, unless it is this stack's own."""
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

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """A group with packages is not deleted, as on AWS."""
        name = physical_id.rsplit("/", maxsplit=1)[-1]
        backend = _sagemaker(account, region)
        if any(package.model_package_group_name == name for package in backend.model_packages.values()):
            raise ValueError(f"Model Package Group {physical_id} cannot be deleted while it has model packages")
        backend.model_package_groups.pop(name, None)


class Endpoint(Recorded):
    """AWS::SageMaker::Endpoint, under its own name and with real servers."""

    name_property = "EndpointName"

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Asks for the endpoint and does not wait for it."""
        if create_endpoint is None:
            raise RuntimeError("no local cloud runs in this process")
        given: dict[str, Any] = {key: properties[key] for key in ("EndpointConfigName", "Tags") if key in properties}
        arn = create_endpoint({**given, "EndpointName": name})["EndpointArn"]
        return arn, {"EndpointName": name, "Name": name}


class Alarm(Recorded):
    """AWS::CloudWatch::Alarm."""

    name_property = "AlarmName"

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Puts the alarm; moto evaluates none."""
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

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the alarm."""
        from moto.cloudwatch.models import cloudwatch_backends

        cloudwatch_backends[account][region].delete_alarms([physical_id])


class OidcProvider(Recorded):
    """AWS::IAM::OIDCProvider."""

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Makes the identity provider; Ref gives its ARN."""
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

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the provider."""
        from moto.iam.models import iam_backends

        iam_backends[account]["aws"].delete_open_id_connect_provider(physical_id)


class BucketPolicy(Recorded):
    """AWS::S3::BucketPolicy."""

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Puts the policy."""
        from moto.s3.models import s3_backends

        document = json.dumps(properties["PolicyDocument"]).encode()
        s3_backends[account]["aws"].put_bucket_policy(properties["Bucket"], document)
        return properties["Bucket"], {}

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the policy."""
        from moto.s3.models import s3_backends

        s3_backends[account]["aws"].delete_bucket_policy(physical_id)


class Subscription(Recorded):
    """AWS::SNS::Subscription."""

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Subscribes; moto sends no mail."""
        from moto.sns.models import sns_backends

        subscription = sns_backends[account][region].subscribe(
            properties["TopicArn"], properties["Endpoint"], properties["Protocol"]
        )
        return subscription.arn, {}

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Ends the subscription."""
        from moto.sns.models import sns_backends

        sns_backends[account][region].unsubscribe(physical_id)


_TYPES: dict[str, type[Recorded]] = {
    "AWS::SageMaker::ModelPackageGroup": ModelPackageGroup,
    "AWS::SageMaker::Endpoint": Endpoint,
    "AWS::CloudWatch::Alarm": Alarm,
    "AWS::Lambda::EventInvokeConfig": EventInvokeConfig,
    "AWS::Lambda::Permission": Permission,
    "AWS::Lambda::Function": Function,
    "AWS::IAM::OIDCProvider": OidcProvider,
    "AWS::S3::BucketPolicy": BucketPolicy,
    "AWS::SNS::Subscription": Subscription,
}


def own(type_name: str) -> Recorded | None:
    """This module's own class of the type; None where moto's is to be used."""
    kind = _TYPES.get(type_name)
    return kind(type_name) if kind else None


def _sagemaker(account: str, region: str) -> Any:
    from moto.sagemaker.models import sagemaker_backends

    return sagemaker_backends[account][region]
