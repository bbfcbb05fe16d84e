"""A small collector: reads a service's JSON status page over HTTP, and says what its numbers mean."""

import json
from typing import List

import outgoing
import rules
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.collector import Collection, CollectRequest, Payload
from wit_world.imports.description_types import Capability, Description, Interest, Scope, Selector
from wit_world.imports.meaning_types import Mapping, Target
from wit_world.imports.tandem_plugin_types import Failure, FailureCode, Series


def failure(code: FailureCode, message: str, retry: bool = False) -> Err:
    return Err(Failure(code, message, retry))


class About(exports.About):
    def describe(self) -> Description:
        selector = Selector(metrics=["status_*"], entity_kinds=[], labels=[], with_fault_rules=False)
        return Description(
            name="collector-status-python",
            version="1.0.0",
            summary="Reads a service's JSON status page.",
            config_schema="",
            interests=[Interest(selector, Scope.TARGET, history_seconds=0)],
            capabilities=[Capability("http", "target", "to fetch the status page")],
        )


class Mapper(exports.Mapper):
    def interpret(self, target: Target, series: List[Series]) -> Mapping:
        return rules.interpret(series)


class Collector(exports.Collector):
    def collect(self, request: CollectRequest) -> Collection:
        try:
            status, body = outgoing.get(request.target, {"accept": "application/json"})
        except outgoing.Unreachable as error:
            code = FailureCode.REFUSED if error.refused else FailureCode.UNREACHABLE
            raise failure(code, f"GET {request.target}: {error}", retry=not error.refused) from error
        if status != 200:
            raise failure(FailureCode.UNREACHABLE, f"{request.target} answered {status}", retry=True)
        try:
            page = json.loads(body)
        except ValueError as error:
            raise failure(FailureCode.MALFORMED, f"the page of {request.target} is no JSON: {error}") from error
        answer = rules.collection(request.now, page, request.cursor)
        if answer is None:
            raise failure(FailureCode.MALFORMED, f"the page of {request.target} or the cursor is not as expected")
        return answer

    def receive(self, payload: Payload) -> Collection:
        raise failure(FailureCode.UNSUPPORTED, "this plugin takes no pushed payloads")
