"""Tests mirror the tree: whoever looks for the proof of a module finds it where the module is, or here.

`gateway/x/y.py` is proved by `tests/gateway/x/test_y.py`, a transaction by the tests in its folder. Values without
behaviour have none; what is proved elsewhere is named with the place.
"""

import re

import pytest

from tests.house.modules import ROOT, modules

ROOMS = (
    "profiles/wire",
    "profiles/describe",
    "gateway/services",
    "gateway/actors",
    "gateway/inbound",
    "gateway/adapters",
    "gateway/model",
)

PROVED_BY = {
    # --- wire: pieces of one codec are proved through it ---
    "profiles/wire/audit/facts": "tests/profiles/wire/audit/test_participants.py",
    "profiles/wire/dicom/audited": "tests/profiles/wia/rad107/test_rad107.py",
    "profiles/wire/dicom/decompress": "tests/profiles/wire/dicom/test_frames.py",
    "profiles/wire/dicom/elements": "tests/profiles/wire/dicom/test_dataset.py",
    "profiles/wire/dicom/encode": "tests/profiles/wire/dicom/test_dataset.py",
    "profiles/wire/dicom/jsonmodel": "tests/profiles/wire/dicom/test_dataset.py",
    "profiles/wire/dicom/keywords": "tests/profiles/wire/dicom/test_web.py",
    "profiles/wire/dicom/rewrite": "tests/profiles/wire/dicom/test_dataset.py",
    "profiles/wire/dicom/status": "tests/profiles/wire/dicom/test_web.py",
    "profiles/wire/dicom/study": "tests/profiles/wire/dicom/test_dataset.py",
    "profiles/wire/dicom/syntaxes": "tests/profiles/wire/dicom/test_web.py",
    "profiles/wire/ebxml/audited": "tests/profiles/xds/iti41/test_audit.py",
    "profiles/wire/ebxml/entry": "tests/profiles/wire/ebxml/test_submission.py",
    "profiles/wire/ebxml/readable": "tests/gateway/inbound/desk/test_pages.py",
    "profiles/wire/ebxml/rim": "tests/profiles/wire/ebxml/test_submission.py",
    "profiles/wire/ebxml/xml": "tests/profiles/wire/ebxml/test_submission.py",
    "profiles/wire/ebxml/xop": "tests/profiles/wire/ebxml/test_retrieve.py",
    "profiles/wire/hl7v2/address": "tests/profiles/wire/hl7v2/test_ack.py",
    "profiles/wire/hl7v2/adt": "tests/profiles/pix/test_feeds.py",
    "profiles/wire/hl7v2/answering": "tests/profiles/pix/test_feeds.py",
    "profiles/wire/hl7v2/charset": "tests/profiles/wire/hl7v2/test_message.py",
    "profiles/wire/hl7v2/feed_audit": "tests/profiles/pix/test_feeds.py",
    "profiles/wire/hl7v2/segments": "tests/profiles/wire/hl7v2/test_datatypes.py",
    "profiles/wire/hl7v3/audited": "tests/profiles/pixv3/iti44/test_iti44.py",
    "profiles/wire/hl7v3/candidates": "tests/profiles/pdqv3/iti47/test_iti47.py",
    "profiles/wire/hl7v3/feed": "tests/profiles/pixv3/iti44/test_iti44.py",
    "profiles/wire/hl7v3/person": "tests/profiles/pixv3/iti44/test_iti44.py",
    "profiles/wire/hl7v3/query": "tests/profiles/pdqv3/iti47/test_iti47.py",
    "profiles/wire/hl7v3/transmission": "tests/profiles/pixv3/iti44/test_iti44.py",
    "profiles/wire/media_type": "tests/profiles/wire/test_multipart.py",
    "profiles/wire/http": "tests/gateway/inbound/test_http.py",
    "profiles/wire/soap/message": "tests/profiles/wire/soap/test_mtom.py",
    "profiles/wire/soap/names": "tests/profiles/wire/soap/test_envelope.py",
    # --- adapters: parts of one adapter are proved through it ---
    "gateway/adapters/arrival": "tests/gateway/adapters/test_archive.py",
    "gateway/adapters/audit_folder": "tests/gateway/adapters/test_audit_sql.py",
    "gateway/adapters/audit_tables": "tests/gateway/adapters/test_audit_sql.py",
    "gateway/adapters/audit_verify": "tests/gateway/adapters/test_audit_sql.py",
    "gateway/adapters/carrying": "tests/gateway/adapters/test_peers_soap.py",
    "gateway/adapters/dicomweb_answers": "tests/gateway/adapters/test_archive_dicomweb.py",
    "gateway/adapters/dicomweb_client": "tests/gateway/adapters/test_archive_dicomweb.py",
    "gateway/adapters/dicomweb_retrieve": "tests/gateway/adapters/test_archive_dicomweb.py",
    "gateway/adapters/dicomweb_store": "tests/gateway/adapters/test_archive_dicomweb.py",
    "gateway/adapters/executor": "tests/gateway/adapters/test_store_sql.py",
    "gateway/adapters/http": "tests/gateway/adapters/test_peers_soap.py",
    "gateway/adapters/memory/archive": "tests/gateway/adapters/test_archive.py",
    "gateway/adapters/memory/audit": "tests/gateway/services/test_push.py",
    "gateway/adapters/memory/documents": "tests/gateway/adapters/test_documents.py",
    "gateway/adapters/memory/identity": "tests/gateway/adapters/test_identity.py",
    "gateway/adapters/memory/ledger": "tests/gateway/adapters/test_ledger.py",
    "gateway/adapters/memory/registry": "tests/gateway/adapters/test_differential.py",
    "gateway/adapters/memory/remembered": "tests/gateway/adapters/test_publications_sql.py",
    "gateway/adapters/memory/state": "tests/gateway/adapters/test_differential.py",
    "gateway/adapters/memory/store": "tests/gateway/adapters/test_store_sql.py",
    "gateway/adapters/memory/studies": "tests/gateway/adapters/test_studies.py",
    "gateway/adapters/overlays": "tests/gateway/adapters/test_archive.py",
    "gateway/adapters/patterns": "tests/gateway/adapters/test_studies.py",
    "gateway/adapters/questions": "tests/gateway/inbound/test_replies.py",
    "gateway/adapters/replies_soap": "tests/flows/test_asynchronous_soap.py",
    "gateway/adapters/sequence": "tests/gateway/adapters/test_ledger.py",
    "gateway/adapters/store_postgresql": "tests/gateway/adapters/test_store_sql.py",
    "gateway/adapters/store_sqlite": "tests/gateway/adapters/test_store_sql.py",
    "gateway/adapters/stored": "tests/gateway/adapters/test_registry.py",
    "gateway/adapters/studies_headers": "tests/gateway/adapters/test_studies.py",
    "gateway/adapters/studies_rows": "tests/gateway/adapters/test_studies.py",
    "gateway/adapters/studies_search": "tests/gateway/adapters/test_studies.py",
    "gateway/adapters/studies_told_sql": "tests/gateway/adapters/test_studies.py",
    # --- services and actors: use cases, proved by whole conversations ---
    "gateway/services/collect": "tests/conformance/test_demo.py",
    "gateway/services/demand": "tests/gateway/services/test_publish.py",
    "gateway/services/discover": "tests/flows/test_discovery.py",
    "gateway/services/documents": "tests/flows/test_documents.py",
    "gateway/services/elsewhere": "tests/flows/test_registry_elsewhere.py",
    "gateway/services/errand": "tests/flows/test_documents.py",
    "gateway/services/forward": "tests/flows/test_cross_provide.py",
    "gateway/services/inform": "tests/flows/test_inform.py",
    "gateway/services/keeper": "tests/flows/test_cross_community.py",
    "gateway/services/lookup": "tests/flows/test_lookup.py",
    "gateway/services/notify": "tests/conformance/test_demo.py",
    "gateway/services/operations": "tests/conformance/test_demo.py",
    "gateway/services/probe": "tests/flows/test_peer_probe.py",
    "gateway/services/reconcile": "tests/conformance/test_demo.py",
    "gateway/services/resolve": "tests/flows/test_identity_v3.py",
    "gateway/services/matrix": "tests/flows/test_peer_probe.py",
    "gateway/services/belonging": "tests/flows/test_user_assertions.py",
    "gateway/services/resume": "tests/flows/test_cross_community.py",
    "gateway/services/retrieve": "tests/gateway/inbound/test_http.py",
    "gateway/services/rewrite": "tests/flows/test_faults_identity.py",
    "gateway/services/screen": "tests/flows/test_faults_submission.py",
    "gateway/services/search": "tests/gateway/actors/test_fhir_server.py",
    "gateway/services/transfer": "tests/flows/test_faults_source.py",
    "gateway/services/viewing": "tests/gateway/inbound/test_http.py",
    "gateway/actors/answering": "tests/gateway/actors/test_fhir_server.py",
    "gateway/actors/document_repository": "tests/conformance/test_demo.py",
    "gateway/actors/image_manager": "tests/gateway/inbound/test_http.py",
    "gateway/actors/image_server": "tests/gateway/inbound/test_http.py",
    "gateway/actors/imaging_document_source": "tests/conformance/test_demo.py",
    "gateway/actors/initiating_gateway": "tests/flows/test_cross_community.py",
    "gateway/actors/initiating_imaging_gateway": "tests/flows/test_cross_community.py",
    "gateway/actors/responding_gateway": "tests/flows/test_cross_community.py",
    "gateway/actors/responding_imaging_gateway": "tests/flows/test_cross_community.py",
    "gateway/actors/patient_manager": "tests/flows/test_identity_v3.py",
    "gateway/actors/patient_registry": "tests/flows/test_identity_v3.py",
    "gateway/actors/patient_identity_consumer": "tests/gateway/services/test_feed.py",
    "gateway/inbound/control": "tests/flows/test_process.py",
    "gateway/inbound/mllp_connection": "tests/gateway/inbound/test_mllp.py",
    "gateway/model/job": "tests/house/test_house.py",
}

