"""Log records without patient data, and counters.

A log line is an event with ids: `log.info("turn", transaction="RAD-69", exchange=...)`. Only the fields listed here get
through, so that a body, a name or a birth date cannot slip in by way of a keyword argument.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "exchange", "transaction", "peer", "outcome", "condition", "address",
        "duration_ms", "size_bytes", "count", "kind", "state", "reason", "cure", "port", "path", "error", "attempt",
        "version", "house", "where", "number", "seconds", "listener", "signal", "store", "archive",
    }
)  # fmt: skip

registry = CollectorRegistry()
TURNS = Counter("radgate_turns_total", "Requests answered", ("transaction", "outcome"), registry=registry)
CALLS = Counter("radgate_calls_total", "Requests made to peers", ("transaction", "outcome"), registry=registry)
TURN_SECONDS = Histogram("radgate_turn_seconds", "Time to answer", ("transaction",), registry=registry)
BYTES = Counter("radgate_bytes_total", "Bytes exchanged", ("direction",), registry=registry)
EXCHANGES = Gauge("radgate_exchanges", "Exchanges by state", ("state",), registry=registry)
FINDINGS = Counter("radgate_findings_total", "Oddities tolerated", ("peer", "rule"), registry=registry)
PRUNED = Counter("radgate_pruned_total", "Let go of by age or size", ("kind", "outcome"), registry=registry)
RETURNED = Counter("radgate_returned_bytes_total", "Space given back to the disk", registry=registry)


def _only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if key in ALLOWED}


def _one_line(value: object) -> str:
    return str(value)


def configure(level: str = "INFO") -> None:
    """JSON lines on standard error; libraries' warnings too."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    # aiohttp writes whole request lines and payload errors there, and a request line may name a patient.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL + 1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=_one_line)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )


def logger() -> structlog.stdlib.BoundLogger:
    """The log."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger()
    return bound


def where(raised: BaseException) -> str:
    """File and line of the innermost frame: enough to find it, nothing of what was being handled."""
    trace = raised.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
