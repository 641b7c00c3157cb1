"""A use of a command that is rejected."""

from dataclasses import dataclass

from upnet.utils.errors import NOT_GIVEN


@dataclass(frozen=True)
class Rejected:
    """Arguments of a command, and the UserError that they cause.

    arguments: as typed in a shell.
    setting, value: the fields of the error.
    problem, allowed, cure: parts of the fields of the error.
    full: whether the row runs only with `-m full`, because another row causes the error at the same place.
    """

    arguments: str
    setting: str = ""
    value: object = NOT_GIVEN
    problem: str = ""
    allowed: str = ""
    cure: str = ""
    full: bool = False
