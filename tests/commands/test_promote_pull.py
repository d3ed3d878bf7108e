"""The pull requests of staging: of `fraudops promote`, what replaces and closes it, and of `rollback --staging`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ml import config
from ml.aws import deployment_records
from ml.aws.session import client
from ml.aws.shadow_store import ShadowStore
from ml.commands.promote import promote
from ml.commands.rollback import rollback
from ml.errors import Refused
from ml.gitops import labels, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import BOT
from ml.records import bot_pull_requests
from ml.release import shadow_verdict
from tests.harness.aws import moto_server
from tests.harness.aws.deployments import finished
from tests.harness.github.bot_environment import BotEnvironment
from tests.release.shadow_documents import document

STAGED, LAKE = "fraudops-staging", "staging-lake"


@pytest.fixture
def staged(bot: BotEnvironment) -> BotEnvironment:
    """The same with serving/staging.yaml on main and staging's stack; nothing is approved yet."""
    text = bot.workspace.text(config.SERVING).replace("fraudops-production", STAGED)
    bot.workspace.write({config.STAGING: text}, "Add staging")
    bot.push()
    template = client("cloudformation").get_template(StackName="fraudops")["TemplateBody"]
    document = json.loads(template) if isinstance(template, str) else template
    document["Outputs"] |= {"Bucket": {"Value": LAKE}, "PackageGroup": {"Value": "staging-fraudops-model"}}
    client("cloudformation").create_stack(
        StackName="staging-fraudops",
        TemplateBody=json.dumps(document),
        Parameters=[{"ParameterKey": "EndpointName", "ParameterValue": STAGED}],
    )
    moto_server.make_bucket(LAKE)
    return bot


def serve(bot: BotEnvironment, number: int) -> None:
    """Merges approval `number` and makes staging's endpoint serve it, as its deployment does."""
    bot.env.approve(bot.register(float(number)))
    bot.push()
    sagemaker, name = client("sagemaker"), f"{STAGED}-{number:04d}-0123456789ab"
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn="arn:aws:iam::123456789012:role/endpoint")
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    if sagemaker.list_endpoints()["Endpoints"]:
        sagemaker.delete_endpoint(EndpointName=STAGED)
    sagemaker.create_endpoint(EndpointName=STAGED, EndpointConfigName=name)
    past = replace(
        finished(number, f"2026-03-0{number}T00:00:00Z"),
        endpoint=STAGED,
        endpoint_config=name,
        artifact_sha256=config.load_approval(bot.root, number).artifact.sha256,
    )
    deployment_records.record(LAKE, past)


def test_promotion_is_a_pull_request_that_moves_one_pointer(staged: BotEnvironment) -> None:
    """By the bot, checked by ci.yml, with the digest and the staging's deployment; a second run keeps it."""
    serve(staged, 1)
    result = promote(staged.root, propose=True)
    pull = staged.api.get_pull(result.pull_request or 0)
    assert (pull.title, pull.head.ref, pull.base.ref) == (
        "Promote approval 0001 to production",
        "promote/0001",
        "main",
    )
    assert [file.filename for file in pull.get_files()] == [config.SERVING.as_posix()]
    (commit,) = pull.get_commits()
    assert commit.commit.author.name == BOT.name
    assert [label.name for label in pull.labels] == [labels.PROMOTION.name]
    assert f"sha256:{config.load_approval(staged.root, 1).artifact.sha256}" in pull.body
    assert STAGED in pull.body
    assert staged.started == [("ci.yml", "promote/0001", {"pull_request": str(pull.number)})]
    again = promote(staged.root, propose=True)
    assert (again.state, again.pull_request, again.commit) == ("kept", pull.number, result.commit)
    staged.merge(pull.number)
    assert serving_pointer.read(staged.workspace.repository, "main").approval == 1
    with pytest.raises(Refused, match="already the one that production serves"):
        promote(staged.root, propose=True)


def test_newer_promotion_replaces_an_older_one(staged: BotEnvironment) -> None:
    """Approval 2, which was compared with nothing as well, goes to staging before 1 was promoted."""
    serve(staged, 1)
    older = promote(staged.root, propose=True).pull_request or 0
    serve(staged, 2)
    newer = promote(staged.root, propose=True).pull_request or 0
    assert (staged.api.get_pull(older).state, staged.api.get_pull(newer).state) == ("closed", "open")


