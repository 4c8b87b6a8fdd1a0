"""Find candidates: who fits these demographics. One question and one answer for PDQV3 and XCPD.

What a newcomer gets wrong: between communities a patient has exactly *one* id, the one to ask documents by, and the
custodian is the home community; inside a domain all ids stand together. `Rendering` is that difference.

Source: ITI TF-2 3.47.4.1.2, 3.47.4.2.2, 3.55.4.1.2, 3.55.4.2.2; HL7 V3 PRPA_IN201305UV02, PRPA_IN201306UV02.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from lxml import etree

from profiles.errors import ExchangeError
from profiles.findings import Decoded, Finding
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.wire.hl7v3.ack import (
    ACCEPTED,
    Acknowledgement,
    of_error,
    read_acknowledgement,
    stamped,
    write_acknowledgement,
)
from profiles.wire.hl7v3.datatypes import (
    InstanceIdentifier,
    address_parts,
    child,
    children,
    code_of,
    error,
    read_address,
    read_day,
    read_gender,
    read_name,
    read_oid,
    read_patient_identifier,
    warning,
    write_gender,
    write_ii,
    write_name,
    write_patient_identifier,
    write_ts,
)
from profiles.wire.hl7v3.person import read_patient, registration, write_demographics, write_other_ids, write_patient
from profiles.wire.hl7v3.query import (
    NO_QUESTION,
    Quantities,
    QueryResponseCode,
    Question,
    code_for,
    question_of,
    read_quantity,
    read_query_ack,
    read_question,
    write_query_ack,
)
from profiles.wire.hl7v3.transmission import UNSENT, Transmission, control_act, read_transmission, write_message
from profiles.wire.soap.message import SoapIn, SoapOut, Stamp
from profiles.wire.xml import attribute, text

REQUEST, RESPONSE = "PRPA_IN201305UV02", "PRPA_IN201306UV02"
MAX_PARAMETERS = 16  # of one kind in one question

# Code systems of XCPD (ITI TF-2 3.55.4.2.2).
LOCATOR_CODES = "1.3.6.1.4.1.19376.1.2.27.2"
REQUESTED_CODES = "1.3.6.1.4.1.19376.1.2.27.1"
PROBLEM_CODES = "1.3.6.1.4.1.19376.1.2.27.3"


class Priority(StrEnum):
    """QueryPriority."""

    IMMEDIATE = "I"
    DEFERRED = "D"


class Problem(StrEnum):
    """Why a community did not answer (ITI TF-2 3.55.4.2.2.7)."""

    BUSY = "ResponderBusy"
    NOT_AVAILABLE = "AnswerNotAvailable"
    INTERNAL = "InternalError"


class Rendering(Enum):
    """For whom an answer is written."""

    DOMAIN = "all ids of a patient together"
    COMMUNITY = "one id of the community, the others beside it; the custodian is the home"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatesQuery:
    """The question who fits these criteria.

    `domains` are those whose ids are wanted (none: all). `initial_quantity` is how many matches one answer may have.
    `reverse` is, between communities, the authority of the asked id by which the asking one knows the patient, and
    `respond_to` the address where a deferred answer is awaited; "": it names none.
    """

    criteria: PatientCriteria
    domains: tuple[Oid, ...] = ()
    initial_quantity: int | None = None
    minimum_degree: int | None = None
    priority: Priority = Priority.IMMEDIATE
    reverse: Oid | None = None
    respond_to: str = ""
    question: Question = NO_QUESTION
    transmission: Transmission = UNSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One who fits. `degree` is how well, in percent; `home` is, between communities, the one that keeps the record."""

    patient: Patient
    degree: int = 100
    home: Oid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatesResponse:
    """0..n candidates. `wanted` are attributes that would help (`PatientAddress`); `problem` is why nobody looked."""

    code: QueryResponseCode = QueryResponseCode.OK
    candidates: tuple[Candidate, ...] = ()
    quantities: Quantities | None = None
    wanted: tuple[str, ...] = ()
    problem: Problem | None = None
    acknowledgement: Acknowledgement = ACCEPTED
    question: Question = NO_QUESTION


# --- the question, read -----------------------------------------------------------------------------------------------

_SEARCHED = (
    "livingSubjectAdministrativeGender", "livingSubjectBirthTime", "livingSubjectId", "livingSubjectName",
    "otherIDsScopingOrganization", "patientAddress", "id",
)  # fmt: skip


