"""Remove: an administrator has metadata removed from the registry (ITI-62), and documents from the repository (ITI-86).

Everything that is named goes, or nothing. What a newcomer gets wrong: the two are apart. Metadata may go while the document
is kept, and the other way round; usually the metadata goes first, and nobody finds what is then removed.

Source: ITI TF-2 3.62.4.1.3, 3.86.4.1.3.
"""

from collections.abc import Iterable, Sequence

from gateway.model.house import House, Repository
from gateway.model.job import HAS_WORK, Kind, State
from gateway.ports.compute import Compute
from gateway.ports.store import Work
from gateway.services.exchange import Exchange
from gateway.services.ingest import MAX_MANIFEST_BYTES
from profiles.errors import RuleViolation
from profiles.findings import Finding
from profiles.model.codes import KOS_SOP_CLASS
from profiles.model.content import Content
from profiles.model.document import Association, AssociationType, AvailabilityStatus, DocumentEntry, SubmissionSet
from profiles.wire.dicom.kos import decode_kos
from profiles.xds.iti86 import DocumentRequest

NEEDED = frozenset({*HAS_WORK, State.HELD})
"""States in which an exchange reads its manifest again."""


class Removal:
    """What is to go."""

    def __init__(self, *, house: House, compute: Compute, repository: Repository | None = None) -> None:
        """Stand on the ports; the unit of work is the turn's. `repository` is whose documents go; None: the house's own."""
        self._house = house
        self._repository = repository or house.own
        self._compute = compute

    # --- metadata ----------------------------------------------------------------------------------------------------

    async def metadata(self, entry_uuids: Sequence[str], exchange: Exchange) -> None:
        """Remove these objects.

        Raises:
            RuleViolation: One is not there (UnresolvedReferenceException), something that stays refers to one
                (ReferencesExistException), or something that stays would be of no submission
                (XDSUnreferencedObjectException); a finding for each.
        """
        named = tuple(dict.fromkeys(entry_uuids))
        work = await exchange.begin()
        objects = {each.entry_uuid: each for each in await work.registry.objects(named)}
        exchange.learned.patients = tuple(
            dict.fromkeys(each.patient_id for each in objects.values() if not isinstance(each, Association))
        )
        held = await work.registry.held(named)
        _refuse(
            _finding("UnresolvedReferenceException", "no such object is registered", each)
            for each in named
            if each not in objects or each in held
        )
        staying = [each for each in await work.registry.associations(named) if each.entry_uuid not in objects]
        referred = dict.fromkeys(end for each in staying for end in (each.source, each.target) if end in objects)
        _refuse(
            _finding("ReferencesExistException", "an association that stays refers to the object", each)
            for each in referred
        )
        _refuse(await _left_alone(work, [each for each in objects.values() if isinstance(each, Association)], named))
        await work.registry.remove(named, exchange.now)
        exchange.learned.text = f"{len(named)} registry objects removed"

    # --- documents ---------------------------------------------------------------------------------------------------

    async def documents(self, requests: Sequence[DocumentRequest], exchange: Exchange) -> None:
        """Remove the bytes of these documents; what the registry says of them stays.

        Raises:
            RuleViolation: One is of another repository (XDSUnknownRepositoryId), is not here
                (XDSDocumentUniqueIdError), or is a manifest that an exchange still works on or in another repository
                of ours too (XDSRemoveDocumentsError); a finding for each.
        """
        work = await exchange.begin()
        findings: list[Finding] = []
        patients = {}
        named = {each.document_unique_id: each for each in requests}
        for unique_id, request in named.items():
            if request.repository_unique_id != self._repository.unique_id:
                findings.append(_finding("XDSUnknownRepositoryId", "this repository id is not ours", unique_id))
                continue
            content = await work.documents.open(unique_id)
            entries = await work.registry.entries(unique_id)
            seen = [each for each in entries if each.availability_status is not AvailabilityStatus.PENDING]
            keepers = {self._house.repository_of(each.repository_unique_id) for each in entries}
            if content is None or (entries and not seen) or (keepers and self._repository not in keepers):
                findings.append(_finding("XDSDocumentUniqueIdError", "no such document in this repository", unique_id))
                continue
            if len(keepers) > 1:
                text = f"another repository of this house has the document {unique_id} too"
                findings.append(_finding("XDSRemoveDocumentsError", text, unique_id))
            if await self._is_needed(work, content, seen):
                text = f"an exchange still needs the document {unique_id}"
                findings.append(_finding("XDSRemoveDocumentsError", text, unique_id))
            patients.update(dict.fromkeys(each.patient_id for each in seen))
            patients.update(dict.fromkeys(await work.registrations.of_document(unique_id)))
        exchange.learned.patients = tuple(patients)
        _refuse(findings)
        for unique_id in named:
            await work.documents.remove(unique_id, exchange.now)
            await work.registrations.without(unique_id)
        exchange.learned.text = f"{len(named)} document(s) removed"

    async def _is_needed(self, work: Work, content: Content, entries: Iterable[DocumentEntry]) -> bool:
        if not any(each.format_code.value == KOS_SOP_CLASS for each in entries):
            return False
        body = await content.read(MAX_MANIFEST_BYTES)
        manifest = (await self._compute.run(lambda: decode_kos(body))).value
        for study in manifest.studies:
            jobs = await work.ledger.list(
                kinds=frozenset({Kind.RECEIVE, Kind.COLLECT}), states=NEEDED,
                study_instance_uid=study.study_instance_uid, limit=1,
            )  # fmt: skip
            if jobs:
                return True
        return False


async def _left_alone(work: Work, removed: Sequence[Association], named: Sequence[str]) -> list[Finding]:
    """What would be of no submission any more, and sets that would have brought nothing."""
    ends = tuple(dict.fromkeys(end for each in removed for end in (each.source, each.target) if end not in named))
    objects = [each for each in await work.registry.objects(ends) if not isinstance(each, Association)]
    arrows = [
        each
        for each in await work.registry.associations(ends)
        if each.entry_uuid not in named and each.type is AssociationType.HAS_MEMBER
    ]
    sources = tuple(dict.fromkeys(each.source for each in arrows))
    sets = {each.entry_uuid for each in await work.registry.submission_sets(sources)}
    submitted = {each.target for each in arrows if each.source in sets}
    return [
        _finding("XDSUnreferencedObjectException", "the object would be of no submission", each.entry_uuid)
        for each in objects
        if each.entry_uuid not in (sets if isinstance(each, SubmissionSet) else submitted)
    ]


def _finding(code: str, text: str, location: str) -> Finding:
    return Finding(rule=f"removal/{code}", text=text, code=code, location=location)


def _refuse(findings: Iterable[Finding]) -> None:
    found = tuple(findings)
    if found:
        raise RuleViolation(found[0].text, code=found[0].code, location=found[0].location, findings=found)
