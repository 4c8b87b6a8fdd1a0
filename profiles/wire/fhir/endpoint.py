"""Endpoint: where images can be had. Always our own addresses, never those of the archive behind us.

Source: HL7 FHIR R4, Endpoint; HL7 terminology, endpoint-connection-type.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from profiles.model.identifiers import Oid
from profiles.wire.fhir.datatypes import Json, filled


class Connection(StrEnum):
    """How an endpoint is spoken to."""

    WADO_RS = "dicom-wado-rs"
    QIDO_RS = "dicom-qido-rs"
    XDS_I = "ihe-xds-i"


CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
XDS_I_TYPE = "urn:uuid:55b4d87d-0215-4267-91c0-c78c9fe78d56"
"""HL7's list has no code for RAD-69, so that one is in a system of our own: a UUID, since nobody registers it."""

PAYLOAD_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"

DISPLAYS: Mapping[Connection, tuple[str, str, str]] = {
    Connection.WADO_RS: (CONNECTION_TYPE, "DICOM WADO-RS", "application/dicom"),
    Connection.QIDO_RS: (CONNECTION_TYPE, "DICOM QIDO-RS", "application/dicom+json"),
    Connection.XDS_I: (XDS_I_TYPE, "IHE XDS-I.b Retrieve Imaging Document Set (RAD-69)", "application/dicom"),
}

MANDATORY = ("status", "connectionType", "payloadType", "address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of ours. `retrieve_location_uid` is what RAD-69 calls RepositoryUniqueId."""

    id: str
    connection: Connection
    address: str  # DICOMweb: the service's root, without /studies and without a slash at the end
    retrieve_location_uid: Oid | None = None


def endpoints_of(
    *, dicomweb: str, imaging_source: str = "", retrieve_location_uid: Oid | None = None
) -> tuple[Endpoint, ...]:
    """The endpoints of a house: WADO-RS and QIDO-RS on one root, and RAD-69 where that is served."""
    root = dicomweb.rstrip("/")
    web = (
        Endpoint(id="wado-rs", connection=Connection.WADO_RS, address=root),
        Endpoint(id="qido-rs", connection=Connection.QIDO_RS, address=root),
    )
    if not imaging_source:
        return web
    return (
        *web,
        Endpoint(
            id="xds-i",
            connection=Connection.XDS_I,
            address=imaging_source,
            retrieve_location_uid=retrieve_location_uid,
        ),
    )


def references(endpoints: Iterable[Endpoint]) -> list[Json]:
    """References to them, for ImagingStudy.endpoint."""
    return [{"reference": f"Endpoint/{endpoint.id}", "type": "Endpoint"} for endpoint in endpoints]


def endpoint_resource(endpoint: Endpoint) -> Json:
    """The whole resource."""
    system, display, mime_type = DISPLAYS[endpoint.connection]
    location = endpoint.retrieve_location_uid
    return filled(
        resourceType="Endpoint",
        id=endpoint.id,
        identifier=[{"system": "urn:ietf:rfc:3986", "value": location.urn}] if location else None,
        status="active",
        connectionType={"system": system, "code": endpoint.connection.value, "display": display},
        name=display,
        payloadType=[{"coding": [{"system": PAYLOAD_TYPE, "code": "any", "display": "Any"}], "text": display}],
        payloadMimeType=[mime_type],
        address=endpoint.address,
    )
