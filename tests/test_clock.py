"""The project's clock, and the exit codes of errors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml import clock, errors


def test_clock_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FRAUDOPS_NOW sets the time, whatever its offset."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T08:00:00+02:00")
    assert clock.now() == datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert clock.stamp(clock.now()) == "2026-03-01T06:00:00Z"


@pytest.mark.parametrize("text", ["tomorrow", "2026-03-01T06:00:00"])
def test_time_without_an_offset_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Such a time is ambiguous."""
    monkeypatch.setenv("FRAUDOPS_NOW", text)
    with pytest.raises(errors.ConfigError, match="FRAUDOPS_NOW"):
        clock.now()


def test_every_failure_has_an_exit_code_of_its_own() -> None:
    """Workflows distinguish errors by exit code; none is that of success, and one alone is that of a wrong command."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FraudopsError)
    ]
    assert len(kinds) == 13  # a subclass elsewhere ends with 1, or with the code of the one that it is a kind of
    codes = [kind.exit_code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes
    assert [kind for kind in kinds if kind.exit_code == 2] == [errors.UsageError]
    for kind in kinds:
        assert f"{kind.exit_code}  " in (errors.__doc__ or "")
