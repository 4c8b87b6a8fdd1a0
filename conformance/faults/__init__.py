"""Faults: what a wrong house would do, done to the messages of a right one. A tester that misses one is blind.

By name; `radgate conformance run --self --fault NAME` shows what the suite makes of one.
"""

from collections.abc import Mapping

from conformance.faults.administering import FAULTS as ADMINISTERING
from conformance.faults.announcing import FAULTS as ANNOUNCING
from conformance.faults.asking import FAULTS as ASKING
from conformance.faults.audit import FAULTS as AUDIT
from conformance.faults.changes import FAULTS as CHANGES
from conformance.faults.document_audit import FAULTS as DOCUMENT_AUDIT
from conformance.faults.documents import FAULTS as DOCUMENTS
from conformance.faults.edits import Fault, Sabotage
from conformance.faults.elsewhere import ASKING as ASKING_ELSEWHERE
from conformance.faults.elsewhere import DEFERRED, elsewhere_faults
from conformance.faults.envelope import envelope_faults
from conformance.faults.feed import FAULTS as FEED
from conformance.faults.fhir import FAULTS as FHIR
from conformance.faults.gateways import FAULTS as GATEWAYS
from conformance.faults.initiating import FAULTS as INITIATING
from conformance.faults.management import FAULTS as MANAGEMENT
from conformance.faults.people import FAULTS as PEOPLE
from conformance.faults.persons import FAULTS as PERSONS
from conformance.faults.registering import FAULTS as REGISTERING
from conformance.faults.retrieve import FAULTS as RETRIEVE
from conformance.faults.submissions import FAULTS as SUBMISSIONS
from conformance.faults.submitting import FAULTS as SUBMITTING
from conformance.faults.taking import FAULTS as TAKING
from conformance.faults.telling import FAULTS as TELLING
from conformance.faults.web import FAULTS as WEB
from conformance.faults.wondering import FAULTS as WONDERING
from profiles.pdqv3.iti47 import ITI_47
from profiles.pixv3.iti44 import ITI_44
from profiles.pixv3.iti45 import ITI_45
from profiles.pixv3.iti46 import ITI_46
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80
from profiles.xcpd.iti55 import ITI_55
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti43 import ITI_43
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69

FAULTS: Mapping[str, Fault] = {
    **envelope_faults(ITI_18, "xds.registry_query"),
    **envelope_faults(ITI_41, "xds.repository_provide"),
    **envelope_faults(ITI_43, "xds.repository_retrieve"),
    **envelope_faults(RAD_68, "xdsi.repository_provide"),
    **envelope_faults(RAD_69, "xdsi.source_retrieve"),
    **envelope_faults(ITI_38, "xca.responding_query"),
    **envelope_faults(ITI_39, "xca.responding_retrieve"),
    **envelope_faults(RAD_75, "xcai.responding_gateway"),
    **envelope_faults(ITI_80, "xcdr.responding_gateway"),
    **envelope_faults(ITI_55, "xcpd.responding_gateway"),
    **envelope_faults(ITI_44, "pixv3.feed"),
    **envelope_faults(ITI_45, "pixv3.query"),
    **envelope_faults(ITI_47, "pdqv3.supplier"),
    **CHANGES,
    **elsewhere_faults(ITI_18, "xds.registry_query"),
    **elsewhere_faults(ITI_43, "xds.repository_retrieve"),
    **elsewhere_faults(RAD_69, "xdsi.source_retrieve"),
    **elsewhere_faults(ITI_38, "xca.responding_query"),
    **elsewhere_faults(ITI_80, "xcdr.responding_gateway"),
    **elsewhere_faults(ITI_39, "xca.responding_retrieve"),
    **elsewhere_faults(RAD_75, "xcai.responding_gateway"),
    **elsewhere_faults(ITI_55, "xcpd.responding_gateway"),
    **DOCUMENT_AUDIT,
    **DEFERRED,
    **ASKING_ELSEWHERE,
    **DOCUMENTS,
    **RETRIEVE,
    **WEB,
    **FHIR,
    **FEED,
    **ANNOUNCING,
    **TELLING,
    **WONDERING,
    **envelope_faults(ITI_46, "pixv3.notified"),
    **MANAGEMENT,
    **AUDIT,
    **ASKING,
    **SUBMITTING,
    **ADMINISTERING,
    **REGISTERING,
    **TAKING,
    **GATEWAYS,
    **INITIATING,
    **PEOPLE,
    **SUBMISSIONS,
    **PERSONS,
}

__all__ = ["FAULTS", "Fault", "Sabotage"]
