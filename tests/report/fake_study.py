"""A whole study as artefacts: plausible numbers and real texts, judged by the real rooms."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seemant.core.hashing import text_sha256
from seemant.core.measurement import Measurement, exact
from seemant.core.records import LANGUAGES, Probe
from seemant.core.stage import Input, execute
from seemant.frontier.config import FrontierConfig
from seemant.frontier.run import STAGE as FRONTIER
from seemant.probe.likelihood import AnswerNats
from seemant.probe.measures import measure
from seemant.probe.score import score_all
from seemant.probe.suites import choose, load_suite, study_queries
from tests.frontier.artefacts import artefact, lines

NEWS = {
    "hi": "नई दिल्ली: अधिकारियों ने मंगलवार को बताया कि योजना को मंजूरी दे दी गई है।",
    "kn": "ಬೆಂಗಳೂರು: ಯೋಜನೆಗೆ ಅನುಮೋದನೆ ನೀಡಲಾಗಿದೆ ಎಂದು ಅಧಿಕಾರಿಗಳು ಮಂಗಳವಾರ ತಿಳಿಸಿದ್ದಾರೆ.",
    "en": "NEW DELHI: Officials said on Tuesday that the scheme has been approved.",
}
# name, bits, group, symmetric, embedding, file MB, KLD of the weights a language, marks
VARIANTS: tuple[tuple[str, int, int | str, bool, str, float, dict[str, float], set[str]], ...] = (
    ("q8_0-g32", 8, 32, True, "q8_0", 285, {"hi": 0.004, "kn": 0.005, "en": 0.002}, set()),
    ("q4_0-g32", 4, 32, True, "q8_0", 235, {"hi": 0.62, "kn": 0.94, "en": 0.30}, set()),
    ("q4_1-g32", 4, 32, False, "q8_0", 241, {"hi": 0.41, "kn": 0.66, "en": 0.21}, {"grid"}),
    ("q4_0-g32-e4", 4, 32, True, "q4_0", 151, {"hi": 4.6, "kn": 5.3, "en": 0.41}, set()),
    ("int3-sym-g32", 3, 32, True, "q8_0", 235, {"hi": 3.1, "kn": 4.0, "en": 1.9}, {"simulated"}),
    (
        "int8-asym-channel",
        8,
        "channel",
        False,
        "q8_0",
        284,
        {"hi": 0.01, "kn": 0.02, "en": 0.01},
        {"simulated", "torch"},
    ),
)


def fake_study(store: Path, *, families: int | None = None) -> dict[str, Input]:
    """Return the inputs of the stage `report`, one a node."""
    return _Study(store, families).inputs


class _Study:
    def __init__(self, store: Path, families: int | None) -> None:
        self.store, self.inputs = store, dict[str, Input]()
        suite = load_suite()
        self.probes = choose(suite, LANGUAGES, families)
        self.study = study_queries(suite, LANGUAGES)
        self.random = np.random.default_rng(0)
        self._corpus()
        self._students()
        self._variants()
        self._end()

    def make(self, node: str, stage: str, files: Mapping[str, Any], **more: Any) -> Input:
        given = {role: self.inputs[name] for role, name in more.pop("needs", {}).items()}
        given |= more.pop("models", {})
        done = artefact(self.store, stage, files, inputs=given, **more)
        self.inputs[f"node/{node}"] = self.inputs[node] = done.as_input(node)
        return self.inputs[node]

    def _corpus(self) -> None:
        count = [exact("corpus", "paragraphs", 40, "count", lang=lang) for lang in LANGUAGES]
        self.make("corpus", "corpus", {"stats.json": "{}"}, measurements=count)
        pairs = [
            {
                "instruction": p.question,
                "output": p.accepted[0],
                "lang": p.lang,
                "id": p.id,
                "paragraph": NEWS[p.lang],
            }
            for p in self.probes
            if p.accepted
        ]
        dropped = [
            {
                "instruction": p.question,
                "output": NEWS[p.lang],
                "lang": p.lang,
                "reasons": ["support: 12% of the answer's words"],
            }
            for p in self.probes
        ]
        yields = [
            exact("gemma-3-270m", metric, n, "count", lang=lang, conditions={"reason": reason})
            for lang in LANGUAGES
            for metric, reason, n in (
                ("kept", "", 31),
                ("dropped", "support", 17),
                ("dropped", "question", 9),
                ("dropped", "duplicate", 4),
                ("dropped", "script", 2),
            )
        ]
        self.make(
            "distill",
            "distill",
            {
                "pairs.jsonl": lines(pairs),
                "dropped.jsonl": lines(dropped),
                "samples.json": json.dumps({"kept": pairs[:5], "dropped": dropped[-5:]}),
            },
            measurements=yields,
            config={"teacher": "embedded:gemma-3-270m", "seed": 7},
            needs={"paragraphs": "corpus"},
        )

    def _students(self) -> None:
        for short, name, langs, level in (
            ("gemma", "gemma-3-270m", LANGUAGES, 0.08),
            ("smol", "smollm2-135m-instruct", ("hi", "en"), 0.03),
        ):
            model = {"model": Input(Path("x"), f"embedded:{name}", text_sha256(name))}
            self._train(f"train-{short}", f"{name}+lora", model)
            self._probe(f"probe-{short}-base", name, langs, level, 0.75, models=model)
            self._probe(
                f"probe-{short}-tuned",
                f"{name}+lora",
                langs,
                level + 0.05,
                0.35,
                models=model,
                needs={"adapter": f"train-{short}", "before": f"probe-{short}-base"},
            )

    def _train(self, node: str, subject: str, model: dict[str, Input]) -> None:
        rows = [
            {
                "step": s,
                "loss": 1.2 + 2.1 * math.exp(-s / 14) + self.random.normal(0, 0.12),
                "heldout_loss": 1.5 + 2.0 * math.exp(-s / 16) if s % 10 == 0 else None,
            }
            for s in range(61)
        ]
        rows[0]["loss"] = None
        losses = [
            self._figure(subject, f"heldout_loss_{when}", value, "nats/token", None, 0.2)
            for when, value in (("before", 3.5), ("after", 1.55), ("change", -1.95))
        ]
        files = {
            "losses.jsonl": lines(rows),
            "adapter.gguf": b"\1" * 4000,
            "adapter/adapter_model.safetensors": b"\2" * 5000,
            "adapter/adapter_config.json": "{}",
        }
        self.make(
            node,
            "train",
            files,
            measurements=losses,
            needs={"pairs": "distill"},
            models=model,
            config={"seed": 7},
        )

    def _figure(
        self,
        subject: str,
        metric: str,
        value: float,
        unit: str,
        lang: str | None,
        half: float,
        **conditions: Any,
    ) -> Measurement:
        return Measurement(
            subject=subject,
            metric=metric,
            lang=lang,
            value=value,
            unit=unit,
            ci_low=value - half,
            ci_high=value + half,
            ci_method="cluster t, 95 %",
            n=40,
            n_clusters=40,
            conditions=conditions,
        )

    def _reply(self, probe: Probe, faults: float) -> str:
        roll = self.random.random()
        right = probe.accepted[0] if probe.accepted else NEWS[probe.lang]
        if roll > faults:
            return right
        other = {"hi": "kn", "kn": "en", "en": "hi"}[probe.lang]
        return (
            NEWS[probe.lang],
            f"{right}। {NEWS[probe.lang]}",
            f"{right[:6]} " * 9,
            probe.distractors[0] if probe.distractors else "",
            NEWS[other],
            "",
        )[int(roll / faults * 5.99)]

    def _probe(
        self,
        node: str,
        subject: str,
        langs: Sequence[str],
        level: float,
        faults: float,
        **more: Any,
    ) -> None:
        asked = [p for p in self.probes if p.lang in langs]
        known = {p.id: self._nats(level) for p in asked if p.accepted and p.distractors}
        earlier = more.get("needs", {}).get("before")
        files: dict[str, str] = {}
        scores = before = None
        for prefix, probes in (("", asked), ("study_", [p for p in self.study if p.lang in langs])):
            said = {p.id: self._reply(p, faults) for p in probes}
            then = self._earlier(earlier, f"{prefix}transcripts.jsonl")
            judged = score_all(
                probes, said, {} if prefix else known, before=then, untuned=earlier is None
            )
            files[f"{prefix}scores.jsonl"] = "".join(s.model_dump_json() + "\n" for s in judged)
            files[f"{prefix}transcripts.jsonl"] = lines(
                [self._transcript(p, subject, said[p.id], study=bool(prefix)) for p in probes]
            )
            if not prefix:
                scores = judged
        if earlier:
            from seemant.probe.score import load_before

            before = load_before(self.inputs[earlier].path).scores
        assert scores is not None
        figures = measure(scores, before, subject=subject, languages=langs, conditions={}, seed=0)
        self.make(
            node,
            "probe",
            files,
            measurements=figures,
            config={"subject": subject, "seed": 7},
            **more,
        )

    def _earlier(self, node: str | None, name: str) -> dict[str, str] | None:
        if node is None:
            return None
        text = (self.inputs[node].path / name).read_text(encoding="utf-8").splitlines()
        return {row["probe_id"]: row["output"] for row in map(json.loads, text)}

    def _nats(self, level: float) -> list[AnswerNats]:
        gap = self.random.normal(level, 0.22)
        return [AnswerNats("a", -10.0 + 10 * gap, -10.0, 10), AnswerNats("b", -10.0, -10.0, 10)]

    def _transcript(self, p: Probe, subject: str, said: str, *, study: bool) -> dict[str, Any]:
        sampling = (
            {"temperature": 0.3, "top_p": 0.9, "repetition_penalty": 1.1}
            if study
            else {"temperature": 0.0}
        )
        return {
            "probe_id": p.id,
            "lang": p.lang,
            "model": subject,
            "backend": "llamacpp",
            "template_hash": "9f3a62d1c07be845",
            "seed": 7,
            "question": p.question,
            "output": said,
            "system_prompt_hash": "51c0de8831aa90fe" if study else None,
            "sampling": {**sampling, "max_new_tokens": 32},
            "finish_reason": "stop" if len(said) < 60 else "length",
        }

    def _variants(self) -> None:
        base = "gemma-3-270m+lora"
        model = {"model": Input(Path("x"), "embedded:gemma-3-270m", text_sha256("gemma-3-270m"))}
        for name, bits, group, symmetric, embedding, megabytes, kld, marks in VARIANTS:
            subject = f"{base}/{name}"
            facts = {
                "name": name,
                "subject": subject,
                "method": "rtn",
                "bits": bits,
                "group": group,
                "symmetric": symmetric,
                "embedding": embedding,
                "simulated": "simulated" in marks,
                "torch_only": "torch" in marks,
                "on_reference_grid": "grid" in marks,
                "embedding_on_reference_grid": False,
                "file_bytes": megabytes * 1e6,
                "bits_per_weight_file": megabytes * 8 / 268,
                "licence": "gemma",
                "base": {"label": "embedded:gemma-3-270m", "sha256": "0" * 64},
                "tensors": {"blk.0.attn_q.weight": {"stored": "Q5_0", "container": "Q4_0"}},
            }
            files: dict[str, Any] = {"variant.json": json.dumps(facts)}
            if "torch" not in marks:
                files["model.gguf"] = b"\0" * int(megabytes * 1000)
            size = [exact(subject, "file_bytes", megabytes * 1e6, "bytes")]
            self.make(
                f"compress-{name}",
                "compress",
                files,
                measurements=size,
                models=model,
                needs={"adapter": "train-gemma"},
            )
            self._divergence(name, subject, kld, model, torch="torch" in marks)
            if not marks & {"simulated"}:
                level = 0.24 - 0.05 * sum(kld.values()) / 3
                self._probe(
                    f"probe-{name}",
                    f"compress-{name}",
                    LANGUAGES,
                    level,
                    0.4,
                    needs={"model": f"compress-{name}", "before": "probe-gemma-base"},
                )

    def _divergence(
        self,
        name: str,
        subject: str,
        kld: dict[str, float],
        model: dict[str, Input],
        *,
        torch: bool,
    ) -> None:
        price = {"hi": 0.04, "kn": 0.06, "en": 0.006}
        figures = []
        for lang, value in kld.items():
            routes = {"weights": value}
            if not torch:
                routes |= {"deployed": value + price[lang], "runtime": price[lang]}
            for route, v in routes.items():
                figures.append(
                    self._figure(subject, "kld", v, "nats/token", lang, v * 0.15, route=route)
                )
        self.make(
            f"divergence-{name}",
            "divergence",
            {"chunks.jsonl": name},
            measurements=figures,
            models=model,
            needs={"adapter": "train-gemma", "variant": f"compress-{name}", "paragraphs": "corpus"},
        )

    def _end(self) -> None:
        runnable = [v for v in VARIANTS if "torch" not in v[7]]
        figures = []
        sizes = {f"gemma-3-270m+lora/{v[0]}": v[5] for v in runnable}
        plain = {"gemma-3-270m": 253.0, "gemma-3-270m+lora": 255.0, "smollm2-135m-instruct": 98.0}
        for subject, megabytes in (sizes | plain).items():
            for metric, value, unit in (
                ("decode", 9000 / megabytes, "tokens/s"),
                ("ttft", megabytes * 1.1, "ms"),
                ("peak_rss", megabytes * 1e6 * 1.4, "bytes"),
                ("file_bytes", megabytes * 1e6, "bytes"),
            ):
                figures.append(
                    Measurement(
                        subject=subject,
                        metric=metric,
                        value=value,
                        unit=unit,
                        ci_low=value * 0.95,
                        ci_high=value * 1.04,
                        ci_method="range of 5 repetitions",
                        n=5,
                    )
                )
        figures.append(
            Measurement(
                subject="gemma-3-270m+lora/q4_0-g32",
                metric="decode",
                value=11.0,
                unit="tokens/s",
                ci_method="none: a prediction",
                n=1,
                origin="predicted",
                device="board-4gb",
                source="roofline, known error 40 %",
            )
        )
        price = {"hi": 0.04, "kn": 0.06, "en": 0.006}
        costs = [
            self._figure("gemma-3-270m", "kld", v, "nats/token", g, v / 5, route="deployed")
            for g, v in price.items()
        ]
        files = {"chunks.jsonl": ""}
        base = {"paragraphs": "corpus"}
        self.make("runtime-price", "divergence", files, measurements=costs, needs=base)
        needs = {f"variant/{v[0]}": f"compress-{v[0]}" for v in runnable}
        self.make("bench", "bench", {"runs.jsonl": ""}, measurements=figures, needs=needs)
        chosen = {name: given for name, given in self.inputs.items() if "/" not in name}
        given: dict[str, Input] = {"bench": chosen["bench"]}
        for name, each in chosen.items():
            kind = {"compress": "variant"}.get(name.partition("-")[0], name.partition("-")[0])
            if kind in ("probe", "divergence", "variant"):
                given[f"{kind}/{name}"] = each
        done = execute(FRONTIER, FrontierConfig(resamples=500), given, store=self.store)
        self.inputs["frontier"] = self.inputs["node/frontier"] = done.as_input("frontier")
        self._recommend()
        self.inputs = {role: i for role, i in self.inputs.items() if "/" in role}

    def _recommend(self) -> None:
        from seemant.frontier.recommend_config import RecommendConfig
        from seemant.frontier.recommend_run import STAGE

        config = RecommendConfig(resamples=500)
        done = execute(STAGE, config, {"frontier": self.inputs["frontier"]}, store=self.store)
        self.inputs["node/recommend"] = done.as_input("recommend")
