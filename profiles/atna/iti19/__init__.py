"""ITI-19 Authenticate Node: mutual TLS, and what is audited when it fails.

Source: ITI TF-2 3.19.
"""

from profiles.atna.iti19.audit import node_authentication_failed
from profiles.atna.iti19.spec import ITI_19

__all__ = ["ITI_19", "node_authentication_failed"]
