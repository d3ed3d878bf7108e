"""Templates are parsed as moto parses them, and each caller gets a document of its own."""

from __future__ import annotations

import datetime

import pytest
import yaml
from local_aws.cloudformation import template_parser
from moto.cloudformation.utils import yaml_tag_constructor

TEMPLATE = """
Description: Each form of a function
Version: 2012-10-17
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Condition: Wanted
    Properties:
      Name: !Sub "${AWS::StackName}-topic"
      Arn: [!GetAtt Other.Arn, !Ref Other]
      Text: !Join [",", [!Ref A, b]]
      When: !If [Wanted, 1, !Ref AWS::NoValue]
"""


def test_document_equals_that_of_moto() -> None:
    """Short forms become long ones, and dates, numbers and texts are those of YAML."""

    class Moto(yaml.Loader):
        """moto's loader."""

    Moto.add_multi_constructor("", yaml_tag_constructor)
    document = template_parser.parse(TEMPLATE)
    assert document == yaml.load(TEMPLATE, Loader=Moto)  # noqa: S506 - the text is above
    assert document["Resources"]["Topic"]["Properties"]["Name"] == {"Fn::Sub": "${AWS::StackName}-topic"}
    assert document["Version"] == datetime.date(2012, 10, 17)


def test_change_of_a_document_does_not_reach_the_next_caller() -> None:
    """moto changes what it has parsed."""
    template_parser.parse(TEMPLATE)["Resources"].clear()
    assert template_parser.parse(TEMPLATE)["Resources"]


@pytest.mark.parametrize("text", ["a: [", "a: 1\n---\nb: 2", "\tx: 1"])
def test_text_that_is_not_yaml_is_refused(text: str) -> None:
    """On each call, with the error of PyYAML that moto expects."""
    for _ in range(2):
        with pytest.raises(yaml.YAMLError):
            template_parser.parse(text)


def test_no_tag_makes_an_object_of_python() -> None:
    """It is an unknown function, as any other tag."""
    assert template_parser.parse("a: !!python/name:os.system x") == {
        "a": {"Fn::ag:yaml.org,2002:python/name:os.system": "x"}
    }
