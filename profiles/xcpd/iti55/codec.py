"""ITI-55 on the wire: PRPA_IN201305UV02 and PRPA_IN201306UV02 with a SOAP header of its own.

Source: ITI TF-2 3.55.4.1.2, 3.55.4.2.2; XML Schema part 2, 3.2.6 (duration).
"""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Final

from lxml import etree

from profiles.errors import Condition, ExchangeError
from profiles.findings import Decoded
from profiles.wire.hl7v3.ack import (
    ACCEPT_ACKNOWLEDGEMENT,
    Acknowledgement,
    decode_accept_acknowledgement,
    stamped,
    write_acknowledgement,
)
from profiles.wire.hl7v3.candidates import (
    CandidatesQuery,
    Problem,
    Rendering,
    read_candidates,
    read_candidates_query,
    refused,
    stamped_response,
    write_candidates,
    write_candidates_query,
)
from profiles.wire.hl7v3.query import QueryResponseCode
from profiles.wire.hl7v3.transmission import write_message
from profiles.wire.soap.message import SoapIn, SoapOut, Stamp
from profiles.wire.xml import parse
from profiles.xcpd.iti55.messages import DeferredAnswer, DiscoveryRequest, DiscoveryResponse

XCPD: Final = "urn:ihe:iti:xcpd:2009"
_KEEP_FOR: Final = f"{{{XCPD}}}CorrelationTimeToLive"
_DURATION = re.compile(
    r"P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,10})(?:\.\d+)?S)?)?"
)

PROBLEMS: dict[Condition, Problem] = {
    Condition.BUSY: Problem.BUSY,
    Condition.OUT_OF_RESOURCES: Problem.BUSY,
    Condition.INTERNAL: Problem.INTERNAL,
}
"""Why nobody looked; everything else is that there is no answer to be had."""


# --- the header -------------------------------------------------------------------------------------------------------


def read_keep_for(header: etree._Element | None) -> timedelta | None:
    """CorrelationTimeToLive; None where it is absent, no duration, or none that is positive."""
    match = _DURATION.fullmatch((header.findtext(_KEEP_FOR) or "").strip()) if header is not None else None
    if match is None:
        return None
    years, months, days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    # A year and a month are as long as nobody can complain of.
    length = timedelta(days=365 * years + 30 * months + days, hours=hours, minutes=minutes, seconds=seconds)
    return length or None


def write_keep_for(length: timedelta | None) -> bytes:
    """CorrelationTimeToLive, or nothing."""
    if length is None or length <= timedelta():
        return b""
    seconds = int(length.total_seconds())
    days, rest = divmod(seconds, 86_400)
    text = f"P{days}D" if not rest else f"P{days}DT{rest}S" if days else f"PT{rest}S"
    return f'<x:CorrelationTimeToLive xmlns:x="{XCPD}">{text}</x:CorrelationTimeToLive>'.encode()


# --- the messages -----------------------------------------------------------------------------------------------------


def decode_request(message: SoapIn) -> Decoded[DiscoveryRequest]:
    """Read a question; see `read_candidates_query`."""
    read = read_candidates_query(message)
    return Decoded(DiscoveryRequest(query=read.value, keep_for=read_keep_for(message.header)), read.findings)


def encode_request(request: DiscoveryRequest) -> SoapOut:
    """Write a question."""
    return replace(write_candidates_query(request.query), header=write_keep_for(request.keep_for))


def decode_response(message: SoapIn) -> Decoded[DiscoveryResponse]:
    """Read an answer; see `read_candidates`."""
    read = read_candidates(message)
    return Decoded(DiscoveryResponse(answer=read.value, keep_for=read_keep_for(message.header)), read.findings)


def encode_response(response: DiscoveryResponse) -> SoapOut:
    """Write an answer: one id of each patient, the home as custodian, no counts."""
    return replace(write_candidates(response.answer, Rendering.COMMUNITY), header=write_keep_for(response.keep_for))


def refuse(problem: ExchangeError) -> DiscoveryResponse:
    """The answer to what was refused: AE in both places, and why nobody looked (3.55.4.2.2.7)."""
    why = PROBLEMS.get(problem.condition, Problem.NOT_AVAILABLE)
    return DiscoveryResponse(answer=replace(refused(problem), code=QueryResponseCode.ERROR, problem=why))


def stamp_response(response: DiscoveryResponse, asked: SoapIn, stamp: Stamp) -> DiscoveryResponse:
    """With the wrapper of an answer to this request, and the question again."""
    return replace(response, answer=stamped_response(response.answer, asked, stamp))


# --- deferred: the first exchange -------------------------------------------------------------------------------------


def decode_deferred_request(message: SoapIn) -> Decoded[DiscoveryRequest]:
    """Read a question that is to be answered later; see `read_candidates_query`."""
    read = decode_request(message)
    return Decoded(replace(read.value, message_id=message.message_id), read.findings)


decode_deferred_response = decode_accept_acknowledgement
stamp_deferred = stamped


def encode_deferred_response(acknowledgement: Acknowledgement) -> SoapOut:
    """Write MCCI_IN000002UV01, here at application level (3.55.4.1.3)."""
    return write_message(
        ACCEPT_ACKNOWLEDGEMENT,
        acknowledgement.transmission,
        write_acknowledgement(acknowledgement),
        accept_acknowledgement="NE",
    )


def text_of_question(request: DiscoveryRequest) -> str:
    """A question as a text to be remembered until it is answered, its parameters to the letter: the answer repeats them."""
    return b"".join(write_candidates_query(request.query, as_it_came=True).body).decode()


def question_of_text(text: str) -> CandidatesQuery:
    """The question that `text_of_question` remembered.

    Raises:
        MalformedMessage: It is none.
    """
    return read_candidates_query(SoapIn(action="", body=parse(text.encode()))).value


# --- deferred: the second exchange ------------------------------------------------------------------------------------


def decode_deferred_answer(message: SoapIn) -> Decoded[DeferredAnswer]:
    """Read an answer that comes on its own; see `read_candidates`."""
    read = decode_response(message)
    return Decoded(DeferredAnswer(response=read.value, relates_to=message.relates_to), read.findings)


def encode_deferred_answer(answer: DeferredAnswer) -> SoapOut:
    """Write it: a request in the envelope, an answer in the body."""
    return replace(encode_response(answer.response), relates_to=answer.relates_to)
