"""Config folders of the AI4ArtsEd DevServer, loaded as they are.

Art educators have written such folders for years. They are read by the description of their format;
what they say is put into the words of our own configs, and for each file it is told whether that
worked and what became of it. Nothing in these folders is ever executed or changed.
"""

from orchestrator.configs.predecessor.importing import Imported, read_folder
from orchestrator.configs.predecessor.reports import FileReport, Result

__all__ = ["FileReport", "Imported", "Result", "read_folder"]
