"""ITI-80 on the wire: ITI-41, and the community that it is addressed to on the submission set too.

What a newcomer gets wrong: senders name the community in one of three places (the request's slot, a header, the submission
set), so each is read and all three are written. On the set alone it may be the sender's own, which the others correct.

Source: ITI TF-2 3.80.4.1.2, 3.41.4.1.2.
"""

from dataclasses import replace

from profiles.findings import Decoded
from profiles.wire.soap.message import SoapIn, SoapOut
from profiles.xcdr.iti80.messages import ProvideAndRegisterRequest
from profiles.xds.iti41 import ITI_41


def encode_request(request: ProvideAndRegisterRequest) -> SoapOut:
    """Write the request; its submission set says the same home."""
    submission = request.submission
    addressed = replace(submission.submission_set, home_community_id=request.home_community_id)
    return ITI_41.encode_request(replace(request, submission=replace(submission, submission_set=addressed)))


def decode_request(message: SoapIn) -> Decoded[ProvideAndRegisterRequest]:
    """Read the request; raises as ITI-41 does. The home is taken off the set, which has it as an address."""
    decoded = ITI_41.decode_request(message)
    request = decoded.value
    whole = request.submission.submission_set
    return Decoded(
        replace(
            request,
            home_community_id=request.home_community_id or whole.home_community_id,
            submission=replace(request.submission, submission_set=replace(whole, home_community_id=None)),
        ),
        decoded.findings,
    )
