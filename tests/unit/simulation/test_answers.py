from collector.cache import records
from collector.config import read
from collector.numbers.snapshot import current
from collector.numbers.stats import statistics
from simulation.answers import counted
from simulation.fleet import Fleet
from simulation.playback import play
from tests.unit.numbers.window import CONFIG, QUESTIONS


def test_made_up_answers_have_all_values_and_some_are_missing():
    questions = read(CONFIG).questions
    fleet = [counted(questions, str(n)) for n in range(300)]
    for question in questions:
        answered = sum(f"{question.name}=" in each for each in fleet)
        assert 0 < answered < len(fleet)
        for value in question.values:
            assert any(f"{question.name}={value}" in each for each in fleet)


def test_a_made_up_past_has_answers(settings):
    settings.HEADCOUNT_CONFIG_FILE = CONFIG
    records().clear()
    play(Fleet(100, 3))
    numbers = statistics(current())
    assert 20 < numbers.answered["sso"] < numbers.instances
    assert [*numbers.answers] == [*QUESTIONS]
