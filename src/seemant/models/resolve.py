"""From a model reference to files on this disk, with their licence and languages."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from seemant.core.errors import BadFile, Offline, UnknownModel, nearest
from seemant.core.folder import refuse_unfinished
from seemant.core.jsonl import read_json
from seemant.core.os_errors import from_os_error
from seemant.core.records import LANGUAGES, Lang
from seemant.core.refs import SCHEMES, ModelRef, parse_ref, short_name
from seemant.models.carriers import embedded_name
from seemant.models.carriers import fetch as fetch_carriers
from seemant.models.catalogue import MODEL_NAME, Entry, entries, entry_of

Kind = Literal["gguf", "hf", "config"]
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "tokenizer*", "LICENSE*", "NOTICE*"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on this disk.

    ref: the reference as written. path: a GGUF file, an HF folder (of `locate`), or (kind
        "config") the `config.json` of an architecture without weights.
    licence: None where nobody says. subject: how tables call it.
    adapter: the PEFT folder that belongs on top, for a train artefact.
    """

    ref: str
    path: Path
    kind: Kind
    licence: str | None
    languages: tuple[Lang, ...]
    subject: str
    adapter: Path | None = None


def resolve(ref: str, *, fetch: bool = False) -> ModelFile:
    """Return the file that a reference names; with `fetch`, downloaded where it is missing.

    A Hugging Face folder is read as the GGUF file that is made of it, once (`converted.py`).

    Raises:
        UnknownModel, BadFile, Offline: as `locate`, or a folder that no GGUF file can say.
    """
    found = locate(ref, fetch=fetch)
    if found.kind != "hf":
        return found
    from seemant.models.converted import converted

    return replace(found, path=converted(found.path, found.subject), kind="gguf")


def locate(ref: str, *, fetch: bool = False) -> ModelFile:
    """Return the files that a reference names, a folder as it stands.

    Raises:
        UnknownModel: it names nothing, or a model that only a server holds.
        BadFile: the files are damaged, missing, no model, or of a run that is not finished.
        Offline: they cannot be fetched.
    """
    parsed = parse_ref(ref)
    if parsed.scheme == "embedded":
        return _embedded(ref, entry_of(parsed.name), fetch)
    if parsed.scheme == "hf":
        return _hub(ref, parsed, fetch)
    if parsed.scheme == "path":
        return _path(ref, Path(parsed.name))
    if parsed.scheme == "run":
        return _run(ref, Path(parsed.name), fetch)
    if parsed.scheme == "config":
        return _config(ref, parsed.name)
    raise UnknownModel(
        f"{ref} is held by a server: it has no files here",
        fix="name a model with files: embedded:, hf:, path: or run:",
    )


def languages_of(ref: str) -> tuple[Lang, ...]:
    """Return the languages that a model carries, by its catalogue entry; all where it has none."""
    scheme, _, name = ref.partition(":")
    known = entries()
    return known[name].languages if scheme == "embedded" and name in known else LANGUAGES


def weights_in(path: Path) -> Path:
    """Return the model file meant by a path: `model.gguf` inside an artefact, else itself.

    Raises:
        BadFile: an artefact whose run is not finished.
    """
    refuse_unfinished(path)
    return path / MODEL_NAME if (path / MODEL_NAME).is_file() else path


def config_names() -> dict[str, Path]:
    """Return the architectures that ship as a configuration without weights, by Hub name."""
    folder = Path(__file__).parent / "configs"
    return {path.stem.replace("--", "/"): path for path in sorted(folder.glob("*.json"))}


def _embedded(ref: str, entry: Entry, fetch: bool) -> ModelFile:
    if fetch:
        fetch_carriers(entry)
    if not entry.path.is_file():
        raise BadFile(
            f"{entry.name} is not in the cache yet (download: {entry.download_size / 1e6:.0f} MB)",
            where=str(entry.folder),
            fix=f"seemant models fetch {entry.name}",
        )
    if (size := entry.path.stat().st_size) != entry.size:
        raise BadFile(
            f"{entry.name} is damaged: {size} bytes instead of {entry.size}",
            where=str(entry.path),
            fix=f"seemant models fetch {entry.name}",
        )
    return ModelFile(ref, entry.path, "gguf", entry.licence, entry.languages, entry.name)


