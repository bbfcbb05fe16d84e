"""The smallest useful detector: how far a value lies from the running mean, in units of three running standard deviations."""

import json
import math
from typing import Dict, List

from componentize_py_types import Err
from rules import Mean
from wit_world import exports
from wit_world.exports.detector import Frame, Group, GroupState, Observation, Scores
from wit_world.imports.description_types import Description, Interest, Scope, Selector
from wit_world.imports.types import Failure, FailureCode


def failure(code: FailureCode, message: str) -> Err:
    return Err(Failure(code, message, retry=False))


class About(exports.About):
    def describe(self) -> Description:
        selector = Selector(metrics=["model.*"], entity_kinds=[], labels=[], with_fault_rules=False)
        return Description(
            name="detector-mean-python",
            version="1.0.0",
            summary="Scores each point by its distance to the running mean.",
            config_schema="",
            interests=[Interest(selector, Scope.SERIES, history_seconds=3600)],
            capabilities=[],
        )


class Watch:
    """The resource; the module `detector` of the bindings holds its protocol."""

    def __init__(self) -> None:
        self.groups: Dict[int, Mean] = {}

    def join(self, groups: List[Group], history: List[Frame]) -> None:
        for group in groups:
            if len(group.members) != 1:
                message = f"group {group.id} has {len(group.members)} members; this detector takes one"
                raise failure(FailureCode.UNSUPPORTED, message)
            self.groups[group.id] = Mean()
        for frame in history:
            mean = self.known(frame.group)
            for value in frame.value:
                mean.learn(value)

    def leave(self, groups: List[int]) -> None:
        for group in groups:
            self.groups.pop(group, None)

    def observe(self, batch: List[Frame]) -> Observation:
        for frame in batch:
            self.known(frame.group)
            if len(frame.at) != len(frame.value):
                message = f"the frame of group {frame.group} has columns of unequal length"
                raise failure(FailureCode.MALFORMED, message)
        answers = [self.answer(frame) for frame in batch]
        return Observation(scores=[scores for scores in answers if scores.at], faults=[])

    def answer(self, frame: Frame) -> Scores:
        mean = self.known(frame.group)
        scores = Scores(frame.group, at=[], score=[], low=[], high=[], attributions=[], warming=0)
        for at, value in zip(frame.at, frame.value):
            if not math.isfinite(value):
                continue
            if mean.is_warming():
                scores.warming += 1
                score, low, high = 0.0, math.nan, math.nan
            else:
                score, low, high = mean.judge(value)
            scores.at.append(at)
            scores.score.append(score)
            scores.low.append(low)
            scores.high.append(high)
            mean.learn(value)
        return scores

    def snapshot(self, groups: List[int]) -> List[GroupState]:
        return [GroupState(group, self.known(group).save()) for group in groups or self.groups]

    def known(self, group: int) -> Mean:
        if group not in self.groups:
            raise failure(FailureCode.MALFORMED, f"group {group} is not watched; it must join first")
        return self.groups[group]


def check_config(config: str) -> None:
    if config.strip() and json.loads(config):
        raise failure(FailureCode.MISCONFIGURED, "this plugin takes no configuration")


class Detector(exports.Detector):
    def open(self, config: str) -> Watch:
        check_config(config)
        return Watch()

    def restore(self, config: str, groups: List[Group], states: List[GroupState]) -> Watch:
        check_config(config)
        watch = Watch()
        watch.join(groups, [])
        for state in states:
            watch.known(state.group)
            mean = Mean.load(state.state)
            if mean is None:
                raise failure(FailureCode.UNSUPPORTED, f"the state of group {state.group} is of another version")
            watch.groups[state.group] = mean
        return watch
