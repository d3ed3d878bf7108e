"""`fraudops approve`, `deploy`, `shadow`, `promote`, `rollback`, `serving-image`: which model serves, and in what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.options import HERE, Merge, Repo, View, group, verb

app = group("Approve, deploy, promote, roll back.")


@verb(app, example="fraudops approve arn:aws:sagemaker:…:model-package/fraudops-model/3 --merge")
def approve(
    package: Annotated[str, typer.Argument(metavar="PACKAGE_ARN", help="The registered model package.")],
    merge: Merge = False,
    repo: Repo = HERE,
) -> View:
    """Create the approval branch: one commit with the record, one that moves the pointer."""
    from ml import render
    from ml.commands.approve import approve as run

    result = run(repo, package, merge=merge)
    if result.merged or result.state == "on main already":
        following = "git push origin main, which starts deploy.yml; without workflows: fraudops deploy"
    else:
        following = (
            f"git push origin {result.branch} && gh pr create --fill --head {result.branch}; merging it with a merge "
            "commit approves the model. Without GitHub: the same command with --merge"
        )
    return View(value=result, rows=[*render.fields(result), ("next", following)])


@verb(app, example="fraudops deploy")
def deploy(
    reason: Annotated[str, typer.Option(envvar="FRAUDOPS_REASON", help="Why it is deployed again.")] = "",
    staging: Annotated[bool, typer.Option("--staging", help="Deploy staging in place of production.")] = False,
    repo: Repo = HERE,
) -> View:
    """Deploy the model that the checked-out commit names, and verify that it serves."""
    from ml import render
    from ml.commands.deploy import deploy as run

    result = run(repo, reason=reason, staging=staging)
    rows = dict(render.fields(result))
    if result.smoke is not None:
        rows["smoke"] = (
            f"{result.smoke.rows} known transactions scored, {result.smoke.alerts} alerts; largest difference to the "
            f"model's own scores {result.smoke.largest_difference:.1g}"
        )
    if result.seconds is not None:
        rows["seconds"] = f"{result.seconds:.1f}"
    return View(value=result, rows=rows.items())


@verb(app, example="fraudops shadow && fraudops promote --propose")
def shadow(
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Do nothing before the time of the roll-out's shadow is over.")
    ] = False,
    repo: Repo = HERE,
) -> Any:
    """Score a copy of production's traffic with the model of staging, and compare the two."""
    from ml.commands.shadow import shadow as run
    from ml.commands.shadow import shadow_if_due

    return shadow_if_due(repo) if if_due else run(repo)


@verb(app, example="fraudops promote --merge && fraudops deploy")
def promote(
    merge: Merge = False,
    propose: Annotated[bool, typer.Option("--propose", help="Push the branch and open its pull request.")] = False,
    repo: Repo = HERE,
) -> Any:
    """Prepare the change that moves the model of staging to production."""
    from ml.commands.promote import promote as run

    return run(repo, merge=merge, propose=propose)


@verb(app, example="fraudops rollback --to 3 --merge && fraudops deploy")
def rollback(
    to: Annotated[int | None, typer.Option(help="The approval to return to; the former one by default.")] = None,
    merge: Merge = False,
    propose: Annotated[bool, typer.Option("--propose", help="Push the branch and open its pull request.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="The deployment of what main names has failed.")] = False,
    staging: Annotated[bool, typer.Option("--staging", help="Roll back staging in place of production.")] = False,
    repo: Repo = HERE,
) -> Any:
    """Prepare the revert of the pointer's commit, to a model that served before."""
    from ml.commands.rollback import rollback as run

    return run(repo, to=to, merge=merge, propose=propose, failed=failed, staging=staging)


@verb(app, example="fraudops serving-image --base-image python:3.12-slim@sha256:…")
def serving_image(
    base_image: Annotated[
        str, typer.Option(envvar="FRAUDOPS_SERVING_BASE_IMAGE", help="The Python 3.12 image, by its digest.")
    ] = "",
    bill_of_materials: Annotated[
        Path | None,
        typer.Option(
            "--sbom", metavar="FILE", envvar="FRAUDOPS_SBOM", help="Write the image's packages, as CycloneDX."
        ),
    ] = None,
    repo: Repo = HERE,
) -> Any:
    """Build the optional serving image with docker, and push it to ECR."""
    from ml.commands.serving_image import build as run

    return run(repo, base_image=base_image, bill_of_materials=bill_of_materials)