def read_candidates_query(message: SoapIn) -> Decoded[CandidatesQuery]:
    """Read PRPA_IN201305UV02.

    Returns:
        The question. Parameters that are not searched by are told as warnings; one that cannot be read is an error, for
        whoever leaves it out answers another question.

    Raises:
        MalformedMessage: It is another interaction, has no id, or asks nothing.
    """
    root = message.body
    transmission, findings = read_transmission(root, REQUEST, accept_acknowledgement="AL")
    element, question = read_question(root)
    at = f"/{REQUEST}/controlActProcess/queryByParameter"
    parameters = child(element, "parameterList")
    if not question.id.is_known:
        findings.append(error("hl7v3.query-id", "a query has an id", f"{at}/queryId", "SYN101"))
    findings.extend(_not_searched(parameters, f"{at}/parameterList"))
    query = CandidatesQuery(
        criteria=_read_criteria(parameters, f"{at}/parameterList", findings),
        domains=_read_domains(parameters, f"{at}/parameterList", findings),
        initial_quantity=read_quantity(child(element, "initialQuantity")),
        minimum_degree=read_quantity(child(element, "matchCriterionList/minimumDegreeMatch/value")),
        priority=Priority.DEFERRED if code_of(element, "responsePriorityCode") == "D" else Priority.IMMEDIATE,
        reverse=read_oid(child(root, "controlActProcess/authorOrPerformer/assignedDevice/id")),
        respond_to=_respond_to(root),
        question=question,
        transmission=transmission,
    )
    return Decoded(query, tuple(findings))


def _respond_to(root: etree._Element) -> str:
    telecom = child(root, "respondTo/telecom")
    return "" if telecom is None else telecom.get("value", "").strip()


def _values(parameters: etree._Element | None, name: str) -> list[etree._Element]:
    return children(parameters, f"{name}/value")[:MAX_PARAMETERS]


def _not_searched(parameters: etree._Element | None, at: str) -> Iterator[Finding]:
    for each in parameters if parameters is not None else ():
        name = etree.QName(each).localname if isinstance(each.tag, str) else ""
        if name and name not in _SEARCHED:
            yield warning("hl7v3.not-searched", "there is no search by this parameter here", f"{at}/{name}"[:200])


def _read_criteria(parameters: etree._Element | None, at: str, findings: list[Finding]) -> PatientCriteria:
    gender = next(iter(_values(parameters, "livingSubjectAdministrativeGender")), None)
    birth = next(iter(_values(parameters, "livingSubjectBirthTime")), None)
    address = next(iter(_values(parameters, "patientAddress")), None)
    identifiers = []
    for position, value in enumerate(_values(parameters, "livingSubjectId"), 1):
        where = f"{at}/livingSubjectId[{position}]/value"
        identifier = read_patient_identifier(value, where, [])
        if identifier is None:
            findings.append(error("hl7v3.no-identifier", "an id has an authority and a value", where, "SYN101"))
        else:
            identifiers.append(identifier)
    names = []
    for position, value in enumerate(_values(parameters, "livingSubjectName"), 1):
        name = read_name(value)
        if not (name.family or name.given):
            where = f"{at}/livingSubjectName[{position}]/value"
            findings.append(error("hl7v3.no-name", "a name has a family or a given name", where, "SYN101"))
        else:
            names.append(NameCriteria(name=name, beginning="SRCH" in value.get("use", "").split()))
    sex = read_gender(gender)
    return PatientCriteria(
        identifiers=tuple(identifiers),
        names=tuple(names),
        birth=_read_birth(birth, f"{at}/livingSubjectBirthTime/value", findings),
        sex=None if gender is None or not gender.get("code") else sex,
        address=tuple(address_parts(read_address(address))),
    )


def _read_birth(value: etree._Element | None, at: str, findings: list[Finding]) -> BirthCriteria | None:
    if value is None or value.get("nullFlavor"):
        return None
    odd: list[Finding] = []
    exactly = value if value.get("value") else child(value, "center")
    ends = (exactly, exactly) if exactly is not None else (child(value, "low"), child(value, "high"))
    low, high = (read_day(each, at, odd) for each in ends)
    if odd or (low is None and high is None):
        findings.append(error("hl7v3.birth-time", "a birth time is a time, or a range of two", at, "SYN"))
        return None
    return BirthCriteria(low=low, high=high)


def _read_domains(parameters: etree._Element | None, at: str, findings: list[Finding]) -> tuple[Oid, ...]:
    domains = []
    for position, value in enumerate(_values(parameters, "otherIDsScopingOrganization"), 1):
        domain = read_oid(value)
        if domain is None:
            where = f"{at}/otherIDsScopingOrganization[{position}]/value"
            findings.append(error("hl7v3.domain", "a domain is named by its OID", where, "204"))
        else:
            domains.append(domain)
    return tuple(domains)


# --- the question, written --------------------------------------------------------------------------------------------


