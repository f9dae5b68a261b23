"""The parts of a verified bundle, read one by one: versions, encoder, models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from modelwright._base import jsonform
from modelwright.automl.bundle.manifest import ENCODER_FILE, SCHEMA_FILE, Manifest
from modelwright.automl.data import Encoder, Schema
from modelwright.automl.models import Model, load_model
from modelwright.errors import BundleError, DataError, ModelwrightError

__all__ = ["check_versions", "read_encoder", "read_model"]

# Their files are read by our own code or in a format that promises to stay readable.
_NOT_COMPARED = frozenset({"python", "modelwright", "safetensors"})


def check_versions(versions: Mapping[str, str]) -> None:
    """Refuse a bundle of another major version of a library that is installed here.

    Raises
    ------
    BundleError
        ``E_VERSION``.
    """
    for name, then in versions.items():
        if name in _NOT_COMPARED:
            continue
        try:
            now = version(name)
        except PackageNotFoundError:
            continue  # the model that needs it says which extra brings it
        if now.partition(".")[0] != then.partition(".")[0]:
            raise BundleError(
                f"the bundle was written with {name} {then}, but {now} is installed.",
                hint=f'Install "{name}=={then}", or load it all the same with force=True (--force); '
                "its predictions may then differ.",
                code="E_VERSION",
            )


def read_model(folder: Path) -> Model:
    """Load one fold's model.

    Raises
    ------
    BundleError
        Its files make no model, or one that may not be loaded.
    """
    try:
        return load_model(folder)
    except ModelwrightError:
        raise
    except Exception as error:  # each library has errors of its own for a damaged file
        raise BundleError(
            f"the model in {'/'.join(folder.parts[-3:])!r} of the bundle cannot be loaded: {error}",
            hint="Copy the bundle again from where it was written.",
            code="E_MODEL_FORMAT",
        ) from error


def read_encoder(folder: Path, manifest: Manifest) -> Encoder:
    """Read schema and encoder, and check that they and the manifest speak of the same table.

    Raises
    ------
    BundleError
        ``E_SCHEMA_MISMATCH``.
    """
    try:
        schema = Schema.from_json(jsonform.loads((folder / SCHEMA_FILE).read_bytes()))
        encoder = Encoder.from_json(jsonform.loads((folder / ENCODER_FILE).read_bytes()))
    except (DataError, ValueError, RecursionError) as error:
        raise BundleError(
            f"the bundle's description of its table cannot be read: {error}",
            hint="Copy the bundle again from where it was written.",
            code="E_SCHEMA_MISMATCH",
        ) from None
    told = (manifest.target, manifest.task, manifest.classes)
    if encoder.schema != schema or told != (schema.target, schema.task, schema.classes):
        raise BundleError(
            "the bundle's manifest, schema and encoder do not speak of the same table.",
            hint="Copy the bundle again from where it was written.",
            code="E_SCHEMA_MISMATCH",
        )
    return encoder
