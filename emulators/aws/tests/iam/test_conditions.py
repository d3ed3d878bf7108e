"""Missing keys, keys with several values, set operators, IfExists and Null."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from local_aws.iam.conditions import condition
from local_aws.iam.policy_variables import RequestContext


def holds(operator: str, wanted: Sequence[str], value: str | Sequence[str] | None) -> bool:
    """Whether the condition holds for a key with this value, None for a request without the key."""
    context = RequestContext({} if value is None else {"aws:TagKeys": value})
    return condition(operator, "aws:tagkeys", tuple(wanted), variables=True).holds(context)


# "If the key that you specify in a policy condition is not present in the request context, the values do not match and
# the condition is false. If the policy condition requires that the key is not matched, ... the condition is true."
@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("NumericLessThan", False),
        ("Bool", False),
        ("IpAddress", False),
        ("ArnLike", False),
        ("StringNotEquals", True),
        ("StringNotLike", True),
        ("NumericNotEquals", True),
        ("DateNotEquals", True),
        ("NotIpAddress", True),
        ("ArnNotLike", True),
        ("StringEqualsIfExists", True),
        ("StringNotEqualsIfExists", True),
        ("BoolIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAllValues:StringNotEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringEqualsIfExists", True),
    ],
)
@pytest.mark.parametrize("absent", [None, ()])
def test_condition_without_the_key(operator: str, expected: bool, absent: tuple[str, ...] | None) -> None:
    """An absent key, and one with an empty list of values, satisfy what needs no value."""
    assert holds(operator, ["true"], absent) is expected


# The rows of "Evaluation logic for multiple values with condition set operators".
@pytest.mark.parametrize(
    ("operator", "wanted", "values", "expected"),
    [
        ("ForAllValues:StringEquals", ["PostDateTime", "Message", "Tags"], ["PostDateTime", "UserName"], False),
        ("ForAllValues:StringEquals", ["ID", "Message", "Tags"], ["Message", "Tags"], True),
        ("ForAnyValue:StringEquals", ["ID", "PostDateTime"], ["UserName", "Message", "PostDateTime"], True),
        ("ForAnyValue:StringEquals", ["ID", "PostDateTime"], ["UserName"], False),
        ("ForAllValues:StringNotEquals", ["ID"], ["UserName", "Message"], True),
        ("ForAllValues:StringNotEquals", ["ID"], ["UserName", "ID"], False),
        ("ForAnyValue:StringNotEquals", ["ID"], ["UserName", "ID"], True),
        ("ForAnyValue:StringNotEquals", ["ID"], ["ID"], False),
        ("ForAnyValue:StringLikeIfExists", ["Post*"], ["UserName", "PostDateTime"], True),
        ("ForAllValues:StringLike", ["Post*"], "PostDateTime", True),
    ],
)
def test_condition_with_set_operator(operator: str, wanted: list[str], values: str | list[str], expected: bool) -> None:
    """ForAllValues needs every value of the request, ForAnyValue one; a single value is a set of one."""
    assert holds(operator, wanted, values) is expected


@pytest.mark.parametrize("operator", ["StringEquals", "StringNotEquals", "StringEqualsIfExists"])
def test_condition_on_several_values_needs_a_set_operator(operator: str) -> None:
    """ "Multivalued context keys require a condition set operator": without one no operator holds."""
    assert not holds(operator, ["a"], ["a", "b"])
    assert not holds(operator, ["c"], ["a", "b"])


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        ("true", None, True),
        ("false", None, False),
        ("true", "x", False),
        ("false", "x", True),
        ("False", "", True),
        ("true", (), True),
        ("false", ("a", "b"), True),
        ("perhaps", "x", False),
    ],
)
def test_null_tests_the_presence_of_a_key(wanted: str, value: str | Sequence[str] | None, expected: bool) -> None:
    """`true` asks for absence, `false` for presence; an empty string is a value, an empty list none."""
    assert holds("Null", [wanted], value) is expected