def write_candidates_query(query: CandidatesQuery, *, as_it_came: bool = False) -> SoapOut:
    """Write PRPA_IN201305UV02; `as_it_came`: one that was read, with its parameters to the letter."""
    return write_message(
        REQUEST,
        query.transmission,
        control_act("PRPA_TE201305UV02", _question_texts(query, as_it_came)),
        accept_acknowledgement="AL",
        respond_to=query.respond_to,
    )


def question_text(query: CandidatesQuery) -> str:
    """The question as we write it, for audit, where nobody has sent it yet."""
    return query.question.text or "".join(_parameters(query))


def _question_texts(query: CandidatesQuery, as_it_came: bool) -> Iterator[str]:
    if query.reverse is not None:
        yield '<authorOrPerformer typeCode="AUT"><assignedDevice classCode="ASSIGNED">'
        yield f'<id root="{query.reverse}"/></assignedDevice></authorOrPerformer>'
    if as_it_came:
        yield question_text(query)
    else:
        yield from _parameters(query)


def _parameters(query: CandidatesQuery) -> Iterator[str]:
    criteria = query.criteria
    yield f'<queryByParameter>{write_ii("queryId", query.question.id)}<statusCode code="new"/>'
    yield f'<responseModalityCode code="R"/><responsePriorityCode code="{query.priority}"/>'
    if query.initial_quantity is not None:
        yield f'<initialQuantity value="{query.initial_quantity}"/>'
    if query.minimum_degree is not None:
        yield f'<matchCriterionList><minimumDegreeMatch><value xsi:type="INT" value="{query.minimum_degree}"/>'
        yield "<semanticsText>MinimumDegreeMatch</semanticsText></minimumDegreeMatch></matchCriterionList>"
    yield "<parameterList>"
    gender = write_gender("value", criteria.sex) if criteria.sex is not None else ""
    yield _parameter("livingSubjectAdministrativeGender", gender, "LivingSubject.administrativeGender")
    if criteria.birth is not None:
        yield _parameter("livingSubjectBirthTime", _write_birth(criteria.birth), "LivingSubject.birthTime")
    for identifier in criteria.identifiers:
        yield _parameter("livingSubjectId", write_patient_identifier("value", identifier), "LivingSubject.id")
    for each in criteria.names:
        kind = ' xsi:type="PN" use="SRCH"' if each.beginning else ' xsi:type="PN"'
        yield _parameter("livingSubjectName", write_name("value", each.name, kind), "LivingSubject.name")
    for domain in query.domains:
        value = write_ii("value", InstanceIdentifier(root=domain))
        yield _parameter("otherIDsScopingOrganization", value, "OtherIDs.scopingOrganization.id")
    if criteria.address:
        parts = "".join(f"<{kind}>{text(value)}</{kind}>" for kind, value in criteria.address)
        yield _parameter("patientAddress", f"<value>{parts}</value>", "Patient.addr")
    yield "</parameterList></queryByParameter>"


def _parameter(name: str, value: str, semantics: str) -> str:
    return f"<{name}>{value}<semanticsText>{semantics}</semanticsText></{name}>" if value else ""


def _write_birth(birth: BirthCriteria) -> str:
    if birth.low == birth.high:
        return write_ts("value", birth.low)
    ends: tuple[tuple[str, Moment | None], ...] = (("low", birth.low), ("high", birth.high))
    return f"<value>{''.join(write_ts(tag, each) for tag, each in ends if each is not None)}</value>"


# --- the answer -------------------------------------------------------------------------------------------------------


def refused(problem: ExchangeError) -> CandidatesResponse:
    """The answer to a question that was refused."""
    return CandidatesResponse(code=code_for(problem), acknowledgement=of_error(problem))


def stamped_response(response: CandidatesResponse, asked: SoapIn, stamp: Stamp) -> CandidatesResponse:
    """With the wrapper of an answer to this request, and the question again unless it is there already."""
    question = response.question
    return replace(
        response,
        acknowledgement=stamped(response.acknowledgement, asked, stamp),
        question=question_of(asked.body) if question == NO_QUESTION else question,
    )


def write_candidates(response: CandidatesResponse, rendering: Rendering) -> SoapOut:
    """Write PRPA_IN201306UV02."""
    return write_message(
        RESPONSE,
        response.acknowledgement.transmission,
        _answer_texts(response, rendering),
        accept_acknowledgement="NE",
    )


def _answer_texts(response: CandidatesResponse, rendering: Rendering) -> Iterator[str]:
    yield from write_acknowledgement(response.acknowledgement)
    yield from control_act("PRPA_TE201306UV02", _control_act_texts(response, rendering))


