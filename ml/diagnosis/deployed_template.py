"""Resolves a template of the checkout with the values of its deployed stack. Compares nothing."""

from __future__ import annotations

from pathlib import Path

from ml.aws.cloudformation import deployed_stack
from ml.diagnosis.subjects import Subjects
from ml.diagnosis.template_values import StackValues, Template


def read(subjects: Subjects, name: str, path: Path) -> Template:
    """The template at `path` of the checkout, with what its references are in the stack `name`.

    Raises:
        CannotTell: there is no usable stack of that name.
        ConfigError: the text is not a template.
    """
    found = subjects.usable(name)
    _, partition, _, region, account, _ = found["StackId"].split(":", 5)
    values = StackValues(
        region=region,
        account=account,
        partition=partition,
        name=name,
        parameters=deployed_stack.parameters(found),
        resources=subjects.resources(name),
    )
    return Template((subjects.root / path).read_text("utf-8"), values)
