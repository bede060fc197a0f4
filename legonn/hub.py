"""Modules on the Hugging Face Hub: `hf:owner/name`, or with `@revision` a branch, tag or commit of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from legonn.errors import ConfigError, reason
from legonn.module import CARD, DESCRIPTION, FILES, describe, read_description

__all__ = ["PREFIX", "fetch", "is_hub_name", "locate", "publish"]

PREFIX = "hf:"
FORM = f"{PREFIX}owner/name or {PREFIX}owner/name@revision"


def is_hub_name(spec: str | Path) -> bool:
    """Whether this names a module on the Hub, not a path."""
    return isinstance(spec, str) and spec.startswith(PREFIX)


def _split(spec: str) -> tuple[str, str | None]:
    name, _, revision = spec.removeprefix(PREFIX).partition("@")
    if not is_hub_name(spec) or name.count("/") != 1 or not all(name.split("/")):
        raise ConfigError(f"{spec} is no name on the Hub; it wants {FORM}")
    return name, revision or None


def locate(spec: str | Path) -> Path:
    """A path as it is; what is on the Hub, fetched."""
    return fetch(str(spec)) if is_hub_name(spec) else Path(spec)


def fetch(spec: str) -> Path:
    """Download a module, unless the Hub's cache has it.

    Parameters
    ----------
    spec : str
        hf:owner/name, hf:owner/name@revision.

    Returns
    -------
    Path
        Its folder in the cache of `huggingface_hub` (`$HF_HOME`), which also works without a network
        (`HF_HUB_OFFLINE=1`).

    Raises
    ------
    ConfigError
        If there is no such repository, revision or file; if it is private; if the Hub can't be reached.
    """
    name, revision = _split(spec)
    first = _download(spec, name, DESCRIPTION, revision)
    folder = first.parent
    # The folder of a snapshot is its commit: the other files come from the same one.
    for file in read_description(first)["files"]:
        _download(spec, name, file, folder.name)
    return folder


def _download(spec: str, name: str, file: str, revision: str | None) -> Path:
    import httpx
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except errors.GatedRepoError as error:
        raise ConfigError(
            f"{spec} is gated: accept its terms on the Hub, then `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ConfigError(
            f"{spec}: no such repository; if it is private, `hf auth login` first"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ConfigError(f"{spec}: the repository has no such revision") from error
    except errors.RemoteEntryNotFoundError as error:
        raise ConfigError(
            f"{spec} holds no {file}: it is no module of legonn, or damaged"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ConfigError(
            f"{spec}: {file} is not in the cache, and the Hub can't be reached: mind the network, HF_ENDPOINT and "
            f"HF_HUB_OFFLINE"
        ) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, httpx.HTTPError, OSError) as error:
        raise ConfigError(f"{spec}: {reason(error)}") from error


def publish(folder: Path, spec: str, *, private: bool = False, message: str = "") -> str:
    """Upload a module's folder, after checking it; what a module before it left under this name goes.

    Parameters
    ----------
    folder : Path
        A module's folder, not its one file: people read the card, and fetch what they need.
    spec : str
        hf:owner/name, made when it isn't there; with `@branch` to a branch of it that is there.
    private : bool
        Of a repository that is made.
    message : str
        Of the commit.

    Returns
    -------
    str
        hf:owner/name@commit: what to cite.

    Raises
    ------
    ConfigError
        If it is no module, or the Hub refuses.
    """
    import httpx
    from huggingface_hub import HfApi, errors

    if folder.is_file():
        raise ConfigError(f"{folder} is one file: publish its folder (legonn pack without --zip)")
    name, branch = _split(spec)
    document, _ = describe(folder)
    legal = {DESCRIPTION, CARD, *FILES}
    files = sorted(path.name for path in folder.iterdir() if path.name in legal)
    api: Any = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            revision=branch,
            allow_patterns=files,
            delete_patterns=list(FILES),  # those that aren't uploaded; a card and other files stay
            commit_message=message or f"{document['kind']} {folder.name}",
        )
    except errors.LocalTokenNotFoundError as error:
        raise ConfigError("the Hub doesn't know you: `hf auth login`, or set HF_TOKEN") from error
    except (errors.HfHubHTTPError, errors.HFValidationError, httpx.HTTPError, OSError) as error:
        raise ConfigError(f"{spec}: {reason(error)}") from error
    return f"{PREFIX}{name}@{commit.oid}"
