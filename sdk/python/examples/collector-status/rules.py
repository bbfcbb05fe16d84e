"""From a status page to series, and from series to their meaning."""

from typing import Any, List, Optional

from wit_world.exports.collector import Collection
from wit_world.imports.meaning_types import Condition_Within, FaultRule, Mapping, Meaning, Range
from wit_world.imports.tandem_plugin_types import (
    Entity,
    IdentityKey,
    KeyStrength,
    Label,
    MetricType,
    Points,
    Series,
    Severity,
)


def service_entity(name: str) -> Entity:
    return Entity("service", keys=[IdentityKey("name", name, KeyStrength.LOCAL)], name=name, attributes=[])


def collection(now: int, page: Any, cursor: bytes) -> Optional[Collection]:
    """The series of a page `{"service": "chat", "healthy": true, "queue_depth": 3, "requests": 120}`, and the service;
    nothing when the page is another one. The cursor counts the calls, in decimal digits."""
    try:
        service = str(page["service"])
        calls = int(cursor or b"0") + 1
        values = [
            ("status_healthy", MetricType.GAUGE, float(page["healthy"])),
            ("status_queue_depth", MetricType.GAUGE, float(page["queue_depth"])),
            ("status_requests_total", MetricType.COUNTER, float(page["requests"])),
            ("status_calls_total", MetricType.COUNTER, float(calls)),
        ]
    except (KeyError, TypeError, ValueError):
        return None
    labels = [Label("service", service)]
    return Collection(
        series=[Series(metric, metric_type, unit="", labels=labels) for metric, metric_type, _ in values],
        points=[Points(index, at=[now], value=[value]) for index, (_, _, value) in enumerate(values)],
        entities=[service_entity(service)],
        relations=[],
        events=[],
        cursor=str(calls).encode(),
    )


UNHEALTHY = FaultRule(
    code="service.unhealthy",
    condition=Condition_Within(Range(0.0, 0.0)),
    severity=Severity.CRITICAL,
    title="the service calls itself unhealthy",
    advice="Look at the service's own log.",
    resting=None,
    rest_seconds=0,
)

# Metric to canonical name, unit and fault rules.
MEANINGS = {
    "status_healthy": ("service.healthy", "1", [UNHEALTHY]),
    "status_queue_depth": ("service.queue.depth", "{request}", []),
    "status_requests_total": ("service.requests", "{request}", []),
}


def interpret(series: List[Series]) -> Mapping:
    """The meaning of the page's series."""
    services: List[str] = []
    meanings: List[Meaning] = []
    for index, one in enumerate(series):
        service = next((label.value for label in one.labels if label.name == "service"), None)
        if service is None or one.metric not in MEANINGS:
            continue
        if service not in services:
            services.append(service)
        name, unit, fault_rules = MEANINGS[one.metric]
        meanings.append(Meaning(index, services.index(service), name, unit, 1.0, 0.0, [], [], fault_rules))
    return Mapping([service_entity(service) for service in services], [], meanings)