NOTHING_TO_PROVE = {
    "gateway/model/house": "values",
    "gateway/model/peer": "values",
    "gateway/model/probe": "values",
    "gateway/model/study": "values",
}

TRANSACTIONS_PROVED_BY = {
    "pix/iti8": "tests/profiles/pix/test_feeds.py",  # one table for both feeds: what differs stands side by side
    "pix/iti30": "tests/profiles/pix/test_feeds.py",
    "xds/iti42": "tests/profiles/xds/iti41/test_audit.py",  # the three submissions have the same audit and rules
    "xds/iti61": "tests/profiles/xds/iti41/test_audit.py",  # a fourth submission
    "xds/iti86": "tests/profiles/xds/iti62/test_iti62.py",  # two removals, one table
    "xds/iti92": "tests/profiles/xds/iti57/test_iti57.py",  # an update and its restricted form
}


def _in_its_own_place(below: str) -> bool:
    folder, _, name = below.rpartition("/")
    # One suite a port, run against all of its adapters: identity_sql and identity_rules are proved by test_identity.
    port = re.sub("_(sql|rules|files)$", "", name) if folder == "gateway/adapters" else name
    return any((ROOT / "tests" / folder / f"test_{each}.py").exists() for each in (name, port))


WANTED = [
    module.below.removesuffix(".py")
    for module in modules(*ROOMS)
    if module.file != "__init__.py" and "/migrations/" not in module.below and "/desk/" not in module.below
]


@pytest.mark.parametrize("below", WANTED)
def test_every_module_is_proved_where_one_looks_for_it(below: str) -> None:
    assert _in_its_own_place(below) or below in PROVED_BY or below in NOTHING_TO_PROVE


def test_the_list_of_exceptions_is_true() -> None:
    for below, place in PROVED_BY.items():
        assert (ROOT / f"{below}.py").exists(), f"{below} is gone"
        assert (ROOT / place).exists(), f"{below}: {place} is gone"
        assert not _in_its_own_place(below), f"{below} has its own test by now"


@pytest.mark.parametrize(
    "folder", [each.parent.relative_to(ROOT / "profiles").as_posix() for each in ROOT.glob("profiles/*/*/spec.py")]
)
def test_every_transaction_is_proved_in_its_folder(folder: str) -> None:
    own = list((ROOT / "tests" / "profiles" / folder).glob("test_*.py"))
    assert own or (ROOT / TRANSACTIONS_PROVED_BY[folder]).exists()


def test_no_test_module_stands_on_another() -> None:
    """What two of them need is a module of its own, beside them or in `tests/support`."""
    for module in modules("tests"):
        for line, name in module.imports():
            borrowed = name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
            assert not borrowed, f"{module.below}:{line} imports {name}"
