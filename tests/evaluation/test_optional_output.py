"""What only illustrates numbers may fail."""

import logging

import pytest

from upnet.evaluation.optional_output import optional_output


def test_a_failure_is_one_line_of_warning(caplog: pytest.LogCaptureFixture) -> None:
    with optional_output("the comparison image") as drawn:
        raise ValueError("no\nfont for caf\udce9")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == drawn.failure
    assert record.getMessage() == (
        "the comparison image could not be made (ValueError: no font for caf\\xe9); all numbers are saved"
    )


def test_what_works_is_not_mentioned_and_an_interrupt_passes(caplog: pytest.LogCaptureFixture) -> None:
    with optional_output("the table") as drawn:
        pass
    assert drawn.failure is None
    with pytest.raises(KeyboardInterrupt), optional_output("the table"):
        raise KeyboardInterrupt
    assert not caplog.records
