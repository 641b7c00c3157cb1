"""Optional output: a failure to draw it is a warning and does not lose results."""

import logging

import pytest

from upnet.evaluation.optional_output import optional_output


def test_failure_is_logged_as_a_warning_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with optional_output("the comparison image") as drawn:
        raise ValueError("no\nfont for caf\udce9")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == drawn.failure
    assert record.getMessage() == (
        "the comparison image could not be made (ValueError: no font for caf\\xe9); all numbers are saved"
    )


def test_success_is_not_logged_and_interrupts_are_raised(caplog: pytest.LogCaptureFixture) -> None:
    with optional_output("the table") as drawn:
        pass
    assert drawn.failure is None
    with pytest.raises(KeyboardInterrupt), optional_output("the table"):
        raise KeyboardInterrupt
    assert not caplog.records