def test_deployment_closes_the_promotions_that_it_makes_out_of_date(staged: BotEnvironment) -> None:
    """Not the one of a model that was compared with what serves now."""
    serve(staged, 1)
    number = promote(staged.root, propose=True).pull_request or 0
    staged.merge(number)
    serve(staged, 2)
    open_pull = promote(staged.root, propose=True).pull_request or 0
    github, remote = GitHub.from_environment(), Remote(staged.workspace.repository)
    assert bot_pull_requests.close_stale(github, remote, serves=1) == []
    assert staged.api.get_pull(open_pull).state == "open"
    assert bot_pull_requests.close_stale(github, remote, serves=3) == [open_pull]
    assert staged.api.get_pull(open_pull).state == "closed"


def test_rollback_of_staging_is_a_pull_request_of_its_own(staged: BotEnvironment) -> None:
    """It moves staging's pointer, names staging's workflow, and production's deployments do not close it."""
    serve(staged, 1)
    serve(staged, 2)
    result = rollback(staged.root, propose=True, staging=True, to=1)
    pull = staged.api.get_pull(result.pull_request or 0)
    assert (pull.title, pull.head.ref) == ("Serve approval 0001 again in staging", "rollback/staging-0001")
    assert [file.filename for file in pull.get_files()] == [config.STAGING.as_posix()]
    assert "as soon as `deploy-staging.yml` has verified and deployed it" in pull.body
    staged.env.approve(staged.register(3.0))  # its deployment fails: 2 is what was deployed last
    staged.push()
    again = rollback(staged.root, propose=True, staging=True, failed=True)
    assert (again.target, again.current) == (2, 3)
    body = staged.api.get_pull(again.pull_request or 0).body
    assert body.startswith(f"{bot_pull_requests.AFTER_FAILURE}\n**The deployment of approval 0003 failed**")
    assert "run `deploy-staging.yml` again instead, which closes this pull request" in body
    assert bot_pull_requests.close_stale(GitHub.from_environment(), Remote(staged.workspace.repository), serves=9) == []
    github = GitHub.from_environment()
    assert bot_pull_requests.close_rollbacks(github, serves=9, file=config.SERVING) == []
    assert bot_pull_requests.close_rollbacks(github, serves=9, file=config.STAGING) == [again.pull_request]
    assert staged.api.get_pull(result.pull_request or 0).state == "open"  # a person's
    once_more = rollback(staged.root, propose=True, staging=True, failed=True)
    staged.merge(once_more.pull_request or 0)
    assert serving_pointer.read(staged.workspace.repository, "main", config.STAGING).approval == 2
    assert serving_pointer.read(staged.workspace.repository, "main").approval is None


def test_promotion_is_merged_or_proposed(staged: BotEnvironment) -> None:
    """Not both."""
    with pytest.raises(Refused, match="choose one"):
        promote(staged.root, propose=True, merge=True)


def test_comparison_of_a_shadow_is_a_comment_that_a_later_run_updates(staged: BotEnvironment) -> None:
    """There is no pull request before it is complete; labels that come later change the one comment."""
    serve(staged, 1)
    staged.merge(promote(staged.root, propose=True).pull_request or 0)
    text = staged.workspace.text(config.SERVING)
    asked = text.replace("rollout: {", "rollout: {shadow: {hours: 1, max_rows: 1000}, ").replace(
        "traffic: all_at_once", "traffic: shadow"
    )
    staged.workspace.write({config.SERVING: asked}, "Ask for a shadow")
    staged.push()
    serve(staged, 2)
    with pytest.raises(Refused, match="approval 0002 has not been compared yet"):
        promote(staged.root, propose=True)
    store = ShadowStore(LAKE, deployment_records.history(LAKE)[-1])
    numbers: dict[str, Any] = {"approval": 2, "champion": {"approval": 1, "artifact_sha256": "b" * 64}}
    for frauds, sentence in ((None, "Nothing speaks against merging yet."), ((9, 3, 1), "Of 13 known frauds")):
        made = document(frauds=frauds, **numbers)
        made["decision"], made["reason"] = shadow_verdict.decide(made)
        store.write({key: value for key, value in made.items() if key != "artifact_sha256"})
        result = promote(staged.root, propose=True)
        (comment,) = staged.api.get_issue(result.pull_request or 0).get_comments()
        assert sentence in comment.body
    assert result.state == "kept"
    assert result.shadow is not None
    assert result.shadow.startswith("Nothing speaks against merging. Of 13")
