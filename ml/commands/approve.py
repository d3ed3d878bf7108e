"""`fraudops approve`: proposes a registered package as two commits on a branch. Merging the branch approves it.

The verb is `ml.records.approval.approve`, which `propose` uses too.
"""

from ml.records.approval import Approval, approve

__all__ = ["Approval", "approve"]
