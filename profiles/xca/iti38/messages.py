"""Cross Gateway Query, in model terms: the question and the answer of ITI-18, with homes."""

from profiles.xds.iti18 import StoredQueryRequest, StoredQueryResponse


def names_a_patient(request: StoredQueryRequest) -> bool:
    """Whether the question says whose objects are meant. One that does not must say where they are (`@home`)."""
    return bool(request.criteria.patient_ids or request.submission_sets.patient_ids or request.folders.patient_ids)


__all__ = ["StoredQueryRequest", "StoredQueryResponse", "names_a_patient"]