def _path(ref: str, path: Path) -> ModelFile:
    name = embedded_name(path)
    languages = entries()[name].languages if name else LANGUAGES
    subject = name or short_name(ref)
    if path.is_dir():
        from seemant.models.hf_config import family_of_config
        from seemant.models.hf_folder import read_config, told_of, weight_files

        refuse_unfinished(path)
        if (path / MODEL_NAME).is_file():
            return _path(ref, path / MODEL_NAME)
        with told_of(path):
            family_of_config(read_config(path))
        weight_files(path)
        return ModelFile(ref, path, "hf", None, languages, subject)
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.hf_config import family_of_file

    file = open_gguf(path)
    metadata = file.metadata
    if metadata.get("general.type", "model") != "model":
        raise BadFile(
            f"the file holds no model but an {metadata['general.type']}",
            where=str(path),
            fix="name the base model; an adapter is given with --adapter",
        )
    family_of_file(file)
    licence = metadata.get("general.license")
    if name is None and (said := metadata.get("general.languages")):
        languages = tuple(lang for lang in LANGUAGES if lang in said) or languages
    return ModelFile(ref, path, "gguf", licence, languages, subject)


def _run(ref: str, folder: Path, fetch: bool) -> ModelFile:
    if not folder.is_dir():
        raise BadFile("no such artefact", where=str(folder), fix="seemant study status")
    refuse_unfinished(folder)
    student = folder / "student.json"
    if student.is_file():
        facts = read_json(student)
        base = locate(str(facts["base"]), fetch=fetch)
        languages = tuple(lang for lang in LANGUAGES if lang in facts.get("languages", LANGUAGES))
        subject = str(facts.get("subject") or f"{base.subject}+lora")
        return ModelFile(
            ref, base.path, base.kind, base.licence, languages, subject, folder / "adapter"
        )
    path = folder / MODEL_NAME
    if not path.is_file():
        raise BadFile(
            f"the artefact holds neither {MODEL_NAME} nor student.json",
            where=str(folder),
            fix="name the artefact of a train, compress or export stage",
        )
    found = _path(ref, path)
    variant = read_json(folder / "variant.json") if (folder / "variant.json").is_file() else {}
    return ModelFile(
        ref,
        path,
        "gguf",
        variant.get("licence") or found.licence,
        found.languages,
        str(variant.get("subject") or variant.get("name") or short_name(ref)),
    )


def _config(ref: str, name: str) -> ModelFile:
    known = config_names()
    if name not in known:
        raise UnknownModel(f"no configuration of {name!r} ships here", fix=nearest(name, known))
    return ModelFile(ref, known[name], "config", None, LANGUAGES, f"{name} (random weights)")


def _hub(ref: str, parsed: ModelRef, fetch: bool) -> ModelFile:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": parsed.revision, "allow_patterns": _HUB_FILES}
    try:
        folder = snapshot_download(parsed.name, local_files_only=True, **wanted)
    except HFValidationError as error:
        raise UnknownModel(
            f"no name of a Hub model: {ref!r}", fix=f"write {SCHEMES['hf']}"
        ) from error
    except (LocalEntryNotFoundError, FileNotFoundError):
        if not fetch:
            raise BadFile(
                f"{parsed.name} is not in the Hub's cache on this machine",
                fix=f"seemant models fetch {ref}",
            ) from None
        try:
            folder = snapshot_download(parsed.name, **wanted)
        except HfHubHTTPError as error:
            raise UnknownModel(
                f"the Hub does not give {parsed.name}: {_first_line(error)}",
                fix="check the name, and `hf auth login` for a gated model",
            ) from error
        except OSError as error:
            raise (from_os_error(error) if error.errno else _offline(parsed, error)) from error
        except Exception as error:  # the Hub's client passes on its HTTP library's own errors
            raise _offline(parsed, error) from error
    found = _path(ref, Path(folder))
    return ModelFile(ref, found.path, "hf", found.licence, LANGUAGES, short_name(ref))


def _offline(parsed: ModelRef, error: Exception) -> Offline:
    return Offline(
        f"{parsed.name} cannot be downloaded: {_first_line(error)}",
        where="https://huggingface.co",
        fix="connect to the network, then run it again: whole files are kept",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
