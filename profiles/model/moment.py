"""A point in time that keeps how precisely it was said: "2024" is not midnight of New Year."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import IntEnum
from typing import Self

_DTM = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6})\d*)?([+-]\d{4})?")


class Precision(IntEnum):
    """How many of year, month, day, hour, minute and second were said."""

    YEAR = 1
    MONTH = 2
    DAY = 3
    HOUR = 4
    MINUTE = 5
    SECOND = 6


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A time and its precision. `at` is aware; what was not said is filled with the smallest value.

    `zoned` tells whether the speaker named a zone; a date without time has none, and must not be shifted by one.
    """

    at: datetime
    precision: Precision = Precision.SECOND
    zoned: bool = True

    def __post_init__(self) -> None:
        """Refuse naive times."""
        if self.at.tzinfo is None:
            raise ValueError("a moment has a zone")

    @classmethod
    def from_dtm(cls, text: str, zone: tzinfo = UTC) -> Self:
        """Read `YYYY[MM[DD[hh[mm[ss[.f]]]]]][+/-ZZZZ]`; `zone` is what the wire says when the text does not.

        Raises:
            ValueError: Not a DTM, or no such day.

        Source: HL7 v2 DTM; ITI TF-3 4.2.3.1.7 (always UTC there).
        """
        match = _DTM.fullmatch(text.strip())
        if match is None:
            raise ValueError("not a DTM")
        *numbers, fraction, offset = match.groups()
        said = [int(number) for number in numbers if number is not None]
        precision = Precision(len(said))
        year, month, day, hour, minute, second = (*said, *(0, 1, 1, 0, 0, 0)[len(said) :])
        if offset is not None:
            sign = -1 if offset[0] == "-" else 1
            zone = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])))
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        if fraction is not None:
            at = at.replace(microsecond=int(fraction.ljust(6, "0")))
        return cls(at, precision, precision > Precision.DAY)

    @property
    def dtm(self) -> str:
        """The UTC form of the same precision, without zone and fraction; dates are not shifted."""
        at = self.at if self.precision <= Precision.DAY or self.at.tzinfo is UTC else self.at.astimezone(UTC)
        # Not strftime: %Y does not fill up on every system, and a thousand entries have four times each.
        text = f"{at.year:04}{at.month:02}{at.day:02}{at.hour:02}{at.minute:02}{at.second:02}"
        return text[: 2 + 2 * self.precision]

    @property
    def iso(self) -> str:
        """FHIR dateTime of the same precision. Hours and minutes alone do not exist there and are filled up."""
        if self.precision > Precision.DAY:
            return self.at.isoformat(timespec="seconds")
        return f"{self.at.year:04}{self.at.strftime({1: '', 2: '-%m', 3: '-%m-%d'}[self.precision])}"
