"""Each condition operator on one value of a request and the values of a policy."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from local_aws.iam.condition_operators import OPERATORS
from local_aws.iam.conditions import UnknownOperator, condition
from local_aws.iam.policy_variables import RequestContext

ALERTS = "arn:aws:sns:us-east-1:111122223333:alerts"
# From the page "Condition operators": a value that StringLike matches and ArnLike does not.
FINANCE = "arn:aws:someservice:*:111122223333:finance/*"
STORE = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"

CASES: list[tuple[str, Sequence[str], str, bool]] = [
    ("StringEquals", ["blue"], "blue", True),
    ("StringEquals", ["blue"], "Blue", False),
    ("StringEquals", ["red", "blue"], "blue", True),
    ("StringEquals", ["b*"], "blue", False),
    ("StringEquals", ["b*"], "b*", True),
    ("StringNotEquals", ["red", "green"], "blue", True),
    ("StringNotEquals", ["red", "blue"], "blue", False),
    ("StringEqualsIgnoreCase", ["BLUE"], "blue", True),
    ("StringEqualsIgnoreCase", ["BLU"], "blue", False),
    ("StringNotEqualsIgnoreCase", ["BLUE"], "blue", False),
    ("StringNotEqualsIgnoreCase", ["RED"], "blue", True),
    ("StringLike", ["b*e"], "blue", True),
    ("StringLike", ["b?e"], "blue", False),
    ("StringLike", ["bl?e"], "blue", True),
    ("StringLike", ["*"], "", True),
    ("StringLike", ["*"], "two\nlines", True),
    ("StringLike", ["a.c"], "abc", False),
    ("StringLike", ["B*"], "blue", False),
    ("StringLike", [FINANCE], STORE, True),
    ("StringNotLike", ["r*", "g*"], "blue", True),
    ("StringNotLike", ["r*", "b*"], "blue", False),
    ("NumericEquals", ["10"], "10.0", True),
    ("NumericEquals", ["10"], "11", False),
    ("NumericNotEquals", ["10", "11"], "12", True),
    ("NumericNotEquals", ["10", "11"], "11", False),
    ("NumericLessThan", ["10"], "9.99", True),
    ("NumericLessThan", ["10"], "10", False),
    ("NumericLessThanEquals", ["10"], "10", True),
    ("NumericLessThanEquals", ["10"], "10.01", False),
    ("NumericGreaterThan", ["-2"], "-1", True),
    ("NumericGreaterThan", ["9"], "10", True),  # as text, 10 would come before 9
    ("NumericGreaterThan", ["10"], "10", False),
    ("NumericGreaterThanEquals", ["10"], "10", True),
    ("NumericGreaterThanEquals", ["10"], "9", False),
    ("NumericEquals", ["10"], "ten", False),
    ("NumericNotEquals", ["10"], "ten", False),
    ("NumericEquals", ["ten"], "10", False),
    ("DateEquals", ["2026-03-01T00:00:00Z"], "2026-03-01T01:00:00+01:00", True),
    ("DateEquals", ["2026-03-01"], "2026-03-01T00:00:00Z", True),
    ("DateEquals", ["2026-03"], "2026-03-01T00:00:00Z", True),
    ("DateEquals", ["1772323200"], "2026-03-01T00:00:00Z", True),
    ("DateNotEquals", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:01Z", True),
    ("DateNotEquals", ["2026-03-01T00:00:00Z"], "1772323200", False),
    ("DateLessThan", ["2026-03-01T00:00:00Z"], "2026-02-28T23:59:59Z", True),
    ("DateLessThan", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:00Z", False),
    ("DateLessThanEquals", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:00Z", True),
    ("DateLessThanEquals", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:01Z", False),
    ("DateGreaterThan", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:00.5Z", True),
    ("DateGreaterThan", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:00Z", False),
    ("DateGreaterThanEquals", ["2026-03-01T00:00:00Z"], "2026-03-01T00:00:00Z", True),
    ("DateGreaterThanEquals", ["2026-03-01T00:00:00Z"], "1772323199", False),
    ("DateEquals", ["yesterday"], "2026-03-01T00:00:00Z", False),
    ("DateNotEquals", ["yesterday"], "2026-03-01T00:00:00Z", False),
    ("Bool", ["true"], "true", True),
    ("Bool", ["True"], "true", True),
    ("Bool", ["false"], "true", False),
    ("Bool", ["1"], "1", False),
    ("BinaryEquals", ["QmluYXJ5VmFsdWVJbkJhc2U2NA=="], "QmluYXJ5VmFsdWVJbkJhc2U2NA==", True),
    ("BinaryEquals", ["QmluYXJ5VmFsdWVJbkJhc2U2NA=="], "QmluYXJ5", False),
    ("BinaryEquals", ["not base64"], "not base64", False),
    ("IpAddress", ["203.0.113.0/24"], "203.0.113.255", True),
    ("IpAddress", ["203.0.113.0/24"], "203.0.114.0", False),
    ("IpAddress", ["203.0.113.7"], "203.0.113.7", True),  # the default prefix is /32
    ("IpAddress", ["203.0.113.7"], "203.0.113.8", False),
    ("IpAddress", ["0.0.0.0/0"], "203.0.113.7", True),
    ("IpAddress", ["0.0.0.0/0"], "2001:db8::1", False),
    ("IpAddress", ["2001:DB8:1234:5678::/64"], "2001:db8:1234:5678::9", True),
    ("IpAddress", ["203.0.113.0/24", "2001:DB8:1234:5678::/64"], "2001:db8:1234:5679::9", False),
    ("IpAddress", ["203.0.113.0/24"], "nowhere", False),
    ("NotIpAddress", ["203.0.113.0/24", "192.0.2.0/24"], "198.51.100.1", True),
    ("NotIpAddress", ["203.0.113.0/24", "192.0.2.0/24"], "192.0.2.9", False),
    ("NotIpAddress", ["203.0.113.7"], "2001:db8::1", True),
    ("NotIpAddress", ["203.0.113.0/24"], "nowhere", False),
    ("ArnEquals", [ALERTS], ALERTS, True),
    ("ArnEquals", ["arn:aws:sns:*:111122223333:al*"], ALERTS, True),  # like ArnLike
    ("ArnEquals", ["arn:aws:sns:us-east-1:111122223333:Alerts"], ALERTS, False),
    ("ArnLike", ["arn:aws:sns:us-east-?:*:alerts"], ALERTS, True),
    ("ArnLike", ["arn:aws:sns:*:alerts"], ALERTS, False),  # an asterisk stays within its segment
    ("ArnLike", [FINANCE], STORE, False),
    ("ArnLike", ["arn:aws:sns:*:*:*"], "alerts", False),
    ("ArnNotEquals", ["arn:aws:sns:*:*:orders"], ALERTS, True),
    ("ArnNotEquals", ["arn:aws:sns:*:*:orders", "arn:aws:sns:*:*:alerts"], ALERTS, False),
    ("ArnNotLike", ["arn:aws:sqs:*:*:*"], ALERTS, True),
    ("ArnNotLike", ["arn:aws:sns:*:*:*"], ALERTS, False),
    ("ArnNotLike", ["arn:aws:sns:*:*:*"], "alerts", False),
]


@pytest.mark.parametrize(("operator", "wanted", "value", "holds"), CASES)
def test_operator_compares(operator: str, wanted: Sequence[str], value: str, holds: bool) -> None:
    """The values of the policy are alternatives; a negated operator holds if the value is none of them."""
    test = condition(operator, "aws:Key", tuple(wanted), variables=True)
    assert test.holds(RequestContext({"AWS:KEY": value})) is holds


def test_operators_are_all_compared() -> None:
    """Every operator has a case that holds and one that does not."""
    for holds in (True, False):
        assert {case[0].lower() for case in CASES if case[3] is holds} == set(OPERATORS)


@pytest.mark.parametrize("operator", ["stringequals", "STRINGLIKE", "forAnyValue:stringLikeIfExists"])
def test_operator_names_have_no_case(operator: str) -> None:
    """IAM accepts any case of an operator's name."""
    assert condition(operator, "aws:Key", ("blue",), variables=True).holds(RequestContext({"aws:key": "blue"}))


@pytest.mark.parametrize(
    "operator",
    [
        "Equals",
        "StringLikes",
        "NullIfExists",
        "ForAnyValue:Null",
        "ForEachValue:StringEquals",
        "StringEqualsIfPresent",
        "",
    ],
)
def test_unknown_operators_are_refused(operator: str) -> None:
    """A misspelt operator is no condition that holds or fails."""
    with pytest.raises(UnknownOperator):
        condition(operator, "aws:Key", ("blue",), variables=True)
