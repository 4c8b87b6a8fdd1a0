"""ITI-40 Provide X-User Assertion: who asks, for what purpose, signed by somebody we trust.

Source: ITI TF-2 3.40.
"""

from profiles.xua.iti40.audit import user_of
from profiles.xua.iti40.checks import Circumstances, TrustedIssuer
from profiles.xua.iti40.codec import claimed, decode_assertion, encode_assertion
from profiles.xua.iti40.messages import (
    BEARER,
    HOLDER_OF_KEY,
    UNSPECIFIED_AUTHENTICATION,
    X509_AUTHENTICATION,
    Assertion,
    Authentication,
    Conditions,
    Confirmation,
    ProviderId,
    Subject,
)
from profiles.xua.iti40.spec import ITI_40
from profiles.xua.iti40.verify import verify

__all__ = [
    "BEARER",
    "HOLDER_OF_KEY",
    "ITI_40",
    "UNSPECIFIED_AUTHENTICATION",
    "X509_AUTHENTICATION",
    "Assertion",
    "Authentication",
    "Circumstances",
    "Conditions",
    "Confirmation",
    "ProviderId",
    "Subject",
    "TrustedIssuer",
    "claimed",
    "decode_assertion",
    "encode_assertion",
    "user_of",
    "verify",
]
