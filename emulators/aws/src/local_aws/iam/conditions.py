"""The Condition element: set operators, IfExists, Null, missing keys and keys with several values.

All conditions of a statement must hold. Does not compare values; `local_aws.iam.condition_operators` does.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Single-valued vs. multivalued context
keys".
"""

from __future__ import annotations

from dataclasses import dataclass

from local_aws.iam.condition_operators import OPERATORS, Operator
from local_aws.iam.policy_variables import RequestContext, Template, template

QUANTIFIERS = {"foranyvalue": "ForAnyValue", "forallvalues": "ForAllValues"}


class UnknownOperator(Exception):
    """The name is no condition operator of IAM."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one context key. `operator` is None for Null."""

    name: str
    key: str
    wanted: tuple[Template, ...]
    operator: Operator | None
    quantifier: str
    if_exists: bool

    def holds(self, context: RequestContext) -> bool:
        """Whether the condition holds for a request.

        A missing key satisfies IfExists, ForAllValues and negated operators, and no other, ForAnyValue with a negated
        operator included. A key with several values satisfies no operator without a set operator.
        """
        value = context.get(self.key)
        if self.operator is None:
            return ("true" if value is None else "false") in {each.source.lower() for each in self.wanted}
        if value is None:
            if self.if_exists or self.quantifier == "ForAllValues":
                return True
            return self.operator.negated and not self.quantifier
        if not self.quantifier:
            return isinstance(value, str) and self.operator.holds(self.wanted, value, context)
        values = (value,) if isinstance(value, str) else value
        results = (self.operator.holds(self.wanted, each, context) for each in values)
        return any(results) if self.quantifier == "ForAnyValue" else all(results)


def condition(name: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    """Builds a condition from its operator as written, such as `ForAnyValue:StringLikeIfExists`.

    Raises:
        UnknownOperator: it is none of IAM's, or Null with IfExists or a set operator.
    """
    prefix, _, base = name.rpartition(":")
    if_exists = base.lower().endswith("ifexists")
    base = base[: -len("IfExists")] if if_exists else base
    quantifier = QUANTIFIERS.get(prefix.lower(), "")
    operator = OPERATORS.get(base.lower())
    plain_null = base.lower() == "null" and not prefix and not if_exists
    if (prefix and not quantifier) or (operator is None and not plain_null):
        raise UnknownOperator(name)
    replaced = variables and operator is not None and operator.variables
    wanted = tuple(template(value, replaced) for value in values)
    return Condition(name, key.lower(), wanted, operator, quantifier, if_exists)
