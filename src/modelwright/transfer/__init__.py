"""Studies move: between storages, into one another, to files and from other tools.

Whatever moves is read into a `StudySnapshot`, and written from one; a study that is written appears whole or
not at all.
"""

from __future__ import annotations

from modelwright.transfer.copying import copy_study
from modelwright.transfer.export import export_study
from modelwright.transfer.exported import is_exported_table, read_exported_table
from modelwright.transfer.files import FileSource
from modelwright.transfer.importing import import_study, read_lines_file
from modelwright.transfer.merging import Merged, merge_studies
from modelwright.transfer.results import read_results
from modelwright.transfer.snapshot import StudySnapshot, read_snapshot
from modelwright.transfer.trimming import TrimPlan, plan_trim, trim_study
from modelwright.transfer.writing import Written, write_snapshot

__all__ = [
    "FileSource",
    "Merged",
    "StudySnapshot",
    "TrimPlan",
    "Written",
    "copy_study",
    "export_study",
    "import_study",
    "is_exported_table",
    "merge_studies",
    "plan_trim",
    "read_exported_table",
    "read_lines_file",
    "read_results",
    "read_snapshot",
    "trim_study",
    "write_snapshot",
]
