"""The folder in which a campaign lives: labels as files, everything else in a database.

`workspace` is the face; `rounds` and `runs` hold what it does within one transaction; `labels` the label files,
`healing` what a crash may leave; `creation` makes and finds the folder; `tables`, `database` and `names` are below.
"""

from frugalseg.workspace.records import Drawn, Round, Run
from frugalseg.workspace.workspace import Workspace

__all__ = ["Drawn", "Round", "Run", "Workspace"]
