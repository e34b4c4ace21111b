"""`seemant models`: the catalogue and the carriers of the embedded models."""

import json as jsonlib
from collections.abc import Mapping, Sequence

from cyclopts import App

from seemant.models.carriers import clean as clean_models
from seemant.models.carriers import fetch as fetch_model
from seemant.models.carriers import verify as verify_model
from seemant.models.catalogue import entries

app = App(name="models", help="The embedded models: list, fetch, verify, clean.")


@app.command(name="list")
def list_models(*, json: bool = False) -> None:
    """Show the models that come as packages: size, licence, languages, whether they are here.

    Example: seemant models list
    """
    rows = [
        {
            "model": f"embedded:{name}",
            "bytes": entry.size,
            "download_bytes": entry.download_size,
            "licence": entry.licence,
            "licence_url": entry.licence_url,
            "languages": list(entry.languages),
            "here": entry.path.is_file(),
            "note": entry.note,
        }
        for name, entry in entries().items()
    ]
    if json:
        print(jsonlib.dumps(rows, indent=2))
        return
    for row in rows:
        state = "here" if row["here"] else "missing: seemant models fetch"
        size = f"{float(str(row['bytes'])) / 1e6:.0f} MB"
        print(f"{row['model']}  {size}  {row['licence']}  {state}")
        print(f"    {row['note']}")


@app.command
def fetch(*names: str, json: bool = False) -> None:
    """Download the embedded models' carriers, check them against pinned hashes, assemble.

    Example: seemant models fetch

    Parameters
    ----------
    names
        Names of the catalogue, or an hf: reference; none means all of the catalogue.
    """
    from seemant.models.resolve import resolve

    rows: list[dict[str, object]] = []
    for name in names or tuple(entries()):
        if ":" in name:
            found = resolve(name, fetch=True)
            rows.append({"model": name, "path": str(found.path), "licence": found.licence})
        else:
            path, entry = fetch_model(name), entries()[name]
            licence = f"{entry.licence_name}, {entry.licence_url}"
            rows.append({"model": name, "path": str(path), "licence": licence, "bytes": entry.size})
    _show(rows, json=json)


@app.command
def verify(*names: str, json: bool = False) -> None:
    """Read the fetched models and hold them against their pinned hashes.

    Example: seemant models verify
    """
    chosen = names or tuple(entries())
    rows = [{"model": n, "path": str(verify_model(n)), "state": "whole"} for n in chosen]
    _show(rows, json=json)


@app.command
def clean(*names: str, json: bool = False) -> None:
    """Remove fetched models and what was expanded from them.

    Example: seemant models clean smollm2-135m-instruct
    """
    freed = sum(clean_models(name) for name in names) if names else clean_models()
    _show([{"model": " ".join(names) or "all", "freed_bytes": freed}], json=json)


def _show(rows: Sequence[Mapping[str, object]], *, json: bool) -> None:
    if json:
        print(jsonlib.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{key}: {value}" for key, value in row.items()))
