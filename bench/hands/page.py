"""The page of evidence that `python -m bench.hands` writes."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from bench.server.report import machine

PAGE = Path(__file__).parents[2] / "docs" / "evidence" / "hands.md"
TEXT = """# Commands by hand: folders of mixed files, and large sets

Written by `python -m bench.hands URL PID FOLDER` against `ganymede serve` with shipped bundles, {day}. {machine}.
Load average at the beginning {before:.1f}: where other work used the cores, too, the seconds are upper bounds.

## 200 files in three levels of folders

`bench/mixed_folder.py` writes them: 45 pictures of others (PNG, JPEG, WebP, GIF, BMP, TIFF), 124 save files (PNG, JPEG and
WebP, single and sheets, zip, npz, GIF walks, moving WebP, sharpened pictures), 7 with a wrong suffix, 20 broken ones (empty,
cut in the middle, text under a picture's name), 4 that are not meant (`.txt`, hidden). Each command ran with `-r`: once
through; once more; and, into another folder, interrupted by SIGINT when a third was done and gone on with.

| command | done | skipped | named | exit | s | again: done | skipped | named | exit | s | interrupted | gone on with |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
{folders}

The exit code is 1 for the files that are named at the end: a second run tries them again, and names them again. `info` and
`redo` look at 178 of the 200 files, the others at 168 (pictures only, no archives); what `info` has done is a row for each
recipe, so an archive has several, and it writes nothing that could be skipped.
Of `classify` and `features` it is compared which files have a row.

| found | now |
|---|---|
| `redo`: a zip or npz cut in the middle ended the whole command with a traceback | named at the end, as the others |
| `redo --source`: a source that cannot be read would have ended it, too | such a file is no source |
| `project`: a job's failure was printed as a Python dictionary | a sentence |
| an empty file "carries no recipe" | "is empty" |

## Sets of 20,000

`ganymede sample -m mnist-gan -n 20000 --seed 1 -o …` (28x28, grey): pictures a second; resident memory after a quarter and
three quarters of the time, MiB; and the same set interrupted by SIGINT in the middle and gone on with, compared byte by byte.

| | s | pictures/s | client | server | interrupted, gone on with |
|---|---|---|---|---|---|
{sets}

{large}
"""


def write_page(folders: Sequence[str], sets: Sequence[str], large: str, load: float) -> None:
    """Rows of both tables, the sentence on a large archive, and the load average at the beginning."""
    tables = {"folders": "\n".join(folders), "sets": "\n".join(sets), "large": large}
    PAGE.write_text(TEXT.format(day=datetime.date.today(), machine=machine(), before=load, **tables))
