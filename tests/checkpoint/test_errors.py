"""What is wrong with a file is told on one line, and moves no cursor."""

import pytest

from upnet.checkpoint.errors import reason


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("it asks\n  for a\x1b[2J"), "it asks for a?[2J"),
        (KeyError(), "KeyError"),
        ("a" * 201, "a" * 199 + "…"),
        ("a" * 200, "a" * 200),
    ],
)
def test_a_reason_is_one_short_line_of_letters(fault: BaseException | str, told: str) -> None:
    assert reason(fault) == told
