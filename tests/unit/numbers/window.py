"""A model of the window. Random reports, answers, erasures and tables must agree with it."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

import time_machine
from django.test import Client, override_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.cache import records
from collector.numbers import snapshot
from collector.numbers.stats import statistics

RETENTION = 7
QUESTIONS = {
    "database": {
        "what": "the thing",
        "why": "to know",
        "kind": "choice",
        "options": ["sqlite", "postgresql"],
    },
    "users": {"what": "the thing", "why": "to know", "kind": "number", "bounds": [2, 6]},
    "sso": {"what": "the thing", "why": "to know", "kind": "flag"},
}
CONFIG = {"version": 1, "questions": QUESTIONS}
LATER = {"database": QUESTIONS["database"] | {"options": ["oracle"]}, "users": QUESTIONS["sso"]}
ANSWERS = ['"sqlite"', '"oracle"', "1", "5", "6", "true", "false", "null"]  # in JSON
# Two tables, and by question the value as which each usable answer is read.
TABLES = [
    (
        CONFIG,
        {
            "database": {'"sqlite"': "sqlite", '"oracle"': "other"},
            "users": {"1": "0-1", "5": "2-5", "6": "6+"},
            "sso": {"true": "true", "false": "false"},
        },
    ),
    (
        {"version": 1, "questions": LATER},
        {
            "database": {'"sqlite"': "other", '"oracle"': "oracle"},
            "users": {"true": "true", "false": "false"},
        },
    ),
]


@dataclass
class LatestReport:
    app: str
    day: int
    established: bool


class Window(RuleBasedStateMachine):
    """Compares random reports, upgrades, answers, erasures and silence with a model of the window.

    The table of questions changes meanwhile. It begins in 2040, ahead of every real clock, so that
    a store expires nothing early.
    """

    settings: ClassVar = {}  # that choose the cache

    ids = st.integers(0, 7).map(lambda n: str(UUID(int=n)))
    apps = st.sampled_from(["1", "2", "3"])
    answers = st.dictionaries(st.sampled_from([*QUESTIONS]), st.sampled_from(ANSWERS))

    def __init__(self):
        super().__init__()
        self.travel = time_machine.travel(datetime(2040, 2, 25, 22, tzinfo=UTC), tick=False)
        self.clock = self.travel.start()
        self.settings_in_force = override_settings()
        self.settings_in_force.enable()
        self.use_table(TABLES[0])
        self.client = Client()
        records().clear()
        self.live = {}
        self.counted = Counter()  # answers of today
        self.published = None, Counter()  # the latest day that is over, and its answers

    def teardown(self):
        self.settings_in_force.disable()
        self.travel.stop()

    @rule(table=st.sampled_from(TABLES))
    def use_table(self, table):
        config, self.table = table
        self.settings_in_force.disable()
        self.settings_in_force = override_settings(HEADCOUNT_CONFIG_FILE=config, **self.settings)
        self.settings_in_force.enable()

    @property
    def today(self):
        return datetime.now(UTC).toordinal()

    def post(self, path, body):
        return self.client.post(path, json.dumps(body), "application/json")

    @rule(id=ids, app=apps, answers=answers)
    def report(self, id, app, answers):
        sent = {name: json.loads(answer) for name, answer in answers.items()}
        body = {"id": id, "version": {"app": app, "sha": ""}, "answers": sent}
        response = self.post("/", body)
        assert response.status_code == 201
        read = {name: self.table[name].get(answers[name]) for name in answers if name in self.table}
        assert response.json()["answers"] == read
        old = self.live.get(id)
        returned = old is not None and old.day < self.today
        self.live[id] = LatestReport(app, self.today, returned or bool(old and old.established))
        if returned:
            given = [(name, value) for name, value in read.items() if value is not None]
            self.counted.update([*given, *((name, None) for name, _ in given)])

    @rule(app=apps, answers=answers)
    def report_as_everybody(self, app, answers):
        for number in range(8):
            self.report(str(UUID(int=number)), app, answers)

    @rule(id=ids)
    def forget(self, id):
        assert self.post("/forget", {"id": id}).status_code == 204
        self.live.pop(id, None)

    @rule(hours=st.sampled_from([1, 2, 24, 48, 24 * 7, 24 * 8]))
    def stay_silent(self, hours):
        before = self.today
        self.clock.shift(timedelta(hours=hours))
        if self.today > before:
            self.published = date.fromordinal(before).isoformat(), self.counted
            self.counted = Counter()
        live = self.live.items()
        self.live = {id: report for id, report in live if self.today <= report.day + RETENTION}

    @rule()
    def free(self):
        records().expire()

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
        day, counted = self.published
        assert numbers.answers_day == day
        rounded = {
            (name, value): count // 5 * 5
            for (name, value), count in counted.items()
            if count >= 5 and value in (None, *self.table.get(name, {}).values())
        }
        assert numbers.answered == {
            name: n for (name, value), n in rounded.items() if not value and name in self.table
        }
        for name in numbers.answered:
            assert numbers.answers[name] == {
                value: n for (question, value), n in rounded.items() if question == name and value
            }
