"""Store of instances, in model terms."""

from dataclasses import dataclass, field

from profiles.errors import ExchangeError
from profiles.model.content import Pour
from profiles.model.identifiers import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInstancesRequest:
    """Part 10 files as they come; when a study is named, each must belong to it."""

    study_instance_uid: Uid | None = None
    pour: Pour = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOutcome:
    """What became of one instance: kept, or not for the reason of `error`.

    UIDs are "" when the part could not be read so far. `coerced`: it is kept with attributes that we changed, and says so.
    """

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    coerced: bool = False
    error: ExchangeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInstancesResponse:
    """1..n outcomes. A request without a single part is an error, not an empty response."""

    outcomes: tuple[InstanceOutcome, ...]
