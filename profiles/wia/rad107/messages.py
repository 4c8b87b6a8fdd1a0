"""Retrieve of a study, a series or an instance, in model terms."""

from dataclasses import dataclass

from profiles.errors import ExchangeError
from profiles.model.identifiers import Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveInstancesRequest:
    """What is wanted: the study, or of it a series, or of that an instance; and in which transfer syntaxes.

    `single`: the one instance may come as a bare body. `transfer_syntax_uids` are alternatives without preference.
    """

    study_instance_uid: Uid
    series_instance_uid: Uid | None = None
    sop_instance_uid: Uid | None = None
    transfer_syntax_uids: frozenset[str]
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievableInstance:
    """An instance that will come, as it will come. `size_bytes` None: not known before."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveInstancesHead:
    """What will be poured: 1..n instances, parts keyed by SOP Instance UID; and what will not, with the reason.

    When nothing can be had, the error is raised instead: an answer without instances does not exist.
    """

    instances: tuple[RetrievableInstance, ...]
    missing: tuple[tuple[str, ExchangeError], ...] = ()
