"""The session policies of jobs: they allow reads alone, in the size that AWS accepts."""

from __future__ import annotations

import json

import pytest

from ml.aws import session_policies
from ml.errors import UsageError

_INLINE_CHARACTERS = 2048


def test_session_of_the_site_reads_only() -> None:
    """Every action lists, describes, gets or decrypts; on which resources is the role's to say."""
    document = session_policies.document("site")
    assert len(document) <= _INLINE_CHARACTERS
    (statement,) = json.loads(document)["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Allow", "*")
    names = [action.partition(":")[2] for action in statement["Action"]]
    assert [name for name in names if not name.startswith(("Describe", "List", "Get", "Decrypt"))] == []


def test_unknown_policy_is_refused() -> None:
    """The error names the variable and the policies that there are."""
    with pytest.raises(UsageError, match=r"FRAUDOPS_SESSION_POLICY must be one of site \(got 'sight'\)"):
        session_policies.document("sight")
