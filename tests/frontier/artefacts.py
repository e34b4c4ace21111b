"""Small artefacts as other rooms would leave them, made by real stages that write given files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from seemant.core.config import Config
from seemant.core.hashing import text_sha256
from seemant.core.measurement import Measurement, exact, of_interval
from seemant.core.stage import Done, Input, Stage, execute
from seemant.stats.clusters import proportion


class AnyConfig(Config):
    """A config with whatever keys the test gives."""

    model_config = ConfigDict(frozen=True, extra="allow")


def artefact(
    store: Path,
    stage: str,
    files: Mapping[str, str | bytes],
    *,
    measurements: Sequence[Measurement] = (),
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Input] | None = None,
) -> Done:
    """Make one artefact that holds these files and measurements."""

    def run(config: AnyConfig, inputs: Mapping[str, Input], out: Path) -> list[Measurement]:
        for name, content in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                (out / name).write_bytes(content)
            else:
                (out / name).write_text(content, encoding="utf-8")
        return list(measurements)

    roles = dict.fromkeys(inputs or {}, "artefact")
    toy = Stage(name=stage, version=1, config=AnyConfig, run=run, roles=roles)
    told = repr((sorted(files.items()), list(measurements)))  # other content, another identity
    settings = AnyConfig.model_validate({**(config or {}), "content": text_sha256(told)})
    return execute(toy, settings, inputs or {}, store=store)


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def probe(
    store: Path,
    subject: str,
    margins: Mapping[str, Sequence[float | None]],
    inputs: Mapping[str, Input] | None = None,
    *,
    right: float | None = 1.0,
) -> Done:
    """A probe artefact: language -> one margin a family; right: the share of right answers."""
    rows = [
        {
            "probe_id": f"f{i}.{lang}",
            "family": f"f{i}",
            "lang": lang,
            "category": "facts",
            "pmi_margin": value,
        }
        for lang, values in margins.items()
        for i, value in enumerate(values)
    ]
    figures = [exact(subject, "answers", len(rows), "count")]
    for lang, values in margins.items() if right is not None else []:
        n = len(values)
        ones = [float(i < round((right or 0.0) * n)) for i in range(n)]
        share = proportion(ones, list(range(n)))
        figures.append(of_interval(subject, "accuracy", lang, share, {}, "share"))
    return artefact(
        store,
        "probe",
        {"scores.jsonl": lines(rows)},
        measurements=figures,
        config={"subject": subject},
        inputs=inputs,
    )


def variant(store: Path, subject: str, n_bytes: int, **facts: Any) -> Done:
    """A compressed variant; without bytes it has no file."""
    content = {"name": subject.rpartition("/")[2], "simulated": False, **facts}
    files: dict[str, str | bytes] = {"variant.json": json.dumps(content)}
    if n_bytes:
        files["model.gguf"] = b"\0" * n_bytes
    size = exact(subject, "bits_per_weight_file", 4.5, "bits")
    return artefact(store, "compress", files, measurements=[size], config={"subject": subject})


def divergence(store: Path, subject: str, kld: Mapping[str, float], of: Input) -> Done:
    """A divergence artefact: the deployed route's KLD a language."""
    measurements = [
        Measurement(
            subject=subject,
            metric="kld",
            lang=lang,
            value=value,
            unit="nats/token",
            ci_method="none: a test",
            n=1,
            conditions={"route": "deployed"},
        )
        for lang, value in kld.items()
    ]
    return artefact(
        store, "divergence", {"x": subject}, measurements=measurements, inputs={"variant": of}
    )


def bench(store: Path, figures: Mapping[str, tuple[float, float]], inputs: Any = None) -> Done:
    """A bench artefact: subject -> (tokens/s, peak bytes)."""
    measurements = [
        Measurement(
            subject=subject, metric=metric, value=value, unit=unit, ci_method="none: a test", n=3
        )
        for subject, (rate, rss) in figures.items()
        for metric, value, unit in (
            ("decode", rate, "tokens/s"),
            ("peak_rss", rss, "bytes"),
            ("ttft", 2e3 / rate, "ms"),
        )
    ]
    return artefact(
        store, "bench", {"x": str(sorted(figures))}, measurements=measurements, inputs=inputs
    )
