"""UserError: its fields, its message of one line, and pickling."""

import pickle

from upnet.utils.errors import UserError, format_value


def test_message_contains_setting_value_allowed_and_cure() -> None:
    error = UserError("must be an integer", setting="scale", value=1.5, allowed="2, 3, 4", cure="Set scale=2")
    assert str(error) == "scale=1.5: must be an integer. Allowed: 2, 3, 4. Set scale=2"
    assert (error.setting, error.value, error.allowed, error.cure) == ("scale", 1.5, "2, 3, 4", "Set scale=2")


def test_missing_fields_are_omitted_from_the_message() -> None:
    assert str(UserError("no images in photos")) == "no images in photos"
    assert str(UserError("unknown key", setting="stpes")) == "stpes: unknown key"


def test_value_is_formatted_on_one_short_line() -> None:
    assert "\n" not in str(UserError("is not allowed", setting="name", value="two\nlines"))
    assert len(format_value("x" * 1000)) == 120


class _SpecialError(UserError):
    """A subclass."""


def test_user_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(_SpecialError("is broken", setting="a", value=3, cure="Mend it")))
    assert type(error) is _SpecialError
    assert str(error) == "a=3: is broken. Mend it"
