"""The container's health: 0 when the house in it says that it is ready, else 1 and why. Only the standard library: 50 ms.

What a newcomer gets wrong: the certificate is not looked at. We ask ourselves on loopback and send nothing; whether others
believe the house is theirs to check, and an expired certificate is told by `radgate doctor`.
"""

import http.client
import json
import os
import ssl
import sys

TIMEOUT_S = 4.0


def reason(port: int, *, tls: bool = True) -> str:
    """Why the house on this port of loopback is not ready; "" when it is."""
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        asked: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=TIMEOUT_S, context=context
        )
    else:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        asked.request("GET", "/readyz")
        answer = asked.getresponse()
        told = answer.read(64 * 1024)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {str(error) or type(error).__name__}"
    finally:
        asked.close()
    if answer.status == 200:
        return ""
    try:
        reasons = json.loads(told)["reasons"]
        return "; ".join(f"{name}: {why}" for name, why in reasons.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {answer.status}"


def main() -> int:
    """Ask, by `RADGATE__LISTEN__HTTP_PORT` (8443 without it) and `RADGATE_HEALTH_SCHEME` (https without it)."""
    port = os.environ.get("RADGATE__LISTEN__HTTP_PORT", "8443")
    scheme = os.environ.get("RADGATE_HEALTH_SCHEME", "https")
    if not port.isdecimal() or scheme not in ("http", "https"):
        print(f"{scheme}, port {port}: not to be asked")
        return 1
    why = reason(int(port), tls=scheme == "https")
    print(why or "ready")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main())
