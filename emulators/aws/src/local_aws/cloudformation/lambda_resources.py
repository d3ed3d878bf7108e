"""CloudFormation resource types of Lambda: functions, permissions and asynchronous invocation settings."""

from __future__ import annotations

import base64
import io
import json
import uuid
import zipfile
from typing import Any

from local_aws.cloudformation.resource_base import ResourceType
from local_aws.errors import AwsError
from local_aws.service_rules import checks, lambda_checks, reserved_concurrency


class EventInvokeConfig(ResourceType):
    """AWS::Lambda::EventInvokeConfig."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Sets the retries and destinations of asynchronous events."""
        function = _function(properties["FunctionName"], account, region)
        keys = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        settings = {key: properties[key] for key in keys if key in properties}
        for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if key in settings:
                settings[key] = int(settings[key])
        function.event_invoke_config = []
        _lambda(account, region).put_function_event_invoke_config(function.function_name, settings)
        return f"{function.function_name}|{properties['Qualifier']}", {}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Restores Lambda's defaults."""
        _function(physical_id.split("|", maxsplit=1)[0], account, region).event_invoke_config = []


class Permission(ResourceType):
    """AWS::Lambda::Permission."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Adds the statement under its id, replacing an earlier one."""
        function = _function(properties["FunctionName"], account, region)
        self.delete(name, properties, account, region)
        statement = {key: value for key, value in properties.items() if key != "FunctionName"}
        function.policy.add_statement(raw=json.dumps({**statement, "StatementId": name}))
        return name, {"Id": name, "Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Removes the statement."""
        policy = _function(properties["FunctionName"], account, region).policy
        policy.statements[:] = [statement for statement in policy.statements if statement.get("Sid") != physical_id]


class Function(ResourceType):
    """AWS::Lambda::Function: moto's, plus code updates, object versions and dead letter queues."""

    name_property = "FunctionName"

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **kwargs: Any
    ) -> Any:
        """Creates the function with the current code in S3."""
        from moto.awslambda.models import LambdaFunction

        properties = cloudformation_json["Properties"]
        _check_function(resource_name, properties, account_id, region_name)
        code = _read_code(properties["Code"], account_id)
        document = {**cloudformation_json, "Properties": {**properties, "Code": {"ZipFile": "pass"}}}
        function = LambdaFunction.create_from_cloudformation_json(
            resource_name, document, account_id, region_name, **kwargs
        )
        return self._apply_settings(function, properties, code)

    def update_from_cloudformation_json(
        self,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Any:
        """Updates the function in place; another name replaces it."""
        properties = cloudformation_json["Properties"]
        if properties.get("FunctionName", original_resource.function_name) != original_resource.function_name:
            function = self.create_from_cloudformation_json(
                new_resource_name, cloudformation_json, account_id, region_name
            )
            original_resource.delete(account_id, region_name)
            return function
        _check_function(original_resource.function_name, properties, account_id, region_name)
        code = _read_code(properties["Code"], account_id)
        original_resource.update_configuration(
            {**properties, "Environment": properties.get("Environment", {"Variables": {}})}
        )
        reserved = properties.get("ReservedConcurrentExecutions")
        original_resource.reserved_concurrency = reserved
        return self._apply_settings(original_resource, properties, code)

    @staticmethod
    def _apply_settings(function: Any, properties: dict[str, Any], code: bytes) -> Any:
        function.timeout, function.memory_size = (
            int(properties.get("Timeout", 3)),
            int(properties.get("MemorySize", 128)),
        )
        function.dead_letter_config = properties.get("DeadLetterConfig")
        function.kms_key_arn = properties.get("KmsKeyArn")
        function.update_function_code({"ZipFile": base64.b64encode(code).decode()})
        group = properties.get("LoggingConfig", {}).get("LogGroup")
        if group:
            function.logs_group_name = group
        return function


def _check_function(name: str, properties: dict[str, Any], account: str, region: str) -> None:
    try:
        checks.check("lambda", "UpdateFunctionConfiguration", properties)
        lambda_checks.check_archive(_read_code(properties["Code"], account))
        reserved_concurrency.check(
            _lambda(account, region).list_functions(), name, int(properties.get("ReservedConcurrentExecutions") or 0)
        )
    except AwsError as error:
        request, token = uuid.uuid4(), uuid.uuid4()
        reason = f'"{error.message} (Service: Lambda, Status Code: {error.status}, Request ID: {request})"'
        message = (
            f"Resource handler returned message: {reason} (RequestToken: {token}, HandlerErrorCode: InvalidRequest)"
        )
        raise AwsError(error.code, message) from error


def _lambda(account: str, region: str) -> Any:
    from moto.awslambda.models import lambda_backends

    return lambda_backends[account][region]


def _function(name: str, account: str, region: str) -> Any:
    return _lambda(account, region).get_function(name.rsplit(":function:", maxsplit=1)[-1])


def _read_code(code: dict[str, Any], account: str) -> bytes:
    if "ZipFile" in code:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("index.py", code["ZipFile"])
        return buffer.getvalue()
    from moto.s3.models import s3_backends

    uri = f"s3://{code.get('S3Bucket')}/{code.get('S3Key')}"
    try:
        stored = s3_backends[account]["aws"].get_object(
            code["S3Bucket"], code["S3Key"], version_id=code.get("S3ObjectVersion")
        )
    except Exception as error:  # moto has several errors for a missing object
        raise ValueError(f"Error occurred while GetObject. S3 Error: {uri}: {error}") from error
    if stored is None:
        raise ValueError(
            f"Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: {uri} does not exist."
        )
    data: bytes = stored.value
    return data
