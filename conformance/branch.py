"""Our own house once more, as one whose registry somebody else has: what it keeps is registered there (ITI-42).

It has the ids of the house that it stands in for, and is started when it is first wanted: few cases do.
"""

from dataclasses import replace
from pathlib import Path

from conformance.certificates import Identity
from conformance.house import House, free_ports
from conformance.provide import tell_patient
from conformance.simulators.document_community import OF_DOCUMENTS
from conformance.simulators.imaging_community import OF_IMAGES
from conformance.system import HL7, Counterpart, tls_of
from profiles.model.patient import Patient


class Branch:
    """A house that is not there before it is asked for."""

    def __init__(
        self,
        folder: Path,
        like: House,
        patient: Patient,
        registry: Counterpart,
        *,
        tester: Identity,
        simulator: Identity,
    ) -> None:
        """`like` is the house with its ids, `patient` whom it is told of, `registry` who has its registry."""
        self._folder = folder
        self._like = like
        self._patient = patient
        self._registry = registry
        self._tester = tester
        self._simulator = simulator
        self._house: House | None = None

    async def house(self) -> House:
        """It serves, and knows the patient.

        Raises:
            HouseFailed: It does not start.
            NotTaken: It does not know the patient.
        """
        if self._house is None:
            http_port, mllp_port = free_ports(2)
            house = replace(self._like, folder=self._folder, http_port=http_port, mllp_port=mllp_port, process=None)
            house.folder.mkdir(parents=True, exist_ok=True)
            house.config.write_text(self._settings(house), encoding="utf-8")
            self._house = house
            await house.start()
            tester = self._tester
            tls = tls_of(trust=tester.authority, certificate=tester.certificate, key=tester.key)
            address = replace(HL7, receiving_facility=house.name)
            await tell_patient("127.0.0.1", mllp_port, self._patient, address=address, ssl=tls)
        return self._house

    async def stop(self) -> None:
        """It is gone, if it ever was there."""
        if self._house is not None:
            await self._house.stop()

    def _settings(self, house: House) -> str:
        there = self._registry
        endpoints = "\n".join(
            f'"{name}" = "https://{there.host}:{there.soap_port}/{name}"' for name in (*OF_IMAGES, *OF_DOCUMENTS)
        )
        return f"""[house]
name = "{house.name}"
data = "data"
home_community_id = "{house.oid(1).urn}"
repository_unique_id = "{house.oid(2)}"
retrieve_location_uid = "{house.oid(3)}"
patient_authority = "{house.patient_authority}"

[affinity_domain]
registry = "{there.peer}"

[listen]
http_port = {house.http_port}
mllp_port = {house.mllp_port}

[tls]
certificate = "{house.identity.certificate}"
key = "{house.identity.key}"
trust = ["{house.identity.authority}"]

[[peer]]
name = "Tester"
certificate = "{self._tester.certificate}"
hl7_application = "{HL7.sending_application}"
hl7_facility = "{HL7.sending_facility}"

[[peer]]
name = "{there.peer}"
certificate = "{self._simulator.certificate}"
[peer.endpoint]
{endpoints}
"""
