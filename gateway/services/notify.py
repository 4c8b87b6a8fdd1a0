"""Notify: tell an EHR or RIS that a study is here (ORU^R01). At least once, always with the same message id."""

from gateway.model.house import House
from gateway.model.job import ExchangeJob
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.ingest import study_fact
from profiles.errors import UnknownDocument
from profiles.model.moment import Moment
from profiles.swf.oru_r01 import ORU_R01, StudyAvailable
from profiles.transaction import Facts, Party
from profiles.wire.hl7v2.segments import control_id_of


class Notify:
    """The image manager's telling side."""

    def __init__(self, *, house: House, store: Store, peers: Peers, directory: Directory, clock: Clock) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._peers = peers
        self._directory = directory
        self._clock = clock

    async def announce(self, job: ExchangeJob, study_instance_uid: str, peer_name: str) -> None:
        """Say that the study is available.

        Raises:
            UnknownDocument: The study is not here.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(peer_name)
        async with self._store.view() as work:
            record = await work.studies.get(study_instance_uid)
        if record is None:
            raise UnknownDocument("the study is not here", cure="It may have been merged or given up")
        now, study = self._clock.now(), record.study
        control_id = control_id_of(f"{job.id}:{peer_name}")  # the same for the same announcement, however often sent
        message = StudyAvailable(
            study=study,
            retrieve_url=f"{self._house.dicomweb_url}/studies/{study_instance_uid}",
            viewer_url=f"{self._house.base_url}/studies/{study_instance_uid}",
            address=peer.hl7,
            control_id=control_id,
            at=Moment(now),
        )
        facts = Facts(
            at=now, source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name),
            patients=(study.patient.identifiers[0],), studies=(study_fact([study], study.patient),),
        )  # fmt: skip
        async with self._peers.call(
            ORU_R01, peer, message, exchange_id=job.id, facts=facts, message_id=control_id
        ) as call:
            call.learned(text="Told that the images are available")
