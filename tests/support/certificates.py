"""Certificates for tests: made here, valid as long as asked."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCertificate:
    """PEM files, and what made them."""

    certificate: Path
    key: Path
    made: x509.Certificate
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    @property
    def sha256(self) -> str:
        """The fingerprint, lower-case hex."""
        return self.made.fingerprint(hashes.SHA256()).hex()


def make_certificate(
    folder: Path,
    name: str,
    *,
    signed_by: MadeCertificate | None = None,
    authority: bool = False,
    since: timedelta = timedelta(hours=-1),
    until: timedelta = timedelta(days=1),
    rsa_bits: int = 0,
) -> MadeCertificate:
    """A certificate for 127.0.0.1 and localhost; self-signed unless an authority is given. `rsa_bits` 0: of a curve."""
    private = rsa.generate_private_key(65537, rsa_bits) if rsa_bits else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by.made.subject if signed_by else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
    )
    made = builder.sign(signed_by.private if signed_by else private, hashes.SHA256())
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return MadeCertificate(certificate=certificate, key=key, made=made, private=private)