def _control_act_texts(response: CandidatesResponse, rendering: Rendering) -> Iterator[str]:
    for candidate in response.candidates:
        yield from _candidate(candidate, rendering)
    if response.wanted or response.problem is not None:
        yield '<reasonOf typeCode="RSON"><detectedIssueEvent classCode="ALRT" moodCode="EVN">'
        yield '<code code="_ActAdministrativeDetectedIssueManagementCode" codeSystem="2.16.840.1.113883.5.4"/>'
        if response.problem is not None:
            yield '<mitigatedBy typeCode="MITGT"><detectedIssueManagement classCode="ACT" moodCode="EVN">'
            yield f'<code code="{response.problem}" codeSystem="{PROBLEM_CODES}"/>'
            yield "</detectedIssueManagement></mitigatedBy>"
        for name in response.wanted:
            yield '<triggerFor typeCode="TRIG"><actOrderRequired classCode="ACT" moodCode="RQO">'
            yield f'<code code="{attribute(name)}Requested" codeSystem="{REQUESTED_CODES}"/>'
            yield "</actOrderRequired></triggerFor>"
        yield "</detectedIssueEvent></reasonOf>"
    # Between communities there are no counts (ITI TF-2 3.55.4.2.2.6): one answer has all that there is.
    quantities = response.quantities if rendering is Rendering.DOMAIN else None
    yield from write_query_ack(response.question, response.code, quantities)


def _candidate(candidate: Candidate, rendering: Rendering) -> Iterator[str]:
    patient = candidate.patient
    identifiers = patient.identifiers
    others: tuple[PatientIdentifier, ...] = ()
    locator = ""
    if rendering is Rendering.COMMUNITY:
        identifiers, others = identifiers[:1], identifiers[1:]
        locator = f'<code code="NotHealthDataLocator" codeSystem="{LOCATOR_CODES}"/>'

    def person() -> Iterator[str]:
        yield from write_demographics(patient)
        yield from write_other_ids(others)

    provider = identifiers[0].authority if identifiers else None
    degree = (
        '<subjectOf1><queryMatchObservation classCode="COND" moodCode="EVN"><code code="IHE_PDQ"/>'
        f'<value xsi:type="INT" value="{candidate.degree}"/></queryMatchObservation></subjectOf1>'
    )
    role = write_patient(identifiers, person(), provider=provider, behind=degree)
    yield from registration(role, candidate.home or provider, custodian_code=locator)


def read_candidates(message: SoapIn) -> Decoded[CandidatesResponse]:
    """Read PRPA_IN201306UV02, of a domain or of a community: the custodian is `home` of each candidate.

    Raises:
        MalformedMessage: It is another interaction, or does not say how message and query were taken.
    """
    root = message.body
    transmission, findings = read_transmission(root, RESPONSE, accept_acknowledgement="NE")
    code, quantities = read_query_ack(root)
    issues = "controlActProcess/reasonOf/detectedIssueEvent"
    problem = next((code_of(each, "code") for each in _issues(root, issues, "mitigatedBy/detectedIssueManagement")), "")
    wanted = (code_of(each, "code") for each in _issues(root, issues, "triggerFor/actOrderRequired"))
    response = CandidatesResponse(
        code=code,
        candidates=tuple(_read_candidates(root, findings)),
        quantities=quantities,
        wanted=tuple(name.removesuffix("Requested") for name in wanted if name),
        problem=Problem(problem) if problem in set(Problem) else None,
        acknowledgement=read_acknowledgement(root, transmission),
        question=question_of(root),
    )
    return Decoded(response, tuple(findings))


def _issues(root: etree._Element, issues: str, kind: str) -> list[etree._Element]:
    return children(root, f"{issues}/{kind}")


def _read_candidates(root: etree._Element, findings: list[Finding]) -> Iterator[Candidate]:
    event = "controlActProcess/subject/registrationEvent"
    for position, each in enumerate(children(root, event), 1):
        at = f"/{RESPONSE}/controlActProcess/subject[{position}]/registrationEvent/subject1/patient"
        role = child(each, "subject1/patient")
        if role is None:
            findings.append(warning("hl7v3.no-patient", "a registration event without a patient is left out", at))
            continue
        registered = read_patient(role, at, findings)
        if not registered.patient.identifiers:
            findings.append(warning("hl7v3.no-identifier", "a candidate without an id is left out", f"{at}/id"))
            continue
        degree = read_quantity(child(role, "subjectOf1/queryMatchObservation/value"))
        yield Candidate(
            patient=registered.patient,
            degree=100 if degree is None else min(degree, 100),
            home=read_oid(child(each, "custodian/assignedEntity/id")),
        )
