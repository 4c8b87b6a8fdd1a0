"""RAD-68 on the wire. ITI-41 has the same one, so it lives in `profiles.wire.ebxml.provide`.

Source: RAD TF-2 4.68.4; ITI TF-2 3.41.4.
"""

from profiles.wire.ebxml.provide import (
    decode_provide_request as decode_request,
)
from profiles.wire.ebxml.provide import (
    decode_registry_response as decode_response,
)
from profiles.wire.ebxml.provide import (
    encode_provide_request as encode_request,
)
from profiles.wire.ebxml.provide import (
    encode_registry_response as encode_response,
)
from profiles.wire.ebxml.provide import (
    refuse_provide_request as refuse,
)

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "refuse"]
