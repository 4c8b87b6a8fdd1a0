"""Verify: from bytes that a stranger sent to an assertion that is believed. The only way to one.

The order is the point: size and shape, whose key, the signature, then the signed bytes are read, and nothing else of what
came is looked at again; then the rules. Pure: the time, the keys and the other side's key are handed in.

Source: ITI TF-2 3.40.4.1.3; SAML 2.0 core 5; WS-Security 1.1, 12.
"""

from collections.abc import Mapping
from datetime import datetime

from profiles.errors import MalformedMessage, Unauthenticated
from profiles.findings import Decoded, errors_of
from profiles.wire.signature import verified
from profiles.wire.soap.fault import WSSE_EXPIRED, WSSE_INVALID
from profiles.xua.iti40.checks import Circumstances, TrustedIssuer, check_assertion
from profiles.xua.iti40.codec import decode_assertion, issuer_of
from profiles.xua.iti40.messages import Assertion

CURES: Mapping[str, str] = {
    "xua-times": "Compare the clocks of both sides; [assertion] clock_skew_s says how far apart they may be",
    "xua-lifetime": "Ask the issuer for shorter ones, or raise [assertion] lifetime_s",
    "xua-audience": "Tell the issuer our audience, or add theirs to [assertion] audience",
    "xua-holder-of-key": "The peer must show the certificate that the assertion names",
    "xua-home-community": "Add the community to the issuer's home_community_ids, if it may speak for it",
}
"""What an operator can do about a rule that is broken."""


def verify(
    document: bytes,
    issuers: Mapping[str, TrustedIssuer],
    where: Circumstances,
    *,
    expires: datetime | None = None,
) -> Decoded[Assertion]:
    """The assertion, verified.

    Args:
        document: As it came.
        issuers: Whom we believe, by entity id.
        where: The time, who we are, and who shows it.
        expires: Until when the message around it says to be good.

    Raises:
        Unauthenticated: It is not believed; `code` is the fault's, `findings` the rules that were broken.
    """
    try:
        if expires is not None and where.now - where.skew >= expires:
            raise Unauthenticated("the message has expired", code=WSSE_EXPIRED, cure=CURES["xua-times"])
        issuer = issuers.get(issuer_of(document))
        if issuer is None:
            raise Unauthenticated(
                "the issuer of the assertion is not accepted",
                code=WSSE_INVALID,
                cure="Add an [[issuer]] with its certificate, if it is to be believed",
            )
        decoded = decode_assertion(verified(document, issuer.certificates, where.now))
    except MalformedMessage as error:
        raise Unauthenticated(error.detail, code=error.code or WSSE_INVALID, location=error.location) from error
    broken = errors_of(check_assertion(decoded.value, issuer, where))
    if broken:
        first = broken[0]
        raise Unauthenticated(first.text, code=first.code, cure=CURES.get(first.rule, ""), findings=broken)
    return decoded
