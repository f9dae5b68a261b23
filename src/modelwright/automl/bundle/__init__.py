"""A saved model: a folder of plain files that says what it is and predicts what the run predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright.automl.bundle.manifest import FileEntry, Manifest, Member
from modelwright.automl.bundle.publish import current_version, locate, new_version, publish, version_folder
from modelwright.automl.bundle.verify import verify
from modelwright.automl.bundle.write import MemberSource, write_bundle

if TYPE_CHECKING:
    from modelwright.automl.bundle.load import Bundle
    from modelwright.automl.bundle.predictions import predict_file

__all__ = [
    "Bundle",
    "FileEntry",
    "Manifest",
    "Member",
    "MemberSource",
    "current_version",
    "locate",
    "new_version",
    "predict_file",
    "publish",
    "verify",
    "version_folder",
    "write_bundle",
]

# These need pandas, which a process that only writes or moves bundles does not.
__getattr__ = lazy_names(
    __name__,
    {"Bundle": "load", "predict_file": "predictions"},
)
