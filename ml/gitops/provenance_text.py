"""Says in an approval's pull request whether the model can be made again, and whether its statement is signed.

Uses only what it is given; measures nothing and decides nothing.
"""

from __future__ import annotations

from ml import config
from ml.gitops import commit_messages
from ml.gitops.markdown_escaping import code, text


def warnings(record: config.ApprovalRecord, *, signed: bool) -> list[str]:
    """What a reviewer must see before merging, as lines of Markdown with an empty one after each; often none."""
    found = []
    if record.not_reproducible is not None:
        found.append(
            f"⚠️ **This model cannot be reproduced bit for bit: {text(record.not_reproducible)}.** Merging this "
            "approves it all the same."
        )
    if not signed:
        found.append(
            "⚠️ **No signed statement of provenance.** This account has no signing key, or the model was proposed with "
            f"another identity than the role of train.yml. {code('deploy.yml')} refuses this model if main "
            "has, or ever had, a statement."
        )
    return [line for warning in found for line in (warning, "")]


def origin(record: config.ApprovalRecord, *, signed: bool) -> list[str]:
    """Paragraphs of Markdown about reproduction and the statement."""
    number = commit_messages.number(record.approval)
    again = code(f"fraudops reproduce {record.approval} --at origin/approve/{number}")
    if record.not_reproducible is not None:
        reproduction = f"Trained once. {again} trains it again and names the numbers that differ."
    else:
        reproduction = (
            f"Trained once. Whether training it again gives the same archive is not known until {again} has said so; "
            "it costs as much as the training."
        )
    path = code(config.statement_path(record.approval).as_posix())
    statement = f"Statement of provenance: {path}. {code('deploy.yml')} verifies that train.yml's role has signed it."
    return [reproduction, *([statement] if signed else [])]
