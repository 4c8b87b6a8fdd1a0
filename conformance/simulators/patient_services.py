"""Whoever is told of patients and knows them, by HL7 V3: whom a source feeds, a manager notifies, and consumers ask.

It takes whatever it is told (ITI-44, ITI-46), and answers from what a case had it know (ITI-45, ITI-47).

Source: ITI TF-2 3.44, 3.45, 3.46, 3.47.
"""

from dataclasses import replace

from conformance.simulators.soap_server import SoapCounterpart
from profiles.model.identifiers import Oid
from profiles.model.patient import Patient
from profiles.pdqv3.iti47 import ITI_47, Candidate, CandidatesQuery, CandidatesResponse, Quantities
from profiles.pixv3.iti44 import ITI_44
from profiles.pixv3.iti45 import ASKED_ID, ITI_45, IdentifiersQuery, IdentifiersResponse, QueryResponseCode
from profiles.pixv3.iti46 import ACCEPTED, ITI_46, Acknowledgement, PatientRecordRequest
from profiles.wire.hl7v3.ack import UNKNOWN_KEY, AckCode, AckDetail

OF_PATIENTS = (ITI_44.id, ITI_45.id, ITI_46.id, ITI_47.id)


class PatientServices:
    """Answers ITI-44, ITI-45, ITI-46 and ITI-47 of one counterpart."""

    def __init__(self, counterpart: SoapCounterpart) -> None:
        """It knows nobody."""
        self._by_id: list[Patient] = []
        self._by_name: list[Patient] = []
        counterpart.answers(ITI_44, self._told)
        counterpart.answers(ITI_46, self._told)
        counterpart.answers(ITI_45, self._identifiers)
        counterpart.answers(ITI_47, self._candidates)

    def know(self, patient: Patient, *, only_by_name: bool = False) -> None:
        """Answer questions about this patient: by any of the ids and by name, or only by name."""
        self._by_name.append(patient)
        if not only_by_name:
            self._by_id.append(patient)

    async def _told(self, request: PatientRecordRequest) -> Acknowledgement:
        return ACCEPTED

    async def _identifiers(self, query: IdentifiersQuery) -> IdentifiersResponse:
        found = next((each for each in self._by_id if query.identifier in each.identifiers), None)
        if found is None:
            unknown = AckDetail(code=UNKNOWN_KEY, locations=(ASKED_ID,))
            error = Acknowledgement(code=AckCode.ERROR, details=(unknown,))
            return IdentifiersResponse(code=QueryResponseCode.ERROR, acknowledgement=error)
        others = tuple(each for each in _of(found, query.domains).identifiers if each != query.identifier)
        return IdentifiersResponse(
            code=QueryResponseCode.OK if others else QueryResponseCode.NOT_FOUND, identifiers=others, name=found.name
        )

    async def _candidates(self, query: CandidatesQuery) -> CandidatesResponse:
        names = {each.name.family.casefold() for each in query.criteria.names}
        found = [each for each in self._by_name if each.name.family.casefold() in names]
        shown = found[: query.initial_quantity or len(found)]
        return CandidatesResponse(
            code=QueryResponseCode.OK if found else QueryResponseCode.NOT_FOUND,
            candidates=tuple(Candidate(patient=_of(each, query.domains)) for each in shown),
            quantities=Quantities(total=len(found), current=len(shown), remaining=len(found) - len(shown)),
        )


def _of(patient: Patient, domains: tuple[Oid, ...]) -> Patient:
    """With the ids of these domains alone; none: all."""
    kept = tuple(each for each in patient.identifiers if not domains or each.authority in domains)
    return replace(patient, identifiers=kept)
