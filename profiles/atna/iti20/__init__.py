"""ITI-20 Record Audit Event: the message, and the events that belong to no transaction.

Source: ITI TF-2 3.20.
"""

from profiles.atna.iti20.audit import (
    application_started,
    application_stopped,
    audit_log_used,
    configuration_changed,
    forwarding_resumed,
    forwarding_stopped,
    log_damaged,
    logged_in,
    logged_out,
    operator_decision,
    restricted_function_used,
)
from profiles.atna.iti20.codec import decode_request, encode_request, frame_of
from profiles.atna.iti20.spec import ITI_20

__all__ = [
    "ITI_20",
    "application_started",
    "application_stopped",
    "audit_log_used",
    "configuration_changed",
    "decode_request",
    "encode_request",
    "forwarding_resumed",
    "forwarding_stopped",
    "frame_of",
    "log_damaged",
    "logged_in",
    "logged_out",
    "operator_decision",
    "restricted_function_used",
]
