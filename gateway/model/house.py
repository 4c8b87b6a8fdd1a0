"""House: who we are. Every id under which others know this installation, and where they find it."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from profiles.model.identifiers import Oid
from profiles.transaction import Party
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.transmission import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A document repository of this house: whose documents it takes, and of which community they are.

    `name` is the last part of its address, `/soap/repository/{name}`; "": the house's own, at `/soap/repository`.
    `patient_authority` gives the patient ids that its submissions name.
    """

    name: str
    unique_id: Oid
    home_community_id: Oid
    patient_authority: Oid

    @property
    def path(self) -> str:
        """Where it is asked."""
        return f"/soap/repository/{self.name}" if self.name else "/soap/repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """This installation.

    `patient_authority` gives our own patient ids, `affinity_authority` those of the affinity domain that we share in
    (None: we share in none). `recipients` are whom submissions from other communities may be for, by any of their names,
    with * and ? (empty: anybody). `retrieve_location_uid` is what RAD-69 calls our RepositoryUniqueId. `further` are
    repositories beside our own, 0..n, each with an id that no other has; their homes are ours too.
    """

    name: str
    home_community_id: Oid
    repository_unique_id: Oid
    retrieve_location_uid: Oid
    source_id: Oid
    patient_authority: Oid
    affinity_authority: Oid | None
    zone: ZoneInfo
    base_url: str  # without a slash at the end
    ae_title: str
    hl7_application: str
    hl7_facility: str
    process_id: str
    network_address: str
    recipients: tuple[str, ...] = ()
    further: tuple[Repository, ...] = ()

    @property
    def dicomweb_url(self) -> str:
        """The root of our DICOMweb service: what Retrieve URL and Endpoint.address name."""
        return f"{self.base_url}/dicomweb"

    @property
    def initiating_gateway_url(self) -> str:
        """Where other communities bring what we asked them to say later."""
        return f"{self.base_url}/soap/initiating-gateway"

    @property
    def fhir_url(self) -> str:
        """The root of our FHIR R4 service."""
        return f"{self.base_url}/fhir/r4"

    @property
    def domain_authority(self) -> Oid:
        """Whose ids our registry speaks: the affinity domain's, or our own where we are in none."""
        return self.affinity_authority or self.patient_authority

    @property
    def own(self) -> Repository:
        """Our own repository."""
        return Repository(
            name="", unique_id=self.repository_unique_id, home_community_id=self.home_community_id,
            patient_authority=self.domain_authority,
        )  # fmt: skip

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """All that we have, 1..n: our own, then the further ones."""
        return (self.own, *self.further)

    @property
    def homes(self) -> frozenset[Oid]:
        """The communities that we are, 1..n."""
        return frozenset((self.home_community_id, *(each.home_community_id for each in self.further)))

    @property
    def communities(self) -> tuple[tuple[Oid, Oid], ...]:
        """Our homes, each with the authorities of its patient ids, 1..n pairs; the house's own first."""
        return tuple(dict.fromkeys((each.home_community_id, each.patient_authority) for each in self.repositories))

    @property
    def domains(self) -> frozenset[Oid]:
        """Whose patient ids may be registered, 1..n."""
        return frozenset((self.domain_authority, *(each.patient_authority for each in self.further)))

    def repository_of(self, repository_unique_id: str | None) -> Repository:
        """Which repository has what an entry here says is there; what is of nobody's here counts as of our own."""
        named = (each for each in self.further if each.unique_id == repository_unique_id)
        return next(named, None) or self.own

    def party(self, address: str = "") -> Party:
        """Us, as audit names us: the endpoint that was asked, else the base address."""
        return Party(user_id=address or self.base_url, network_address=self.network_address, process_id=self.process_id)

    @property
    def device(self) -> Device:
        """Us, as HL7 V3 names senders; between communities the organisation is the home."""
        return Device(id=InstanceIdentifier(root=self.source_id), organization=self.home_community_id)

    def hl7_address(self, application: str, facility: str) -> Hl7Address:
        """How a message of ours to this receiver is addressed."""
        return Hl7Address(
            sending_application=self.hl7_application,
            sending_facility=self.hl7_facility,
            receiving_application=application,
            receiving_facility=facility,
        )
