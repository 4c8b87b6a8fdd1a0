"""Assertions: whom we believe, and as whom we speak, as the settings say."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.adapters.asserting import TREATMENT, Asserting, Signer
from gateway.inbound.assertions import Assertions
from gateway.model.house import House
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.store import Store
from gateway.settings import Problem, Settings, SettingsError
from profiles.model.codes import Code
from profiles.xua.iti40 import TrustedIssuer


def assertions_of(
    settings: Settings, house: House, *, store: Store, compute: Compute, clock: Clock
) -> Assertions | None:
    """Who verifies what comes; None: there is nobody whom we believe, and the settings ask it of no peer."""
    if not settings.issuer:
        return None
    section = settings.assertion
    issuers = {
        entity_id: TrustedIssuer(
            entity_id=entity_id,
            certificates=tuple(x509.load_pem_x509_certificate(path.read_bytes()) for path in issuer.certificates),
            home_communities=frozenset(issuer.home_community_ids),
        )
        for issuer in settings.issuer
        for entity_id in (issuer.entity_id or issuer.name,)
    }
    return Assertions(
        issuers=issuers,
        audiences=frozenset(section.audience) or frozenset({house.base_url, *(home.urn for home in house.homes)}),
        store=store, compute=compute, clock=clock, skew=timedelta(seconds=section.clock_skew_s),
        lifetime=timedelta(seconds=section.lifetime_s), once=section.once,
    )  # fmt: skip


def asserting_of(settings: Settings, house: House, *, compute: Compute, clock: Clock) -> Asserting | None:
    """Who makes ours; None: there is no key to sign with.

    Raises:
        SettingsError: The key is of a kind that signs nothing here.
    """
    section = settings.assertion
    if section.certificate is None or section.key is None:
        return None
    key = load_pem_private_key(section.key.read_bytes(), None)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise SettingsError((Problem("assertion.key", "is neither RSA nor of a curve", "Make one that is"),))
    shown = settings.tls.certificate
    signer = Signer(
        entity_id=section.entity_id or house.home_community_id.urn,
        key=key,
        certificate=x509.load_pem_x509_certificate(section.certificate.read_bytes()),
        organization=section.organization or house.name,
        purpose=TREATMENT
        if section.purpose is None
        else Code(value=section.purpose.code, system=section.purpose.system, display=section.purpose.display),
        lifetime=timedelta(seconds=section.own_lifetime_s),
        holder_key=b""
        if shown is None
        else x509.load_pem_x509_certificate(shown.read_bytes())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    return Asserting(signer, house=house, compute=compute, clock=clock)
