"""Bodies for the HL7 V3 tests: samples of others, judges, and one value of each kind."""

from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.transmission import Device, Transmission
from tests.support.ebxml import parse
from tests.support.judges import standards

AT = datetime(2026, 3, 1, 10, 15, tzinfo=UTC)
US = Device(id=InstanceIdentifier(root="1.2.3.1.1"), organization=Oid("1.2.3.1"))
THEM = Device(id=InstanceIdentifier(root="1.2.4.1.1"), organization=Oid("1.2.4.1"))
SENT = Transmission.of("0f3b6a52-7f0e-4d5b-9a55-5f7a7f1d2c11", AT, US, THEM)

OURS, THEIRS, NATIONAL = Oid("1.2.3.4"), Oid("1.2.4.4"), Oid("2.16.840.1.113883.4.1")
ZOE = Patient(
    identifiers=(
        PatientIdentifier(value="V123", authority=OURS),
        PatientIdentifier(value="L-77", authority=THEIRS),
        PatientIdentifier(value="100-09-1234", authority=NATIONAL),
    ),
    name=PersonName(family="Quillfeather", given="Zoë", middle="A. & B.", prefix="Dr.", suffix="III"),
    birth_date=Moment.from_dtm("19700131"),
    sex=Sex.FEMALE,
    address="1 <Main> St^c/o Doe^Town^ST^01234^USA",
)


def sample(*below: str) -> etree._Element:
    """Somebody else's message, without its envelope."""
    return parse(standards("samples", "xds", *below).read_bytes())


@lru_cache(maxsize=16)
def _schema(interaction: str) -> etree.XMLSchema:
    folder = ("xds-schemas", "schema", "HL7V3", "NE2008", "multicacheschemas")
    return etree.XMLSchema(etree.parse(standards(*folder, f"{interaction}.xsd")))


def judge(body: etree._Element) -> None:
    """Fails unless the published schema of the interaction accepts it."""
    interaction = etree.QName(body).localname
    _schema("QUQI_IN000003UV01" if interaction.startswith("QUQI") else interaction).assertValid(
        parse(etree.tostring(body))
    )
