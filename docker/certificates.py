"""Certificates for the stack: a root of its own, and a leaf for each service, good for its name there and on loopback.

They are for trying things out: 30 days, keys without a passphrase, made new where there are none or fewer than 7 days are
left. A hospital brings its own.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from conformance.certificates import Authority

LEAVES = {
    "house": ("radgate", "localhost"),
    "tester": ("conformance", "localhost"),
    "audit": ("audit", "localhost"),
}
"""File name -> the names that a service is reached by."""

LEFT = timedelta(days=7)


def made(folder: Path, *, now: datetime) -> bool:
    """Make all of it if something is not there or soon over; answers whether it did."""
    files = ("root.pem", *(f"{name}.pem" for name in LEAVES))
    if all(_good(folder / each, now) for each in files) and all((folder / f"{name}.key").is_file() for name in LEAVES):
        return False
    authority = Authority(folder, "radgate container root")
    for name, hosts in LEAVES.items():
        authority.issue(name, hosts=hosts)
    return True


def _good(certificate: Path, now: datetime) -> bool:
    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return shown.not_valid_after_utc - now > LEFT


def main() -> int:
    """`certificates.py FOLDER`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where root.pem and NAME.pem, NAME.key go")
    folder = parser.parse_args().folder
    print(f"{folder}: {'made' if made(folder, now=datetime.now(UTC)) else 'already there, and good for a while'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
