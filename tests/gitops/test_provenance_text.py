"""An approval's pull request says whether the model can be made again and whether its statement is signed."""

from __future__ import annotations

from ml.gitops import provenance_text
from tests.harness.git.repositories import record


def test_signed_approval_names_its_statement() -> None:
    """And how to train it again; nothing is warned about."""
    assert provenance_text.warnings(record(7), signed=True) == []
    reproduction, statement = provenance_text.origin(record(7), signed=True)
    assert "`fraudops reproduce 7 --at origin/approve/0007` has said so" in reproduction
    assert statement == (
        "Statement of provenance: `model-config/approvals/0007.intoto.json`. `deploy.yml` verifies that train.yml's "
        "role has signed it."
    )


def test_unsigned_approval_is_warned_about() -> None:
    """With what deploy.yml will do; there is no statement to name."""
    warning, after = provenance_text.warnings(record(7), signed=False)
    assert (warning.startswith("⚠️ **No signed statement of provenance.**"), after) == (True, "")
    assert "`deploy.yml` refuses this model if main has, or ever had, a statement" in warning
    assert len(provenance_text.origin(record(7), signed=False)) == 1


def test_model_that_cannot_be_reproduced_says_why() -> None:
    """The reason of the record is escaped."""
    made = record(7, not_reproducible="a <b> reason")
    warning, _ = provenance_text.warnings(made, signed=True)
    assert "cannot be reproduced bit for bit: a &lt;b&gt; reason" in warning
    assert "names the numbers that differ" in provenance_text.origin(made, signed=True)[0]
