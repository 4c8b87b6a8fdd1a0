"""Every suite, listed by hand. A suite is a module of cases for one transaction and one actor."""

from collections.abc import Iterator
from types import ModuleType

from conformance.case import Case
from conformance.suites import asked_elsewhere
from conformance.suites.atna import document_audit, node_audit, node_authentication
from conformance.suites.ehr import server
from conformance.suites.pdqv3 import consumer as demographics_consumer
from conformance.suites.pdqv3 import supplier
from conformance.suites.pix import identity_management, registry_feed, transport
from conformance.suites.pixv3 import consumer as identity_consumer
from conformance.suites.pixv3 import feed, notified, notifier, query
from conformance.suites.pixv3 import source as identity_source
from conformance.suites.swf import announcement
from conformance.suites.wia import manager_store, source_search
from conformance.suites.wia import source_retrieve as web_source_retrieve
from conformance.suites.xca import initiating_query, initiating_retrieve, responding_query, responding_retrieve
from conformance.suites.xcai import initiating_gateway as imaging_asker
from conformance.suites.xcai import responding_gateway as imaging_gateway
from conformance.suites.xcdr import initiating_gateway as forwarder
from conformance.suites.xcdr import responding_gateway as receiver
from conformance.suites.xcpd import initiating_gateway as discoverer
from conformance.suites.xcpd import responding_gateway as discovery
from conformance.suites.xds import (
    administrator_remove,
    administrator_remove_documents,
    administrator_update,
    consumer,
    consumer_of_many,
    consumer_query,
    consumer_take,
    on_demand_source,
    registry_multi_patient,
    registry_on_demand,
    registry_query,
    registry_register,
    registry_remove,
    registry_update,
    repository_provide,
    repository_register,
    repository_remove,
    repository_retrieve,
    responder_update,
    source,
    update_initiator,
)
from conformance.suites.xdsi import consumer_retrieve, source_provide, source_retrieve
from conformance.suites.xdsi import repository_provide as imaging_provide
from conformance.suites.xua import provider as assertion_provider
from conformance.suites.xua import user as assertion_user

SUITES: tuple[ModuleType, ...] = (
    assertion_provider,  # first: that a refusal is an alert is seen before there are too many of them to be written
    assertion_user, asked_elsewhere,
    registry_query, registry_register, registry_update, responder_update, imaging_provide,
    registry_remove, repository_remove, registry_on_demand, registry_multi_patient, document_audit,
    repository_provide, repository_retrieve, source_retrieve, source_search, web_source_retrieve,
    manager_store, registry_feed, server, node_audit, node_authentication, consumer, consumer_retrieve, source_provide,
    initiating_query, initiating_retrieve, imaging_asker, discoverer, forwarder, receiver,
    responding_query, responding_retrieve, imaging_gateway, discovery, feed, query, supplier,
    transport, identity_management, announcement, identity_source, notifier, notified,
    identity_consumer, demographics_consumer,
    source,
    repository_register, on_demand_source, consumer_query, consumer_take,
    consumer_of_many, administrator_update, administrator_remove, administrator_remove_documents, update_initiator,
)  # fmt: skip


def cases() -> tuple[Case, ...]:
    """All cases, in the order in which they stand in their suites."""
    return tuple(each for suite in SUITES for each in _of(suite))


def _of(suite: ModuleType) -> Iterator[Case]:
    for value in vars(suite).values():
        if isinstance(value, Case):
            yield value
        elif isinstance(value, tuple):
            yield from (each for each in value if isinstance(each, Case))
