"""Resolves the references in a CloudFormation template with the values of the deployed stack. Calls no service.

It supports the intrinsic functions that the policies of infra/*.yaml use, and refuses any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment] # the same methods

from ml.errors import ConfigError

_NO_VALUE = object()
"""What `!Ref AWS::NoValue` resolves to: the item or member is left out."""
_IN_SUB = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")


@dataclass(frozen=True, kw_only=True)
class StackValues:
    """What a template's references resolve to: parameters, and type and physical id of each resource."""

    region: str
    account: str
    partition: str
    name: str
    parameters: Mapping[str, str]
    resources: Mapping[str, tuple[str, str]]


class Template:
    """A template with the values of its stack.

    Raises:
        ConfigError: the text is not a YAML template.
    """

    def __init__(self, text: str, values: StackValues) -> None:
        document = read(text)
        self.resources: Mapping[str, Any] = document["Resources"]
        self._conditions = document.get("Conditions", {})
        self._values = values
        self._pseudo: dict[str, Any] = {
            "AWS::Region": values.region,
            "AWS::AccountId": values.account,
            "AWS::Partition": values.partition,
            "AWS::StackName": values.name,
            "AWS::URLSuffix": "amazonaws.com.cn" if values.partition == "aws-cn" else "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }

    @property
    def account(self) -> str:
        """The account of the stack."""
        return self._values.account

    def arn(self, resource: str) -> str:
        """The ARN of a resource of the stack, by its logical id."""
        return self._attribute(f"{resource}.Arn")

    def is_made(self, resource: str) -> bool:
        """Whether the stack has the resource: it has no condition, or its condition holds."""
        condition = self.resources[resource].get("Condition")
        return condition is None or self._holds(self._conditions[condition])

    def value(self, node: Any) -> Any:
        """`node` with every function in it resolved."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {key: self.value(item) for key, item in node.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Fn::Sub" and isinstance(argument, str):
            return _IN_SUB.sub(lambda match: str(self._named(match[1])), argument)
        if name == "Fn::GetAtt":
            return self._attribute(argument if isinstance(argument, str) else ".".join(argument))
        if name == "Fn::If":
            condition, met, otherwise = argument
            return self.value(met if self._holds(self._conditions[condition]) else otherwise)
        raise ConfigError(f"a policy of the template uses {name} in a form that is not supported")

    def _holds(self, condition: Any) -> bool:
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self._holds(self._conditions[argument])
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)(self._holds(item) for item in argument)
        if name == "Fn::Equals":
            first, second = (str(self.value(item)) for item in argument)
            return first == second
        raise ConfigError(f"the template's condition function {name} is not supported")

    def _named(self, name: str) -> Any:
        return self._attribute(name) if "." in name else self._ref(name)

    def _ref(self, name: str) -> Any:
        for known in (self._pseudo, self._values.parameters):
            if name in known:
                return known[name]
        if name in self._values.resources:
            return self._values.resources[name][1]
        raise ConfigError(f"the deployed stack has no parameter or resource {name}")

    def _attribute(self, name: str) -> str:
        resource, _, attribute = name.partition(".")
        if attribute == "QueueName" and resource in self._values.resources:
            return self._values.resources[resource][1].rpartition("/")[2]
        if resource not in self._values.resources or attribute != "Arn":
            raise ConfigError(f"the template's reference {name} cannot be resolved")
        kind, physical = self._values.resources[resource]
        here, where = self._values, f"{self._values.region}:{self._values.account}"
        if kind == "AWS::IAM::Role":
            path = self.resources[resource].get("Properties", {}).get("Path", "/")
            return f"arn:{here.partition}:iam::{here.account}:role{path}{physical}"
        arns = {
            "AWS::S3::Bucket": f"arn:{here.partition}:s3:::{physical}",
            "AWS::SQS::Queue": f"arn:{here.partition}:sqs:{where}:{physical.rpartition('/')[2]}",
            "AWS::Logs::LogGroup": f"arn:{here.partition}:logs:{where}:log-group:{physical}:*",
            "AWS::Lambda::Function": f"arn:{here.partition}:lambda:{where}:function:{physical}",
            "AWS::CloudWatch::Alarm": f"arn:{here.partition}:cloudwatch:{where}:alarm:{physical}",
            "AWS::KMS::Key": f"arn:{here.partition}:kms:{where}:key/{physical}",
        }
        if kind not in arns:
            raise ConfigError(f"the ARN of a {kind} ({name}) is not supported")
        return arns[kind]


@lru_cache(maxsize=8)
def read(text: str) -> Mapping[str, Any]:
    """A template's document; `!Sub x` becomes {"Fn::Sub": x}. ConfigError if it is no template.

    The document is kept and shared, because every role of a template is checked on its own: change nothing in it.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with CloudFormation's tags
    except yaml.YAMLError as error:
        raise ConfigError(f"the template is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise ConfigError("the template has no Resources")
    return document


class _Loader(SafeLoader):
    """A loader that turns `!Sub x` into {"Fn::Sub": x}, as CloudFormation does."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise ConfigError(f"the template has a tag !{suffix} on no value")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)
