"""ITI-51 on the wire: `query:AdhocQueryRequest` there, `query:AdhocQueryResponse` back, as in ITI-18.

Source: ITI TF-2 3.51.4.
"""

from profiles.findings import Decoded
from profiles.wire.ebxml.query import MultiPatientQuery
from profiles.wire.soap.message import SoapIn
from profiles.xds.iti18.codec import decode_query, decode_response, encode_request, encode_response, refuse
from profiles.xds.iti51.messages import StoredQueryRequest


def decode_request(message: SoapIn) -> Decoded[StoredQueryRequest]:
    """Read one of the questions about several patients.

    Raises:
        MalformedMessage: It is another element, or has no query.
        UnknownQuery: There is no such query; those of ITI-18 are none of these.
        RuleViolation: A parameter is missing, has too many values, or cannot be read.
    """
    return decode_query(message, MultiPatientQuery)


__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
