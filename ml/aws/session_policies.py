"""Session policies: what the credentials of a job may do at most, whatever its role allows.

AWS allows a session what both its role and its session policy allow, so a policy names actions only and the role says
on which resources. It limits what the job's credentials can do, not the job: code that has the job's OIDC token could
ask for a session without a policy.
"""

from __future__ import annotations

import json

from ml.errors import UsageError

VARIABLE = "FRAUDOPS_SESSION_POLICY"
"""The environment variable that names the session policy of a job; without it, the role alone decides."""
_ACTIONS = {
    "site": (  # what `fraudops site build` reads
        "cloudformation:DescribeStacks",
        "cloudformation:ListStackResources",
        "cloudwatch:DescribeAlarms",
        "kms:Decrypt",
        "s3:GetObject",
        "s3:ListBucket",
        "sagemaker:DescribeModelPackage",
    )
}
"""By the policy's name: every action that a session with it may do."""


def document(name: str) -> str:
    """The session policy `name` as JSON.

    Raises:
        UsageError: there is none of this name. A session without the policy would be allowed more than was asked for.
    """
    if name not in _ACTIONS:
        raise UsageError(f"{VARIABLE} must be one of {', '.join(_ACTIONS)} (got {name!r})")
    statement = {"Sid": name.capitalize(), "Effect": "Allow", "Action": list(_ACTIONS[name]), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
