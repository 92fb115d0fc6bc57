"""A model of the window, with which reports, answers, erasures and silence are compared."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import time_machine
from django.test import Client, override_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.cache import records
from collector.conf import conf
from collector.numbers import snapshot
from collector.numbers.stats import statistics

RETENTION = 7
QUESTIONS = {
    "database": {"why": "to know", "kind": "choice", "options": ["sqlite", "postgresql"]},
    "users": {"why": "to know", "kind": "number", "bounds": [2, 6]},
    "sso": {"why": "to know", "kind": "flag"},
}
# What is sent, and what is kept of it.
ANSWERS = {
    "database": {"sqlite": "sqlite", "oracle": "other", None: None},
    "users": {1: "0-1", 5: "2-5", 6: "6+", None: None},
    "sso": {True: "true", False: "false", None: None},
}


@dataclass
class LatestReport:
    app: str
    day: int
    established: bool
    answers: dict[str, str]


class Window(RuleBasedStateMachine):
    """Compares random reports, upgrades, answers, erasures and silence with a model of the window.

    It begins in 2040, ahead of every real clock, so that a store expires nothing early.
    """

    ids = st.integers(0, 5).map(lambda n: str(UUID(int=n)))
    apps = st.sampled_from(["1", "2", "3"])
    answers = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from([*kept]) for name, kept in ANSWERS.items()}
    )

    def __init__(self):
        super().__init__()
        self.travel = time_machine.travel(datetime(2040, 2, 25, 22, tzinfo=UTC), tick=False)
        self.clock = self.travel.start()
        self.questions = override_settings(HEADCOUNT_QUESTIONS=QUESTIONS)
        self.questions.enable()
        self.client = Client()
        records().clear()
        self.live = {}

    def teardown(self):
        self.questions.disable()
        self.travel.stop()

    @property
    def today(self):
        return datetime.now(UTC).toordinal()

    def post(self, path, body):
        return self.client.post(path, json.dumps(body), "application/json")

    @rule(id=ids, app=apps, answers=answers)
    def report(self, id, app, answers):
        body = {"id": id, "version": {"app": app, "sha": ""}, "answers": answers}
        assert self.post("/", body).status_code == 201
        old = self.live.get(id)
        established = old is not None and (old.established or old.day < self.today)
        kept = {name: ANSWERS[name][answer] for name, answer in answers.items()}
        kept = {name: value for name, value in kept.items() if value is not None}
        self.live[id] = LatestReport(app, self.today, established, kept)

    @rule(id=ids)
    def forget(self, id):
        assert self.post("/forget", {"id": id}).status_code == 204
        self.live.pop(id, None)

    @rule(hours=st.sampled_from([1, 2, 24, 48, 24 * 7, 24 * 8]))
    def stay_silent(self, hours):
        self.clock.shift(timedelta(hours=hours))
        live = self.live.items()
        self.live = {id: report for id, report in live if self.today <= report.day + RETENTION}

    @rule()
    def free(self):
        for name in ("", *(each.section for each in conf.questions)):
            (records().section(name) if name else records()).free_expired()

    @invariant()
    def the_statistics_agree_with_the_model(self):
        numbers = statistics(snapshot.current())
        reports = self.live.values()
        apps = [report.app for report in reports]
        assert numbers.instances == len(self.live)
        assert numbers.versions == {app: apps.count(app) for app in set(apps)}
        assert numbers.established == sum(report.established for report in reports)
        days = [report.day for report in reports]
        window = range(self.today - RETENTION, self.today + 1)
        assert [*numbers.last_reported.values()] == [days.count(day) for day in window]
        for name in QUESTIONS:
            given = [report.answers[name] for report in reports if name in report.answers]
            assert numbers.answers[name] == {value: given.count(value) for value in set(given)}
            assert numbers.answered[name] == len(given)
            assert numbers.others.answers[name] == 0
