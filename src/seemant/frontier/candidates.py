"""Candidates: everything measured about one subject, brought together from several artefacts.

Artefacts are joined by content: a probe whose model input has the hash of a variant's artefact
speaks of that variant, whatever the two are called. Where no hash tells, the subject's name does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from seemant.core.errors import BadFile
from seemant.core.jsonl import read_json
from seemant.core.manifest import Manifest, load_manifest
from seemant.core.measurement import Measurement
from seemant.core.refs import short_name
from seemant.core.stage import Input, Inputs
from seemant.frontier.origin import made_kinds
from seemant.frontier.readings import (
    CHOICE_ACCURACY,
    DECODE,
    DEPLOYED,
    FILE_BYTES,
    KLD,
    PEAK_RSS,
    RIGHT,
    TTFT,
    WEIGHTS,
    Reading,
    by_language,
    reading_of,
)
from seemant.frontier.scores import Margins, read_margins

_FACTS = (
    "name",
    "subject",
    "method",
    "format",
    "formats",
    "sparsity",
    "bits",
    "group",
    "symmetric",
    "embedding",
    "embedding_method",
    "container",
    "simulated",
    "torch_only",
    "on_reference_grid",
    "reference",
    "bits_per_weight_file",
    "file_bytes",
    "licence",
    "base",
    "adapter",
)


@dataclass(slots=True)
class Candidate:
    """One model as it could be deployed. None means: not measured.

    artefact: where it lies, "STAGE/ID" in the store, for variants. ref: how the user names the
    model, with `adapter` where one was laid over it; made_of: the content hashes of these two;
    kind: of reference that this model is, where what made it lies in the same store.
    variant: the facts of `variant.json`. kld (as deployed), kld_weights (in torch), choice, right
    (the share of its answers): readings a language; figures: of the bench, by metric; all with
    their intervals.
    """

    subject: str
    margins: Margins = field(default_factory=dict)
    file_bytes: float | None = None
    kld: dict[str, Reading] = field(default_factory=dict)
    kld_weights: dict[str, Reading] = field(default_factory=dict)
    choice: dict[str, Reading] = field(default_factory=dict)
    right: dict[str, Reading] = field(default_factory=dict)
    figures: dict[str, Reading] = field(default_factory=dict)
    artefact: str | None = None
    ref: str | None = None
    adapter: str | None = None
    made_of: tuple[str, str | None] | None = None
    kind: str | None = None
    variant: dict[str, Any] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether no file of this size exists that a runtime could load."""
        return bool(self.variant.get("simulated"))

    @property
    def decode_tokens_per_s(self) -> float | None:
        """Tokens a second of one stream."""
        return self._figure(DECODE)

    @property
    def ttft_ms(self) -> float | None:
        """Milliseconds to the first token."""
        return self._figure(TTFT)

    @property
    def peak_rss_bytes(self) -> float | None:
        """Resident memory at its peak."""
        return self._figure(PEAK_RSS)

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds for one token of the answer."""
        return 1000 / self.decode_tokens_per_s if self.decode_tokens_per_s else None

    @property
    def klds(self) -> dict[str, float]:
        """Divergence in each language, nats a token, as deployed.

        Of the weights alone where that is all that was measured; the runtime's own rounding comes
        on top of it.
        """
        known = self.kld or self.kld_weights
        return {lang: float(reading["value"]) for lang, reading in known.items()}

    def _figure(self, metric: str) -> float | None:
        reading = self.figures.get(metric)
        return float(reading["value"]) if reading else None


def gather(inputs: Inputs) -> list[Candidate]:
    """Return all candidates, sorted by subject.

    Raises:
        BadFile: an input is not a finished artefact, or two variants or two probes speak of
            one subject.
    """
    found: dict[str, Candidate] = {}
    by_hash: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for role, given, manifest in _artefacts(inputs, "variant"):
        facts = read_json(given.path / "variant.json")
        facts = {key: facts[key] for key in _FACTS if key in facts}
        subject = str(facts.get("subject") or _subject(manifest) or given.label)
        if by_hash.get(given.sha256) != subject and subject in by_hash.values():
            raise BadFile(
                f"two variants are called {subject!r}",
                where=str(given.path),
                fix="make one of them again with a name of its own (--name)",
            )
        candidate = found.setdefault(subject, Candidate(subject))
        candidate.variant = facts
        candidate.artefact = f"{manifest.stage}/{manifest.id}"
        file = next((f for f in manifest.files if f.path == "model.gguf"), None)
        candidate.file_bytes = float(facts.get("file_bytes", file.bytes)) if file else None
        by_hash[given.sha256] = subject
        for alias in (role, given.label, str(facts.get("name", ""))):
            aliases.setdefault(alias, subject)
    for _, given, manifest in _artefacts(inputs, "probe"):
        adapter = manifest.inputs.get("adapter")
        same = None if adapter else _joined(manifest, "model", by_hash)
        subject = same or _subject(manifest) or given.label
        candidate = found.setdefault(subject, Candidate(subject))
        if candidate.margins:
            raise BadFile(
                f"two probes speak of {subject!r}",
                where=str(given.path),
                fix="give the frontier one probe artefact a subject",
            )
        candidate.margins = read_margins(given.path)
        candidate.choice = by_language(manifest.measurements, CHOICE_ACCURACY)
        candidate.right = by_language(manifest.measurements, RIGHT)
        candidate.adapter = adapter.label if adapter else None
        if model := manifest.inputs.get("model"):
            candidate.ref = model.label
            candidate.made_of = (model.sha256, adapter.sha256 if adapter else None)
            candidate.kind = made_kinds(given.path.parents[1]).get(model.sha256)
    for _, _given, manifest in _artefacts(inputs, "divergence"):
        named = _joined(manifest, "variant", by_hash) or _subject(manifest)
        if named and (about := found.get(aliases.get(named, named))):
            about.kld = by_language(manifest.measurements, KLD, DEPLOYED)
            about.kld_weights = by_language(manifest.measurements, KLD, WEIGHTS)
    for given in benches(inputs):
        _add_bench(load_manifest(given.path), found, by_hash, aliases)
    return [found[subject] for subject in sorted(found)]


def benches(inputs: Inputs) -> list[Input]:
    """Return the benches among the inputs; of two that timed one candidate the later one counts."""
    return [given for role, given in sorted(inputs.items()) if role.partition("/")[0] == "bench"]


def _artefacts(inputs: Inputs, role: str) -> Iterator[tuple[str, Input, Manifest]]:
    for name, given in sorted(inputs.items()):
        if name.startswith(f"{role}/"):
            yield name.removeprefix(f"{role}/"), given, load_manifest(given.path)


def _joined(manifest: Manifest, role: str, by_hash: dict[str, str]) -> str | None:
    entry = manifest.inputs.get(role)
    return by_hash.get(entry.sha256) if entry else None


def _subject(manifest: Manifest) -> str | None:
    """Return what an artefact is about: its measurements say it, else its config does."""
    subjects = {m.subject for m in manifest.measurements}
    if len(subjects) == 1:
        return subjects.pop()
    named = manifest.config.get("subject")
    return str(named) if named else None


def _add_bench(
    manifest: Manifest,
    found: dict[str, Candidate],
    by_hash: dict[str, str],
    aliases: dict[str, str],
) -> None:
    names = dict(aliases)
    whole = {c.made_of: c.subject for c in found.values() if c.made_of}
    for role, entry in manifest.inputs.items():
        kind, _, name = role.partition("/")
        adapter = manifest.inputs.get(f"adapter/{name}")
        if kind != "variant":
            continue
        subject = by_hash.get(entry.sha256)
        if adapter or subject is None:
            subject = whole.get((entry.sha256, adapter.sha256 if adapter else None))
        if subject:
            short = short_name(entry.label) + ("+lora" if adapter else "")  # as the bench says it
            names |= dict.fromkeys((name, entry.label, short), subject)
    rows: dict[str, list[Measurement]] = {}
    for measurement in manifest.measurements:
        if measurement.origin == "measured":  # a prediction deploys nothing
            subject = measurement.subject
            rows.setdefault(subject if subject in found else names.get(subject, ""), []).append(
                measurement
            )
    for subject, measured in rows.items():
        if candidate := found.get(subject):
            for metric in (DECODE, TTFT, PEAK_RSS):
                if reading := reading_of(measured, metric):
                    candidate.figures[metric] = reading
            if candidate.file_bytes is None and (size := reading_of(measured, FILE_BYTES)):
                candidate.file_bytes = float(size["value"])
