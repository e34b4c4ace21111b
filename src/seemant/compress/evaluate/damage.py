"""The damage of a changed decoder against its reference, by language and chunk."""

from collections.abc import Iterable

from seemant.compress.evaluate.chunks import scored
from seemant.compress.evaluate.head import Head, divergence
from seemant.compress.evaluate.reference import Reference, run_marked
from seemant.compress.evaluate.replaced import first_changed
from seemant.compress.evaluate.scores import Scores
from seemant.models.decoder.decoder import Decoder
from seemant.probe.divergence import TokenDivergence


def damage(
    decoder: Decoder, reference: Reference, *, changed: Iterable[str] | None = None
) -> Scores:
    """Return the divergence at every scored token of the reference's chunks.

    changed: the GGUF names of all tensors that differ from the reference's; layers below the first
    of them are then not run where the reference has a mark above. None: everything is run.
    """
    names = None if changed is None else set(changed)
    layers = decoder.shape.layers
    first = 0 if names is None else first_changed(names, layers)
    start = max((layer for layer in reference.marks if layer <= first), default=0)
    head = Head.of(decoder)
    found: dict[str, list[TokenDivergence]] = {lang: [] for lang in reference.languages}
    for index, batch in enumerate(reference.batches):
        chunks = [reference.chunks[i] for i in batch]
        stream = reference.marks[start][index] if start else None
        _, states = run_marked(
            decoder, [ids for _, ids in chunks], set(), start=start, stream=stream
        )
        whole = divergence(
            reference.hidden[index], reference.head, states, head, reference.targets(batch)
        )
        at = 0
        for lang, ids in chunks:
            n = len(scored(len(ids)))
            found[lang].append(
                TokenDivergence(
                    *(
                        getattr(whole, name)[at : at + n].copy()
                        for name in ("kld", "top1", "dnll", "nll_ref")
                    )
                )
            )
            at += n
    return Scores({lang: tuple(each) for lang, each in found.items()})
