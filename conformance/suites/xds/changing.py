"""A document that is there, for whoever changes, deprecates or removes it; and a new version of its entry.

Source: ITI TF-2 3.57.4.1.3.3.1, 3.92.4.1.2.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import NOT_WHOLE, Errand, Facts, cx, refusal
from conformance.target import Target
from profiles.model.document import AssociationType, DocumentEntry
from profiles.transaction import Actor
from profiles.wire.ebxml.operations import PREVIOUS_VERSION
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus

NEW_TITLE = "Changed by conformance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """An entry that is there, and the title that it is to have."""

    former: DocumentEntry
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An entry that is there; `hanging` are the entryUUIDs of all that has to go with it, its own among them."""

    entry: DocumentEntry
    hanging: frozenset[str]


async def held(target: Target) -> tuple[Held, Facts]:
    """A document of the known patient, and what is told of it."""
    entry = target.community.hold(target.patient()).entry
    hanging = frozenset(target.community.hanging_on(entry))
    return Held(entry=entry, hanging=hanging), {"document": entry.unique_id, "patient": cx(entry.patient_id)}


async def to_be_renamed(target: Target) -> tuple[Renamed, Facts]:
    """A document of the known patient that has another title, and what is told of it."""
    former = target.community.hold(target.patient()).entry
    title = f"{NEW_TITLE} {uuid.uuid4().hex[:8]}"
    return Renamed(former=former, title=title), {
        "document": former.unique_id, "title": title, "patient": cx(former.patient_id),
    }  # fmt: skip


def refusals(code: str) -> Mapping[str, RegistryResponse]:
    """Answers that say no to who changes or removes; there is no partial success of one document."""
    return {
        "a failure": RegistryResponse(status=ResponseStatus.FAILURE, errors=refusal(code)),
        "a partial success": RegistryResponse(status=NOT_WHOLE, errors=refusal(code)),
    }


def version_cases(suite: str, actor: Actor, errand: Errand[Renamed], rows: str) -> tuple[Case, ...]:
    """The cases of whoever changes metadata; `rows` is the beginning of their rows: `ITI57/asks-`."""
    common: dict[str, Any] = {"transaction": errand.transaction.id, "actor": actor, "suite": suite}

    @case(f"{rows}version", title="A new version has the ids of its document, and an entryUUID of its own", **common)
    async def version(target: Target) -> None:
        renamed, asked = await errand.asked(target)
        new = only_entry(asked)
        expect(new.logical_id, "logicalID").equals(renamed.former.logical_id)
        expect(new.unique_id, "uniqueId").equals(renamed.former.unique_id)
        expect(new.entry_uuid, "entryUUID").differs_from(renamed.former.entry_uuid)

    @case(f"{rows}previous", title="The set says which version is followed", **common)
    async def previous(target: Target) -> None:
        renamed, asked = await errand.asked(target)
        new, whole = only_entry(asked), asked.request.submission.submission_set
        said = [
            (each.source, dict(each.extra).get(PREVIOUS_VERSION))
            for each in asked.request.submission.associations
            if each.type is AssociationType.HAS_MEMBER and each.target == new.entry_uuid
        ]
        expect(said, "PreviousVersion").equals([(whole.entry_uuid, (str(renamed.former.version),))])

    @case(f"{rows}change", title="What was to be changed is changed", **common)
    async def changed(target: Target) -> None:
        renamed, asked = await errand.asked(target)
        expect(only_entry(asked).title, "title").equals(renamed.title)

    @case(f"{rows}rest", title="Everything else is as it was", **common)
    async def unchanged(target: Target) -> None:
        renamed, asked = await errand.asked(target)
        new, former = only_entry(asked), renamed.former
        as_before = replace(
            new, entry_uuid=former.entry_uuid, logical_id=former.logical_id, version=former.version, title=former.title
        )
        expect(as_before, "the rest of the entry").equals(former)

    @case(f"{rows}patient", title="The set is of the patient whose document it is", **common)
    async def patient(target: Target) -> None:
        renamed, asked = await errand.asked(target)
        expect(asked.request.submission.submission_set.patient_id, "patientId").equals(renamed.former.patient_id)

    return version, previous, changed, unchanged, patient


def only_entry(asked: Asked) -> DocumentEntry:
    """The one entry that is submitted."""
    entries = asked.request.submission.entries
    expect(len(entries), "the number of entries").equals(1)
    entry: DocumentEntry = entries[0]
    return entry
