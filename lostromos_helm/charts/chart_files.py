"""Read the files of a chart from a folder or an archive, including the archives of its subcharts."""

from __future__ import annotations

import io
import os
import pathlib
import tarfile
from typing import TYPE_CHECKING, Final

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST: Final = 50_000_000
"""Maximum size of one chart in bytes."""
_VERSION_CONTROL: Final = frozenset({".git", ".hg", ".svn", ".bzr"})
_DEEPEST: Final = 5
"""Maximum depth of nested archives."""


def of(folder: pathlib.Path, without: pathlib.Path | None = None) -> Iterator[pathlib.Path]:
    """Yield all files below a folder, including hidden files, as Helm does; skip the folder ``without``.

    Version control folders and the duplicates in a mounted ConfigMap (``..data``) are skipped too.
    """
    skipped = without.resolve() if without else None
    for root, folders, files in os.walk(folder, followlinks=True):
        found = (name for name in folders if name not in _VERSION_CONTROL and not name.startswith(".."))
        folders[:] = [name for name in found if skipped is None or pathlib.Path(root, name).resolve() != skipped]
        yield from (pathlib.Path(root, name) for name in files)


def read(path: pathlib.Path) -> bytes:
    """Read a file; raises ConfigError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.ConfigError(f"chart: cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise errors.ConfigError(f"chart: {path} is larger than {LARGEST:,} bytes")
    return content


def read_all(folder: pathlib.Path, without: pathlib.Path | None = None) -> dict[str, bytes]:
    """Return all files of a folder by their relative names; skip the folder ``without``. Raises ConfigError."""
    found: dict[str, bytes] = {}
    size = 0
    for file in of(folder, without):
        content = found[file.relative_to(folder).as_posix()] = read(file)
        size += len(content)
        if size > LARGEST:
            raise errors.ConfigError(f"chart: {folder} is larger than {LARGEST:,} bytes")
    return found


def texts(path: pathlib.Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each wanted file of a chart, including its subcharts; raises ConfigError.

    A file in the archive of a subchart is named ``charts/sub-1.0.0.tgz/templates/a.yaml``.
    """
    if path.is_dir():
        for file in of(path):
            name = file.relative_to(path).as_posix()
            if _is_subchart(name):
                yield from _packed(read(file), f"{name}/", wanted, path)
            elif wanted(name):
                yield name, file.read_text(encoding="utf-8", errors="replace")
    else:
        yield from _packed(read(path), "", wanted, path)


def _packed(
    archive: bytes, prefix: str, wanted: Callable[[str], bool], path: pathlib.Path, depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Yield the files in an archive, without the chart's folder that begins their names."""
    left = LARGEST
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for member in opened:
                folder, _, inner = member.name.partition("/")
                name = f"{prefix}{inner}"
                left -= member.size
                if left < 0:
                    raise errors.ConfigError(f"chart: {path} is larger than {LARGEST:,} bytes when unpacked")
                if not folder or not member.isfile() or not (_is_subchart(inner) or wanted(name)):
                    continue
                content = opened.extractfile(member)
                data = content.read() if content else b""
                if not _is_subchart(inner):
                    yield name, data.decode(errors="replace")
                elif depth < _DEEPEST:
                    yield from _packed(data, f"{name}/", wanted, path, depth + 1)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise errors.ConfigError(f"chart: {path} is not a readable archive: {error}") from error


def _is_subchart(name: str) -> bool:
    return name.endswith(".tgz") and pathlib.PurePosixPath(name).parent.name == "charts"
