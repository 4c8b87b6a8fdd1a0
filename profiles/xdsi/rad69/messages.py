"""Retrieve Imaging Document Set, in model terms; the response is the one of ITI-43.

Also the way from a manifest to requests: one per place where instances can be had.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from profiles.model.identifiers import Oid
from profiles.model.imaging import Manifest
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest, RetrievedDocument, RetrieveDocumentSetResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRequest:
    """1..n instances of one series."""

    series_instance_uid: str
    documents: tuple[DocumentRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """1..n series of one study."""

    study_instance_uid: str
    series: tuple[SeriesRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedInstance:
    """One instance of a request with the study and series that it must be in."""

    study_instance_uid: str
    series_instance_uid: str
    document: DocumentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieveImagingDocumentSetRequest:
    """1..n studies, and 1..n transfer syntaxes that the consumer can read; their order expresses no preference.

    Source: RAD TF-2 4.69.4.1.2.
    """

    studies: tuple[StudyRequest, ...]
    transfer_syntax_uids: tuple[str, ...]

    def instances(self) -> Iterator[RequestedInstance]:
        """Every instance that is asked for, in document order, once each."""
        seen: set[tuple[str, str, str, str]] = set()
        for study in self.studies:
            study_uid = study.study_instance_uid
            for series in study.series:
                series_uid = series.series_instance_uid
                for document in series.documents:
                    named = (study_uid, series_uid, document.repository_unique_id, document.document_unique_id)
                    if named not in seen:
                        seen.add(named)
                        yield RequestedInstance(
                            study_instance_uid=study_uid, series_instance_uid=series_uid, document=document
                        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedRequest:
    """A request and whom to ask: the Imaging Document Source with this Retrieve Location UID."""

    retrieve_location_uid: Oid
    request: RetrieveImagingDocumentSetRequest


def to_retrieve_requests(
    manifest: Manifest,
    *,
    transfer_syntax_uids: tuple[str, ...],
    home_community_id: Oid | None = None,
    only: frozenset[str] | None = None,
    default_location: Oid | None = None,
    batch_instances: int | None = None,
) -> tuple[LocatedRequest, ...]:
    """What to ask, and whom, to get what a manifest lists.

    Args:
        manifest: The list, with a Retrieve Location UID per series.
        transfer_syntax_uids: What we can read.
        home_community_id: `@home` of the manifest's entry, if it came through a gateway.
        only: SOP Instance UIDs that are still wanted; None: all.
        default_location: For series without a Retrieve Location UID; without it they are left out.
        batch_instances: At most so many instances in one request; None: one request per location.

    Returns:
        Requests in the manifest's order, those of one location together.

    Source: RAD TF-2 4.69.4.1.2; RAD69-002.
    """
    found: dict[Oid, list[RequestedInstance]] = {}
    for study in manifest.studies:
        for series, instance in study.instances():
            location = series.retrieve_location_uid or default_location
            if location is None or (only is not None and instance.sop_instance_uid not in only):
                continue
            found.setdefault(location, []).append(
                RequestedInstance(
                    study_instance_uid=study.study_instance_uid,
                    series_instance_uid=series.series_instance_uid,
                    document=DocumentRequest(
                        repository_unique_id=location,
                        document_unique_id=instance.sop_instance_uid,
                        home_community_id=home_community_id,
                    ),
                )
            )
    return tuple(
        LocatedRequest(
            retrieve_location_uid=location,
            request=RetrieveImagingDocumentSetRequest(
                studies=_tree(instances[start : start + (batch_instances or len(instances))]),
                transfer_syntax_uids=transfer_syntax_uids,
            ),
        )
        for location, instances in found.items()
        for start in range(0, len(instances), batch_instances or len(instances))
    )


def of_instances(
    request: RetrieveImagingDocumentSetRequest, instances: Sequence[RequestedInstance]
) -> RetrieveImagingDocumentSetRequest:
    """The same request for some of its instances only: a gateway's share for one community (RAD69-002)."""
    return RetrieveImagingDocumentSetRequest(
        studies=_tree(instances), transfer_syntax_uids=request.transfer_syntax_uids
    )


def unlocated(manifest: Manifest) -> tuple[str, ...]:
    """SOP Instance UIDs of which the manifest does not say where they are."""
    return tuple(
        instance.sop_instance_uid
        for study in manifest.studies
        for series, instance in study.instances()
        if series.retrieve_location_uid is None
    )


def _tree(instances: Sequence[RequestedInstance]) -> tuple[StudyRequest, ...]:
    """Instances grouped by study and series, in the order in which those first appear."""
    studies: dict[str, dict[str, list[DocumentRequest]]] = {}
    for each in instances:
        studies.setdefault(each.study_instance_uid, {}).setdefault(each.series_instance_uid, []).append(each.document)
    return tuple(
        StudyRequest(
            study_instance_uid=study,
            series=tuple(
                SeriesRequest(series_instance_uid=series, documents=tuple(documents))
                for series, documents in all_series.items()
            ),
        )
        for study, all_series in studies.items()
    )


__all__ = [
    "DocumentRequest",
    "LocatedRequest",
    "RegistryError",
    "RequestedInstance",
    "ResponseStatus",
    "RetrieveDocumentSetResponse",
    "RetrieveImagingDocumentSetRequest",
    "RetrievedDocument",
    "SeriesRequest",
    "StudyRequest",
    "of_instances",
    "to_retrieve_requests",
    "unlocated",
]
