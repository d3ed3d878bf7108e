"""Java's regular expressions in Python: every pattern of the service models, and the constructs that differ."""

from __future__ import annotations

from collections.abc import Iterator

import botocore.session
import pytest
from local_aws.validation.patterns import matches, translate

USED = (
    "cloudformation",
    "cloudwatch",
    "events",
    "iam",
    "lambda",
    "logs",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
    "sns",
    "sqs",
    "sts",
)


def model_patterns(service: str) -> Iterator[str]:
    """The patterns of a service's model."""
    model = botocore.session.Session().get_service_model(service)
    for name in model.shape_names:
        shape = model.shape_for(name)
        if "pattern" in shape.metadata:
            yield shape.metadata["pattern"]


@pytest.mark.parametrize("service", USED)
def test_every_pattern_of_a_used_service_is_translated(service: str) -> None:
    """None is skipped, and each matches a value as a whole: a line break at the end is not ignored."""
    for pattern in set(model_patterns(service)):
        compiled = translate(pattern)
        assert compiled.fullmatch("\x00 not a name \n\n\x00") is None or _accepts_anything(pattern), pattern


def _accepts_anything(pattern: str) -> bool:
    """Whether the pattern is one of those that exclude a few characters or none."""
    return any(
        part in pattern
        for part in ("[\\s\\S]", "[ \\r\\n\\t]", "(?s)", "[^", "[\\S\\s]", "[\\w\\W]", "\\x00", "\\p{ASCII}")
    )


@pytest.mark.slow
def test_every_pattern_of_every_service_is_translated() -> None:
    """Ten thousand patterns of all models that botocore has."""
    failed = []
    for service in botocore.session.Session().get_available_services():
        for pattern in set(model_patterns(service)):
            try:
                translate(pattern)
            except ValueError as error:
                failed.append(f"{service}: {error}")
    assert failed == []


@pytest.mark.parametrize(
    ("pattern", "accepted", "refused"),
    [
        ("^[a-zA-Z0-9](-*[a-zA-Z0-9])*", ["a-b", "a--b"], ["a_b", "a-", "", "a\n"]),  # Kenza-AI/sagify#57
        ("[a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?", ["a-b"], ["coco-'17"]),  # aws/amazon-sagemaker-feedback#85
        ("([\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@]*)${1,128}", ["", "é 漢=9"], ["a,b", "a\tb"]),
        ("[\\p{Print}&&[^|:/]]+", ["a b"], ["a:b", "é"]),
        ("\\A\\S[\\p{Print}]*\\z", ["a b"], [" a", "a\n"]),
        ("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\t]*", ["a😀\t"], ["a\n"]),
        ("(?i)all|[0-9]{12}", ["ALL", "123456789012"], ["1"]),
        ("a|(?i)b|c", ["a", "B", "C"], ["A"]),
        (".*", ["a b"], ["a\nb", "a\rb", "a\u2028b"]),
        ("[\\w]+", ["a_1"], ["é"]),  # Java's \w is ASCII
        ("(?<name>a)b", ["ab"], ["a"]),
        ("[^\\p{C}]*", ["a b"], ["a\x01"]),
        ("[\\P{M}]+", ["ab"], ["\u0301"]),
        ("[a-c[x-z]]+", ["ay"], ["d"]),
        ("\\Qa.b\\E", ["a.b"], ["aXb"]),
        ("[a-z\\s-_]+", ["a -_"], ["A"]),
    ],
)
def test_translated_pattern_accepts_what_java_accepts(pattern: str, accepted: list[str], refused: list[str]) -> None:
    """Whole values; Unicode classes, intersections, unions, surrogates, flags and quantified anchors."""
    assert [value for value in accepted if not matches(pattern, value)] == []
    assert [value for value in refused if matches(pattern, value)] == []


@pytest.mark.parametrize("pattern", ["[a", "\\p{Nonsense}", "(a"])
def test_untranslatable_pattern_is_an_error(pattern: str) -> None:
    """The message has the pattern."""
    with pytest.raises(ValueError, match="cannot translate the pattern"):
        translate(pattern)
