"""The error that a person can mend."""

from __future__ import annotations


class InputError(ValueError):
    """What was asked for cannot work, and one line says what, where and the remedy.

    The command line prints the line and exits with code 2; in Python it is an ordinary `ValueError`.

    Args:
        what: the value that cannot work, named, for example ``"horizon 9 is longer than the 8 steps
            trained"``.
        where: the place of the value: a file, a configuration key or an option. Empty when ``what`` names it.
        remedy: what to do about it. Empty when ``what`` says it.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        message = f"{where}: {what}" if where else what
        if remedy:
            message = f"{message}; {remedy}"
        super().__init__(one_line(message))


LONGEST = 1000
"""Most letters of a line that says what is wrong. A name may be longer, and then nobody finds the remedy behind it."""


def one_line(message: object) -> str:
    """The text of ``message`` with every run of white space, line breaks too, made one space.

    Of what is longer than `LONGEST` the middle is left out.
    """
    line = " ".join(str(message).split())
    if len(line) <= LONGEST:
        return line
    left_out = " ... "
    half = (LONGEST - len(left_out)) // 2
    return f"{line[:half]}{left_out}{line[-half:]}"
