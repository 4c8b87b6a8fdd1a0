"""Update Document Set, in model terms: operations written as a submission there, a registry response back."""

from dataclasses import dataclass

from profiles.model.document import Submission
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """A submission set with its operations: new versions, changes of status, new associations.

    What they are is read by `profiles.wire.ebxml.operations`.
    """

    submission: Submission


__all__ = ["RegistryError", "RegistryResponse", "ResponseStatus", "UpdateRequest"]
