"""One test per service rule: the request that AWS refuses is refused, with AWS's code and message."""

from __future__ import annotations

import re

import pytest
from local_aws.server import LocalAws
from local_aws.service_rules.catalog import rules
from rule_cases import autoscaling, compute, guardrails, identity, messaging, monitoring, sagemaker, stacks, storage
from rule_cases.refusals import Case

MODULES = (autoscaling, compute, guardrails, identity, messaging, monitoring, sagemaker, stacks, storage)
CASES: dict[str, Case] = {rule_id: case for module in MODULES for rule_id, case in module.CASES.items()}
AWSS_OWN = r"https://(docs\.aws\.amazon\.com|github\.com/aws(labs|-samples|-solutions|-cloudformation|docs)?/[\w.-]+/blob/\w{40})/"
"""AWS's pages and code."""
OF_OTHERS = r"https://github\.com/[\w.-]+/[\w.-]+/((issues|pull)/\d+$|blob/\w{40}/.+\.snapshot\.json$)"
"""Issues that show an error, and responses of AWS that a test has recorded."""


@pytest.fixture(autouse=True)
def new_account(aws: LocalAws) -> None:
    """The quotas of a new account."""
    aws.quotas.reset()


@pytest.mark.parametrize("rule_id", sorted(CASES))
def test_rule_refuses_in_awss_words(aws: LocalAws, rule_id: str) -> None:
    """The request that the rule is about is refused."""
    CASES[rule_id](aws)


def test_every_rule_has_a_test() -> None:
    """And every test a rule, in one module."""
    assert set(CASES) == set(rules())
    assert sum(len(module.CASES) for module in MODULES) == len(CASES)


def test_every_rule_has_a_public_source() -> None:
    """The service's model knows the operations, and the statement is a sentence."""
    import botocore.session

    for rule in rules().values():
        assert re.match(f"{AWSS_OWN}|{OF_OTHERS}", rule.source), rule.id
        assert rule.id.startswith(f"{rule.service}-")
        known = botocore.session.Session().get_service_model(rule.service).operation_names
        assert rule.operations
        assert set(rule.operations) <= set(known), rule.id
        assert rule.statement.endswith("."), rule.id


def test_every_message_says_where_its_words_are_from() -> None:
    """AWS's pages state limits and few messages: a message without a page that shows it is marked as inferred."""
    for rule in rules().values():
        assert rule.words in ("", "inferred") or re.match(f"{AWSS_OWN}|{OF_OTHERS}", rule.words), rule.id
        shows_messages = re.match(OF_OTHERS, rule.source) or "/blob/" in rule.source or "ErrorResponses" in rule.source
        assert rule.words or shows_messages, rule.id


def test_unknown_quota_is_refused(aws: LocalAws) -> None:
    """A misspelt name or a negative number sets nothing."""
    from local_aws.errors import AwsError

    for values in ({"lambda": 1}, {"lambda_concurrent_executions": -1}, {"instances": 3}, {"instances": {"a": "b"}}):
        with pytest.raises(AwsError, match="quota"):
            aws.quotas.set(values)
    assert aws.quotas.lambda_concurrent_executions == 10
