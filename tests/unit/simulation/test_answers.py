from collector.cache import records
from collector.numbers.snapshot import current
from collector.numbers.stats import statistics
from collector.questions import table
from simulation.answers import kept, made_up
from simulation.fleet import Fleet
from simulation.management.commands.simulate import body
from simulation.playback import play
from tests.unit.numbers.window import QUESTIONS

VERSION = {"app": "1", "image": None, "arch": None}


def test_the_answers_of_an_instance_are_always_the_same():
    questions = table(QUESTIONS)
    assert made_up(questions, "a") == made_up(questions, "a")
    assert len({repr(made_up(questions, str(n))) for n in range(50)}) > 10


def test_made_up_answers_have_all_values_and_some_are_missing():
    questions = table(QUESTIONS)
    fleet = [kept(questions, str(n)) for n in range(300)]
    for question in questions:
        given = [each[question.section] for each in fleet if question.section in each]
        assert set(given) == set(question.values)
        assert len(given) < len(fleet)


def test_a_simulated_report_has_answers_if_there_are_questions(settings):
    assert "answers" not in body("a", VERSION)
    settings.HEADCOUNT_QUESTIONS = QUESTIONS
    assert body("a", VERSION)["answers"] == made_up(table(QUESTIONS), "a")


def test_a_made_up_past_has_answers(settings):
    settings.HEADCOUNT_QUESTIONS = QUESTIONS
    records().clear()
    play(Fleet(100, 3))
    numbers = statistics(current())
    assert 50 < numbers.answered["sso"] < numbers.instances
    assert [*current().history.answers] == [*QUESTIONS]
