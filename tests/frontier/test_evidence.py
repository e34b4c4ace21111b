"""The evidence of a pick, and the command that serves it."""

from seemant.core.measurement import EXACT, Measurement
from seemant.frontier.evidence import evidence, serve_command
from seemant.frontier.readings import KLD, as_reading, by_language, reading_of


def figure(metric: str, value: float, unit: str, **more: object) -> Measurement:
    given = {"ci_low": value - 1, "ci_high": value + 1, "ci_method": "min-max of 3 runs", "n": 3}
    return Measurement.model_validate(
        {"subject": "m", "metric": metric, "value": value, "unit": unit} | given | more
    )


def test_evidence_keeps_intervals_methods_and_counts() -> None:
    kld = figure("kld", 2.0, "nats/token", lang="hi", n=640, n_clusters=10)
    choice = figure("choice_accuracy", 3.0, "share", lang="hi", n=43, n_clusters=43)
    decode = figure("decode", 81.0, "tokens/s")
    row = {
        "subject": "m",
        "quality": {},
        "file_bytes": 5.0,
        "readings": {
            "kld": {"hi": as_reading(kld)},
            "choice_accuracy": {"hi": as_reading(choice)},
            "decode": as_reading(decode),
        },
    }
    found = {m["metric"]: Measurement.model_validate(m) for m in evidence(row, ("hi", "kn"))}
    assert found["kld"] == kld
    assert found["choice_accuracy"] == choice
    assert found["decode"] == decode
    assert found["file_bytes"].ci_method == EXACT
    assert len(found) == 4


def test_readings_are_in_one_unit_with_their_ends() -> None:
    reading = as_reading(figure("ttft", 2.0, "s"))
    assert (reading["value"], reading["ci_low"], reading["ci_high"]) == (2000, 1000, 3000)


def test_several_measurements_of_one_metric_give_their_median_without_an_interval() -> None:
    found = reading_of([figure("decode", v, "tokens/s") for v in (3.0, 9.0, 5.0)], "decode")
    assert found is not None
    assert (found["value"], found["ci_low"], found["n"]) == (5.0, None, 9)
    assert found["ci_method"].startswith("none: ")
    assert reading_of([], "decode") is None


def test_a_language_has_the_reading_of_the_route_that_is_asked_for() -> None:
    given = [
        figure("kld", value, "nats/token", lang="hi", conditions={"route": route})
        for value, route in ((1.0, "weights"), (2.0, "deployed"))
    ]
    assert by_language(given, KLD, "deployed")["hi"]["value"] == 2.0
    assert by_language(given, KLD) == {}


def test_a_variant_is_served_from_the_store() -> None:
    row = {"artefact": "compress/0123456789ab", "ref": "q8", "adapter": None}
    assert serve_command(row) == ["seemant", "serve", "runs/compress/0123456789ab"]


def test_a_tuned_model_is_served_with_its_adapter() -> None:
    row = {"artefact": None, "ref": "embedded:gemma-3-270m", "adapter": "gemma"}
    command = ["seemant", "serve", "embedded:gemma-3-270m", "--adapter"]
    assert serve_command(row) == [*command, "gemma"]
    assert serve_command(row, "runs/quick/nodes") == [*command, "runs/quick/nodes/gemma"]


def test_a_model_without_a_reference_has_no_command() -> None:
    assert serve_command({"artefact": None, "ref": None, "adapter": None}) is None
