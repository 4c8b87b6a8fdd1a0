"""ITI-47 on the wire: PRPA_IN201305UV02 asks, PRPA_IN201306UV02 answers, QUQI_IN000003UV01 continues and cancels.

The two continuations are one message in two elements, each with an action of its own.

Source: ITI TF-2 3.47.4.1.2, 3.47.4.2.2, 3.47.4.3.2.
"""

from profiles.errors import MalformedMessage
from profiles.findings import Decoded
from profiles.pdqv3.iti47.messages import CandidatesResponse, Continuation
from profiles.wire.hl7v3.candidates import Rendering, write_candidates
from profiles.wire.hl7v3.candidates import read_candidates as decode_response
from profiles.wire.hl7v3.candidates import read_candidates_query as decode_request
from profiles.wire.hl7v3.candidates import write_candidates_query as encode_request
from profiles.wire.hl7v3.datatypes import child, read_ii, write_ii
from profiles.wire.hl7v3.query import read_quantity
from profiles.wire.hl7v3.transmission import control_act, read_transmission, write_message
from profiles.wire.soap.message import SoapIn, SoapOut

CONTINUE, CANCEL = "QUQI_IN000003UV01", "QUQI_IN000003UV01_Cancel"

__all__ = ["decode_continuation", "decode_request", "decode_response", "encode_continuation", "encode_request"]


def encode_response(response: CandidatesResponse) -> SoapOut:
    """Write an answer; all ids of a patient stand together."""
    return write_candidates(response, Rendering.DOMAIN)


def decode_continuation(message: SoapIn, element: str) -> Decoded[Continuation]:
    """Read QUQI_IN000003UV01, in the element of this name.

    Raises:
        MalformedMessage: It is another element, has no id, or continues no query.
    """
    root = message.body
    transmission, findings = read_transmission(root, element, accept_acknowledgement="AL", interaction_id=CONTINUE)
    continued = child(root, "controlActProcess/queryContinuation")
    query_id = read_ii(child(continued, "queryId"))
    if not query_id.is_known:
        raise MalformedMessage(
            "a continuation names the query that it continues",
            location=f"/{element}/controlActProcess/queryContinuation/queryId",
        )
    return Decoded(
        Continuation(
            query_id=query_id,
            start=read_quantity(child(continued, "startResultNumber")),
            quantity=read_quantity(child(continued, "continuationQuantity")),
            cancels=element == CANCEL,
            transmission=transmission,
        ),
        tuple(findings),
    )


def encode_continuation(request: Continuation) -> SoapOut:
    """Write QUQI_IN000003UV01, in the element that says what it is for."""
    numbers = "".join(
        f'<{name} value="{value}"/>'
        for name, value in (("startResultNumber", request.start), ("continuationQuantity", request.quantity))
        if value is not None
    )
    status = "aborted" if request.cancels else "waitContinuedQueryResponse"
    continued = (
        f"<queryContinuation>{write_ii('queryId', request.query_id)}{numbers}"
        f'<statusCode code="{status}"/></queryContinuation>'
    )
    return write_message(
        CANCEL if request.cancels else CONTINUE,
        request.transmission,
        control_act("QUQI_TE000003UV01", iter((continued,))),
        accept_acknowledgement="AL",
        interaction_id=CONTINUE,
    )
