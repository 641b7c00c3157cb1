"""Reasons in checkpoint errors."""

import pytest

from upnet.checkpoint.errors import reason


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("it asks\n  for a\x1b[2J"), "it asks for a?[2J"),
        (KeyError(), "KeyError"),
        ("a" * 201, "a" * 199 + "…"),
        ("a" * 200, "a" * 200),
    ],
)
def test_a_reason_is_one_short_printable_line(error: BaseException | str, expected: str) -> None:
    assert reason(error) == expected
