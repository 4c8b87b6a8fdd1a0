"""ATNA: who is at the other end, and what happened. The face: records of events that belong to no transaction."""

from profiles.atna.iti19 import ITI_19, node_authentication_failed
from profiles.atna.iti20 import (
    ITI_20,
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

__all__ = [
    "ITI_19",
    "ITI_20",
    "application_started",
    "application_stopped",
    "audit_log_used",
    "configuration_changed",
    "forwarding_resumed",
    "forwarding_stopped",
    "log_damaged",
    "logged_in",
    "logged_out",
    "node_authentication_failed",
    "operator_decision",
    "restricted_function_used",
]
