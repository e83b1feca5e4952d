"""The catalogue of finding codes: every observation the grader can make, in one place.

A code is stable: it appears in reports, in CI annotations and in docs/findings.md, and a course
may refer to it years later. `found` is the only way to make a `Finding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grader.frozen import frozen
from grader.model import Fault, Finding, Place, Severity


@frozen
class Entry:
    """What the catalogue knows of a code: title for a table, severity, fault, what to do next."""

    title: str
    severity: Severity
    hint: str
    fault: Fault = Fault.STUDENT


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CATALOGUE: dict[str, Entry] = {
    # ---- zip: the archive itself (stages/inspect_zip.py, stages/unpack.py)
    "zip.name": Entry(
        "The zip is not called as the assignment says",
        _WARNING,
        "rename the zip; the grade is not affected, but the course finds you by this name",
    ),
    "zip.unreadable": Entry(
        "The file cannot be read",
        _ERROR,
        "give the person who grades the right to read the file, then run the command again",
        Fault.GRADER,
    ),
    "zip.not-a-zip": Entry(
        "Not a zip archive",
        _ERROR,
        "make a zip (renaming another archive does not turn it into one): `make submit`, or "
        "`zip -r NAME.zip FILES`, or on Windows Send to > Compressed (zipped) folder",
    ),
    "zip.archive-too-large": Entry(
        "The zip is larger than allowed",
        _ERROR,
        "leave out data sets, old checkpoints and environments",
        Fault.LIMIT,
    ),
    "zip.truncated": Entry(
        "A part of the zip is missing",
        _ERROR,
        "the upload or download broke off, or the disk was full: make the zip again, test it with "
        "`unzip -t`, upload it again",
    ),
    "zip.empty": Entry("No file in the zip", _ERROR, "zip the files of the submission"),
    "zip.several-end-records": Entry(
        "Two archives in one: programs differ in what they see",
        _ERROR,
        "make a new zip from the files themselves",
    ),
    "zip.hidden-entries": Entry(
        "Members that only some programs see",
        _ERROR,
        "make a new zip from the files themselves instead of changing an old one",
    ),
    "zip.multi-disk": Entry(
        "One part of an archive in several parts",
        _ERROR,
        "make one zip in one piece: switch off splitting into volumes",
    ),
    "zip.zip64-lies": Entry(
        "The zip contradicts itself about its sizes (zip64)",
        _ERROR,
        "make a new zip with another program",
    ),
    "zip.directory-malformed": Entry(
        "The zip's table of contents is damaged", _ERROR, "make the zip again and upload it again"
    ),
    "zip.extra-malformed": Entry(
        "The zip's extra fields are damaged", _ERROR, "make a new zip with another program"
    ),
    "zip.header-mismatch": Entry(
        "A member contradicts the zip's table of contents",
        _ERROR,
        "make a new zip from the files themselves; this one looks different to different programs",
    ),
    "zip.descriptor-lies": Entry(
        "The record after a member contradicts the zip's table of contents",
        _ERROR,
        "make a new zip from the files themselves; this one looks different to different programs",
    ),
    "zip.overlap": Entry(
        "Members share bytes, as in a zip bomb", _ERROR, "make a new zip from the files themselves"
    ),
    "zip.size-lie": Entry(
        "A member is longer or shorter than the zip says",
        _ERROR,
        "make the zip again and upload it again",
    ),
    "zip.hidden-data": Entry(
        "Bytes hidden behind a member's data", _ERROR, "make a new zip from the files themselves"
    ),
    "zip.crc-mismatch": Entry(
        "A member is damaged",
        _ERROR,
        "make the zip again, test it with `unzip -t`, upload it again",
    ),
    "zip.corrupt-data": Entry(
        "A member's compressed data are damaged",
        _ERROR,
        "make the zip again, test it with `unzip -t`, upload it again",
    ),
    "zip.prefix-data": Entry(
        "Other bytes before the zip begins",
        _WARNING,
        "submit a plain zip, not a self-extracting program or a combined file",
    ),
    "zip.trailing-data": Entry(
        "Other bytes after the zip ends",
        _WARNING,
        "make the zip again; the upload or an editor has added to it",
    ),
    "zip.trailing-padding": Entry(
        "Blank bytes after the zip ends", _NOTE, "nothing to do; some programs and uploads add them"
    ),
    "zip.unused-bytes": Entry(
        "Bytes inside the zip that belong to no member",
        _WARNING,
        "make a new zip instead of deleting members from an old one",
    ),
    "zip.encrypted": Entry(
        "Protected by a password", _ERROR, "make the zip again without a password"
    ),
    "zip.method-unsupported": Entry(
        "A compression that not every program can read",
        _ERROR,
        "choose the method Deflate (the usual one) or Store when making the zip",
    ),
    "zip.too-many-members": Entry(
        "More files than allowed",
        _ERROR,
        "leave out data sets, environments (venv, node_modules) and .git",
        Fault.LIMIT,
    ),
    "zip.member-too-large": Entry(
        "A file larger than allowed",
        _ERROR,
        "leave out data sets; save the weights alone, without the optimiser's state",
        Fault.LIMIT,
    ),
    "zip.too-large": Entry(
        "Unpacks to more than is allowed",
        _ERROR,
        "leave out data sets, old checkpoints and environments",
        Fault.LIMIT,
    ),
    "zip.ratio": Entry(
        "Unpacks to suspiciously much, as a zip bomb does",
        _ERROR,
        "leave out files that hold nothing but one repeated value",
        Fault.LIMIT,
    ),
    "zip.nested-archive": Entry(
        "An archive inside the zip",
        _WARNING,
        "put the files themselves into the zip: archives inside it are not opened",
    ),
    "zip.link": Entry(
        "A link instead of a file",
        _ERROR,
        "put the file itself in its place (without zip's option -y)",
    ),
    "zip.device": Entry(
        "A pipe, socket or device instead of a file", _ERROR, "leave it out of the zip"
    ),
    "zip.special-mode": Entry(
        "A file with special rights", _NOTE, "nothing to do: the rights in the zip are not used"
    ),
    "zip.kind-mismatch": Entry(
        "A folder by one record, a file by another",
        _ERROR,
        "make a new zip with another program",
    ),
    "zip.folder-with-data": Entry(
        "A folder with contents of its own", _ERROR, "make a new zip with another program"
    ),
    "zip.name-encoding": Entry(
        "A name that is not valid UTF-8", _ERROR, "rename the file, best with plain letters"
    ),
    "zip.name-legacy": Entry(
        "A name that does not say how it is encoded",
        _NOTE,
        "use plain letters (a-z, 0-9, _) in file names that your code opens",
    ),
    "zip.unicode-path-mismatch": Entry(
        "A member with two different names",
        _ERROR,
        "rename the file with plain letters and zip again",
    ),
    "zip.name-empty": Entry("A member without a name", _ERROR, "make a new zip"),
    "zip.name-nul": Entry("A NUL character in a name", _ERROR, "rename the file"),
    "zip.name-control": Entry("Control characters in a name", _ERROR, "rename the file"),
    "zip.name-bidi": Entry(
        "A name that reads otherwise than it is",
        _ERROR,
        "rename the file without characters that change the direction of reading",
    ),
    "zip.name-invisible": Entry("Invisible characters in a name", _ERROR, "rename the file"),
    "zip.name-untidy": Entry(
        "Names that had to be tidied",
        _NOTE,
        "nothing to do: ./ and double slashes were dropped, accents were composed",
    ),
    "zip.name-too-long": Entry("A name that is too long", _ERROR, "shorten the name"),
    "zip.too-deep": Entry(
        "Folders nested too deeply", _ERROR, "zip the files from within their folder", Fault.LIMIT
    ),
    "zip.traversal": Entry(
        "A path that leads outside the submission",
        _ERROR,
        "zip from within the folder, so that no path holds `..`",
    ),
    "zip.absolute-path": Entry(
        "An absolute path", _ERROR, "zip from within the folder, so that no path starts with /"
    ),
    "zip.drive-path": Entry(
        "A path on a Windows drive", _ERROR, "zip from within the folder, without full paths"
    ),
    "zip.unc-path": Entry(
        "A path on a network share", _ERROR, "zip from within the folder, without full paths"
    ),
    "zip.backslash": Entry(
        "A backslash in a name", _ERROR, "rename the file, or zip it with another program"
    ),
    "zip.windows-separators": Entry(
        "Backslashes between folders",
        _WARNING,
        "old PowerShell writes such zips: use Explorer's Send to > Compressed (zipped) folder, or "
        "a newer PowerShell",
    ),
    "zip.windows-name": Entry(
        "A name that no file on Windows can have", _WARNING, "rename the file"
    ),
    "zip.trailing-dot-or-space": Entry(
        "A name that ends in a dot or a space", _WARNING, "rename the file"
    ),
    "zip.not-portable": Entry(
        "A name that cannot be unpacked on Windows", _NOTE, 'avoid < > : " | ? * in names'
    ),
    "zip.duplicate-name": Entry(
        "A name that is in the zip twice",
        _ERROR,
        "make a new zip: programs differ in which of the two they unpack",
    ),
    "zip.case-collision": Entry(
        "Names that differ only in capitals",
        _ERROR,
        "rename one of them: on Windows and macOS one replaces the other",
    ),
    "zip.unicode-collision": Entry(
        "Names that are one and the same to some systems",
        _ERROR,
        "rename one of them, best with plain letters",
    ),
    "zip.windows-collision": Entry(
        "Names that are one and the same on Windows", _ERROR, "rename one of them"
    ),
    "zip.file-folder-conflict": Entry(
        "One name for a file and a folder", _ERROR, "rename one of them and make a new zip"
    ),
    "zip.junk": Entry(
        "Leftovers of the operating system or of Python",
        _NOTE,
        "nothing to do: they are ignored; `make submit` leaves them out",
    ),
    # ---- layout: which files there are (stages/check_layout.py)
    "layout.violates-schema": Entry(
        "Not as the assignment's schema wants it",
        _WARNING,
        "compare the file with the assignment's text",
    ),
    "layout.missing-file": Entry(
        "A required file is missing",
        _ERROR,
        "put it into the top level of the zip under exactly this name",
    ),
    "layout.no-checkpoint": Entry(
        "No trained weights in the zip",
        _WARNING,
        "put the file that train.py writes into the zip, so that your own training is graded",
    ),
    "layout.missing-optional": Entry(
        "An optional file is missing", _NOTE, "put it into the zip if you have made it"
    ),
    "layout.other-name": Entry(
        "A file under another name", _NOTE, "rename it to what the assignment asks for"
    ),
    "layout.several-candidates": Entry(
        "Several files could play one role",
        _WARNING,
        "keep one, under the name that the assignment asks for",
    ),
    "layout.wrapping-folder": Entry(
        "Everything lies in one folder",
        _NOTE,
        "zip the files themselves, not the folder that holds them",
    ),
    "layout.version-control": Entry(
        "Version control in the zip", _WARNING, "leave .git out: `grader pack` does"
    ),
    "layout.caches": Entry(
        "Caches in the zip", _NOTE, "leave generated files out: `grader pack` does"
    ),
    "layout.environment": Entry(
        "An installed environment in the zip",
        _WARNING,
        "leave installed packages out; the course's machine has the allowed ones",
    ),
    "layout.editor-files": Entry(
        "Editor or desktop files in the zip", _NOTE, "leave them out: `grader pack` does"
    ),
    "layout.notebook": Entry(
        "A notebook in the zip",
        _WARNING,
        "move its code into Python files: a notebook is neither read nor run",
    ),
    "layout.huge-source": Entry(
        "A very large Python file", _WARNING, "data does not belong into a Python file"
    ),
    "layout.dataset": Entry(
        "A data set in the zip", _WARNING, "leave the images out; the course has them"
    ),
    # ---- source: what the code says (stages/check_source.py)
    "source.syntax": Entry(
        "Python cannot read the file",
        _ERROR,
        "correct the line; `python -m py_compile FILE` shows the same fault",
    ),
    "source.syntax-unused": Entry(
        "A file that no script needs is not Python",
        _NOTE,
        "leave files that are not needed out of the zip",
    ),
    "source.not-read": Entry(
        "A Python file was not checked",
        _WARNING,
        "keep source files small and plain; put data into data files",
    ),
    "source.forbidden-import": Entry(
        "A library that the assignment forbids",
        _ERROR,
        "implement it yourself, with the libraries that the assignment allows",
    ),
    "source.forbidden-call": Entry(
        "A call that the assignment forbids",
        _ERROR,
        "implement it yourself, with the libraries that the assignment allows",
    ),
    "source.forbidden-unused": Entry(
        "Something forbidden in code that is not run",
        _WARNING,
        "remove the code, or leave the file out of the zip",
    ),
    "source.network": Entry(
        "The program uses a network",
        _WARNING,
        "put everything that is needed into the zip: the course's machine has no network",
    ),
    "source.subprocess": Entry(
        "The program starts other programs",
        _WARNING,
        "do it in Python, in the same process",
    ),
    "source.pretrained": Entry(
        "Weights that were trained elsewhere",
        _ERROR,
        "build the network without them (weights=None) and train it from scratch",
    ),
    "source.unknown-import": Entry(
        "A library that the assignment does not name",
        _WARNING,
        "do without it: the course's machine may not have it",
    ),
    "source.missing-local-module": Entry(
        "A module that is not in the zip",
        _ERROR,
        "put the file into the zip; `grader pack` finds every module that is imported",
    ),
    "source.missing-conditional-module": Entry(
        "A module that only some runs import is not in the zip",
        _WARNING,
        "put the file into the zip if the course's run may come to this line",
    ),
    "source.relative-import": Entry(
        "A relative import outside a package",
        _ERROR,
        "drop the leading dot: files beside a script are imported by their plain name",
    ),
    "source.dynamic-import": Entry(
        "A module whose name is computed",
        _NOTE,
        "import modules by name, so that the check can tell you what is missing",
    ),
    "source.opens-missing-file": Entry(
        "The program opens a file that is not in the zip",
        _ERROR,
        "put the file into the zip, beside the script",
    ),
    "source.may-lack-file": Entry(
        "The program may need a file that is not in the zip",
        _WARNING,
        "put the file into the zip, unless the program makes it itself before it opens it",
    ),
    "source.absolute-path": Entry(
        "A path of the author's machine",
        _WARNING,
        "take folders from the command line, or from the script's own folder (__file__)",
    ),
    "source.hardcoded-cuda": Entry(
        "A GPU is taken for granted",
        _WARNING,
        'use torch.device("cuda" if torch.cuda.is_available() else "cpu") everywhere',
    ),
    "source.argv-at-import": Entry(
        "A module reads the command line while it is imported",
        _WARNING,
        'move it below `if __name__ == "__main__":`, or into a function',
    ),
    # ---- run: how a command behaved (stages/run_cases.py)
    "run.wall-time": Entry(
        "Stopped by the time limit",
        _ERROR,
        "make it faster: predict in batches, compute nothing twice; what was written until then "
        "is graded",
        Fault.LIMIT,
    ),
    "run.cpu-time": Entry(
        "Stopped by the limit on processor time",
        _ERROR,
        "make it faster: predict in batches, compute nothing twice",
        Fault.LIMIT,
    ),
    "run.output": Entry(
        "Stopped because it printed too much",
        _ERROR,
        "print a line per epoch, not a line per image",
        Fault.LIMIT,
    ),
    "run.other-arguments": Entry(
        "Arguments in another form",
        _NOTE,
        "take the arguments exactly as the assignment writes them",
    ),
    "run.not-run": Entry(
        "Not run: its script is missing", _ERROR, "put the script into the top level of the zip"
    ),
    "run.no-checkpoint": Entry(
        "Not run: there are no trained weights",
        _ERROR,
        "put the file that train.py writes into the zip",
    ),
    "run.no-output": Entry(
        "Wrote nothing that is asked for",
        _ERROR,
        "write the files into the working directory, under the names of the assignment",
    ),
    "run.refused-output": Entry(
        "An output that was not taken",
        _WARNING,
        "write plain files of a reasonable size: no links, pipes or devices",
    ),
    "run.missing-file": Entry(
        "The program opens a file that is not there",
        _ERROR,
        "put the file into the zip, beside the script",
    ),
    "run.missing-module": Entry(
        "The program imports a module that is not there",
        _ERROR,
        "put the file into the zip, or do without the library",
    ),
    "run.usage": Entry(
        "The program refuses its arguments",
        _ERROR,
        "take the arguments as the assignment gives them",
    ),
    "run.expects-class-folders": Entry(
        "The program expects class folders",
        _ERROR,
        "the folder of test images holds only images",
    ),
    "run.state-dict-mismatch": Entry(
        "The checkpoint does not fit the network",
        _ERROR,
        "evaluate the network that was trained: same classes, filters and names",
    ),
    "run.whole-module-checkpoint": Entry(
        "The checkpoint holds more than weights",
        _ERROR,
        "save the weights only: torch.save(model.state_dict(), path)",
    ),
    "run.unreadable-checkpoint": Entry(
        "The checkpoint cannot be read",
        _ERROR,
        "check that the file was saved and copied completely",
    ),
    "run.cuda": Entry(
        "The program needs a GPU",
        _ERROR,
        'use torch.device("cuda" if torch.cuda.is_available() else "cpu"), also as map_location',
    ),
    "run.memory": Entry(
        "Not enough memory",
        _ERROR,
        "work on smaller batches, and under torch.no_grad() where no gradient is needed",
        Fault.LIMIT,
    ),
    "run.disk": Entry(
        "The disk that a run may use is full",
        _ERROR,
        "write only what the assignment asks for",
        Fault.LIMIT,
    ),
    "run.processes": Entry(
        "Too many processes or threads",
        _ERROR,
        "use num_workers=0 or a small number",
        Fault.LIMIT,
    ),
    "run.read-only": Entry(
        "The program writes where it may only read",
        _ERROR,
        "write to the current working directory",
    ),
    "run.file-or-folder": Entry(
        "A file is taken for a folder, or a folder for a file",
        _ERROR,
        "check the order of the arguments",
    ),
    "run.network": Entry(
        "The program wants to use a network",
        _ERROR,
        "put everything that is needed into the zip",
    ),
    "run.asks-for-input": Entry(
        "The program waits for somebody to type",
        _ERROR,
        "take everything from the command line",
    ),
    "run.needs-display": Entry(
        "The program wants to open a window",
        _ERROR,
        "write figures to files",
    ),
    "run.no-images": Entry(
        "The program found no images",
        _ERROR,
        "list the folder that was given, and accept every suffix in it",
    ),
    "run.unreadable-image": Entry(
        "The program uses an image that it could not read",
        _ERROR,
        "check what is read before using it",
    ),
    "run.key-error": Entry(
        "The program looks up something that is not there",
        _ERROR,
        "print the keys that are there, and compare",
    ),
    "run.shapes": Entry(
        "The program combines arrays whose shapes do not fit",
        _ERROR,
        "resize every image before stacking or the network",
    ),
    "run.killed": Entry(
        "The program was ended by a signal",
        _ERROR,
        "run the same command on your machine, in an empty folder with the zip unpacked",
    ),
    "run.exit-code": Entry(
        "The program ended with an error and no traceback",
        _ERROR,
        "let exceptions through: a traceback says where it happened",
    ),
    "run.crash": Entry(
        "The program stopped with an exception",
        _ERROR,
        "run the same command on your machine, in an empty folder with the zip unpacked",
    ),
    "run.unreadable-json": Entry(
        "A JSON output cannot be read",
        _ERROR,
        "write it with json.dump: one JSON document, UTF-8, no NaN",
    ),
    # ---- labels: submission.csv (readers/labels_csv.py, stages/collect.py)
    "labels.missing-file": Entry(
        "No label file",
        _ERROR,
        "write it to the current working directory, with one row per image",
    ),
    "labels.other-place": Entry(
        "The label file lies elsewhere or has another name",
        _NOTE,
        "write it under the name and in the place that the assignment gives",
    ),
    "labels.refused": Entry(
        "The label file is not opened, or not read to its end",
        _ERROR,
        "write a regular file with one short row per image",
    ),
    "labels.unreadable": Entry(
        "The label file is no table of text",
        _ERROR,
        "write a CSV file: `image_name,label`, then one row per image",
    ),
    "labels.no-rows": Entry(
        "The label file holds no row for any image", _ERROR, "write one row per image"
    ),
    "labels.encoding": Entry(
        "Not UTF-8", _NOTE, 'open the file with encoding="utf-8" when writing it'
    ),
    "labels.byte-order-mark": Entry(
        "A byte-order mark before the first column", _NOTE, 'write it with encoding="utf-8"'
    ),
    "labels.nul-bytes": Entry(
        "NUL characters in the text", _WARNING, "write the file as text, not as padded bytes"
    ),
    "labels.delimiter": Entry(
        "Columns are not separated by commas", _NOTE, "separate the columns by commas"
    ),
    "labels.malformed-quotes": Entry(
        "A quotation mark is never closed",
        _WARNING,
        "write the file with Python's csv module, which quotes where it is needed",
    ),
    "labels.no-header": Entry(
        "No header line", _NOTE, "begin the file with the line `image_name,label`"
    ),
    "labels.header-names": Entry(
        "The columns have other names", _NOTE, "name the columns image_name and label"
    ),
    "labels.swapped-columns": Entry(
        "Names and labels stand in each other's column",
        _WARNING,
        "write the image's name under image_name and the class under label",
    ),
    "labels.column-order": Entry(
        "The columns stand in another order", _NOTE, "write image_name first, then label"
    ),
    "labels.extra-columns": Entry(
        "More columns than were asked for",
        _NOTE,
        "write the two columns only (with pandas: index=False)",
    ),
    "labels.blank-lines": Entry(
        "Blank lines between the rows", _NOTE, 'open the file with newline="" when writing it'
    ),
    "labels.short-rows": Entry(
        "Rows with too few columns", _WARNING, "every row needs the image's name and a label"
    ),
    "labels.too-many-rows": Entry("Far more rows than images", _WARNING, "write one row per image"),
    "labels.paths": Entry("Paths instead of image names", _NOTE, "write os.path.basename(path)"),
    "labels.other-suffix": Entry(
        "Image names without their suffix, or with another",
        _NOTE,
        "write the image's name as it is in the folder, suffix included",
    ),
    "labels.name-spelling": Entry(
        "Image names in another spelling",
        _NOTE,
        "write the image's name exactly as it is in the folder",
    ),
    "labels.duplicate-rows": Entry(
        "An image has the same row more than once", _NOTE, "write one row per image"
    ),
    "labels.contradicting-rows": Entry(
        "An image has rows with different labels: the first one counts",
        _WARNING,
        "write one row per image",
    ),
    "labels.extra-rows": Entry(
        "Rows for images that do not exist",
        _WARNING,
        "write rows for the files in the given folder only",
    ),
    "labels.missing-rows": Entry(
        "Images without a row: they count as wrong",
        _WARNING,
        "write a row for every image in the given folder, whatever its suffix",
    ),
    "labels.index-labels": Entry(
        "Class numbers instead of class names",
        _WARNING,
        "write the class's name, as the folder of the training set is called",
    ),
    "labels.label-spelling": Entry(
        "Class names in another spelling",
        _NOTE,
        "write the class's name exactly as the folder of the training set is called",
    ),
    "labels.unknown-labels": Entry(
        "Labels that are no class: they count as wrong",
        _WARNING,
        "write the class's name, as the folder of the training set is called",
    ),
    "labels.empty-labels": Entry(
        "Rows without a label: they count as wrong", _WARNING, "write a label for every image"
    ),
    "labels.formula": Entry(
        "Text that a spreadsheet would run as a formula",
        _WARNING,
        "let no field begin with =, +, - or @",
    ),
    # ---- mask: seg_maps/ (readers/mask_image.py, stages/collect.py)
    "mask.missing-folder": Entry(
        "No folder of masks",
        _ERROR,
        "write one mask per image into the folder that the assignment names, in the current "
        "working directory",
    ),
    "mask.other-place": Entry(
        "The masks lie elsewhere",
        _NOTE,
        "write the masks into the folder that the assignment names",
    ),
    "mask.missing": Entry(
        "Images without a mask: their IoU counts as 0",
        _WARNING,
        "write a mask for every image in the given folder, whatever its suffix",
    ),
    "mask.extra": Entry(
        "Files that belong to no image", _NOTE, "name each mask as its image and write nothing else"
    ),
    "mask.duplicate": Entry(
        "More than one mask for an image", _WARNING, "write one mask per image, named as its image"
    ),
    "mask.other-suffix": Entry(
        "Masks with another suffix than their images",
        _NOTE,
        "name each mask exactly as its image",
    ),
    "mask.other-name": Entry(
        "Masks whose names only contain their image's",
        _NOTE,
        "name each mask exactly as its image",
    ),
    "mask.empty-file": Entry(
        "Mask files without a byte: their IoU counts as 0",
        _WARNING,
        "check that writing the mask succeeded (cv2.imwrite returns False where it did not)",
    ),
    "mask.not-an-image": Entry(
        "Mask files of no known image format: their IoU counts as 0",
        _WARNING,
        "write PNG or JPEG files, with cv2.imwrite or PIL's Image.save",
    ),
    "mask.damaged": Entry(
        "Mask files that are cut short or damaged: their IoU counts as 0",
        _WARNING,
        "close every file; do not end the program while it is still writing",
    ),
    "mask.too-large": Entry(
        "Masks too large to be decoded: their IoU counts as 0",
        _WARNING,
        "write each mask in the size of its image",
    ),
    "mask.unsupported": Entry(
        "Mask files in a form that is not read: their IoU counts as 0",
        _WARNING,
        "write 8-bit grey PNG or JPEG files",
    ),
    "mask.decoder-stopped": Entry(
        "Masks that the decoder could not get through: their IoU counts as 0",
        _WARNING,
        "write 8-bit grey PNG or JPEG files, with cv2.imwrite or PIL's Image.save",
        Fault.LIMIT,
    ),
    "mask.size-mismatch": Entry(
        "Masks of another size than their images",
        _WARNING,
        "resize each mask to the size of its image (nearest neighbour) before writing it",
    ),
    "mask.renamed-format": Entry(
        "Mask files whose content is not what their suffix says",
        _NOTE,
        "let the suffix choose the format, or convert the file instead of renaming it",
    ),
    "mask.no-end-marker": Entry(
        "Mask files without their end; all pixels are there",
        _NOTE,
        "close every file; do not end the program while it is still writing",
    ),
    "mask.zero-one": Entry(
        "Masks with the values 0 and 1", _NOTE, "write 0 and 255, so that the masks can be seen"
    ),
    "mask.low-contrast": Entry(
        "Masks with two or more values, none of them above the threshold",
        _WARNING,
        "write 255 for the foreground and 0 for the background",
    ),
    "mask.not-binary": Entry(
        "Masks of many grey levels: a heatmap rather than a mask",
        _WARNING,
        "threshold the heatmap yourself: 255 for the foreground, 0 for the background",
    ),
    "mask.wrap-around": Entry(
        "Masks with the value 254: 255 + 255 in uint8",
        _NOTE,
        "join masks with np.logical_or or np.maximum instead of adding them",
    ),
    "mask.sixteen-bit": Entry(
        "Masks of more than 8 bits", _NOTE, "write uint8 arrays of 0 and 255"
    ),
    "mask.palette": Entry("Masks with a palette", _NOTE, "write 8-bit grey files of 0 and 255"),
    "mask.colours": Entry(
        "Masks in colours: their luminance was taken",
        _NOTE,
        "write one grey channel: 255 for the foreground, 0 for the background",
    ),
    "mask.alpha": Entry(
        "Masks with transparency", _NOTE, "write one grey channel without transparency"
    ),
    "mask.array": Entry(
        "NumPy arrays instead of images", _NOTE, "write image files, with cv2.imwrite or Image.save"
    ),
    "mask.animated": Entry(
        "Masks of several frames: the first was taken", _NOTE, "write one image per file"
    ),
    "mask.inverted": Entry(
        "Foreground and background look exchanged",
        _WARNING,
        "write 255 where the object is and 0 where the background is",
    ),
    "mask.turned": Entry(
        "The masks fit much better when turned or mirrored",
        _WARNING,
        "check the order of height and width where the mask is made",
    ),
    # ---- checkpoint: the weights (stages/load_checkpoint.py, networks/)
    "checkpoint.empty": Entry(
        "The checkpoint has no bytes",
        _ERROR,
        "copy the file again; check that the disk was not full when it was saved",
    ),
    "checkpoint.other-format": Entry(
        "The checkpoint is no file that torch.save wrote",
        _ERROR,
        "save the weights with torch.save(model.state_dict(), 'resnet_model.pth')",
    ),
    "checkpoint.damaged": Entry(
        "The checkpoint is cut short or damaged",
        _ERROR,
        "copy the file again and try torch.load(path, weights_only=True) on the copy",
    ),
    "checkpoint.too-large": Entry(
        "The checkpoint takes more than a checkpoint may",
        _ERROR,
        "save nothing but model.state_dict(): no optimiser, no data, no activations",
        Fault.LIMIT,
    ),
    "checkpoint.limit": Entry(
        "Opening the checkpoint met a limit of the sandbox",
        _ERROR,
        "save nothing but model.state_dict(): no optimiser, no data, no activations",
        Fault.LIMIT,
    ),
    "checkpoint.loader-stopped": Entry(
        "The checkpoint made the program that opens it stop",
        _ERROR,
        "save the weights with torch.save(model.state_dict(), 'resnet_model.pth')",
    ),
    "checkpoint.torchscript": Entry(
        "The checkpoint is a TorchScript program",
        _ERROR,
        "save the weights, not the program: torch.save(model.state_dict(), 'resnet_model.pth') "
        "with the model as it was before torch.jit",
    ),
    "checkpoint.torch-export": Entry(
        "The checkpoint is an exported program",
        _ERROR,
        "save the weights, not the program: torch.save(model.state_dict(), 'resnet_model.pth') "
        "with the model as it was before torch.export",
    ),
    "checkpoint.torch-package": Entry(
        "The checkpoint is a package with code",
        _ERROR,
        "save the weights alone: torch.save(model.state_dict(), 'resnet_model.pth')",
    ),
    "checkpoint.no-weights": Entry(
        "The checkpoint holds no tensors",
        _ERROR,
        "save the weights with torch.save(model.state_dict(), 'resnet_model.pth')",
    ),
    "checkpoint.refused-tensor": Entry(
        "A tensor that is not read",
        _ERROR,
        "save dense float32 tensors: {k: v.cpu().float() for k, v in model.state_dict().items()}",
    ),
    "checkpoint.checksum": Entry(
        "A record of the checkpoint does not have its checksum",
        _WARNING,
        "copy the file again: some bytes are not those that were written",
    ),
    "checkpoint.whole-module": Entry(
        "The checkpoint is a whole pickled module; its tensors were read without running it",
        _NOTE,
        "save torch.save(model.state_dict(), 'resnet_model.pth'): a pickled module only loads "
        "where its class is defined, and loading it runs code",
    ),
    "checkpoint.extra-classes": Entry(
        "The checkpoint pickles objects of other classes; they were passed over",
        _NOTE,
        "save nothing but model.state_dict(), numbers and text",
    ),
    "checkpoint.wrapped": Entry(
        "The weights lie inside something else",
        _NOTE,
        "save the bare state_dict: torch.save(model.state_dict(), 'resnet_model.pth')",
    ),
    "checkpoint.left-out": Entry(
        "Tensors beside the weights were left out",
        _NOTE,
        "save nothing but model.state_dict()",
    ),
    "checkpoint.other-type": Entry(
        "The weights are not float32; they were evaluated in float32",
        _NOTE,
        "save float32 weights unless your evaluate.py converts them",
    ),
    "checkpoint.not-finite": Entry(
        "Weights that are NaN or infinite",
        _ERROR,
        "the training diverged: lower the learning rate, and keep the checkpoint of the best epoch",
    ),
    "checkpoint.integer-weights": Entry(
        "Weights that are whole numbers",
        _ERROR,
        "save the float32 weights, before any quantisation",
    ),
    "checkpoint.constant-weights": Entry(
        "Weights without any variation",
        _WARNING,
        "check the initialisation, and that the trained model is the one that is saved",
    ),
    "checkpoint.untrained": Entry(
        "The weights look untrained",
        _WARNING,
        "save the checkpoint after training, from the model that was trained",
    ),
    "checkpoint.not-a-resnet": Entry(
        "The tensors are not those of a 6n+2 residual network",
        _WARNING,
        "a first convolution, stages of n blocks of two convolutions each, a mean pool and one "
        "output layer: see section 4.2 of the ResNet paper",
    ),
    "checkpoint.wrong-depth": Entry(
        "Another number of layers than the assignment asks for",
        _WARNING,
        "6n+2 layers: three stages of n blocks of two convolutions",
    ),
    "checkpoint.wrong-width": Entry(
        "Other numbers of filters than the assignment asks for",
        _WARNING,
        "give each stage the number of filters that the assignment names",
    ),
    "checkpoint.wrong-kernel": Entry(
        "Another filter size than the assignment asks for",
        _WARNING,
        "use the filter size of the assignment in every convolution but a shortcut's projection",
    ),
    "checkpoint.wrong-classes": Entry(
        "Another number of outputs than there are classes",
        _WARNING,
        "the output layer has one unit for each class",
    ),
    "checkpoint.wrong-input": Entry(
        "Another number of input channels than the images have",
        _WARNING,
        "the first convolution takes the three channels of an RGB image",
    ),
    "checkpoint.wrong-shortcut": Entry(
        "Another kind of shortcut than the assignment allows",
        _WARNING,
        "use the same allowed kind of shortcut wherever the size changes",
    ),
    "checkpoint.wrong-norm": Entry(
        "Another normalisation than the assignment asks for",
        _WARNING,
        "put the assignment's normalisation after each convolution",
    ),
    "checkpoint.no-statistics": Entry(
        "Batch normalisation without its running statistics",
        _WARNING,
        "keep the running mean and variance as buffers (register_buffer), so that they are saved",
    ),
    "checkpoint.mixed-norm": Entry(
        "Several kinds of normalisation in one network",
        _WARNING,
        "use one kind of normalisation throughout",
    ),
    "checkpoint.missing-norm": Entry(
        "Convolutions without a normalisation beside others that have one",
        _WARNING,
        "put a normalisation after each convolution",
    ),
    "checkpoint.bare-shortcut": Entry(
        "Projections in shortcuts without a normalisation",
        _NOTE,
        "the ResNet paper has a normalisation after each convolution, projections included",
    ),
    "checkpoint.pre-activation": Entry(
        "Normalisation before the convolutions instead of after them",
        _WARNING,
        "put the normalisation right after each convolution and before the activation",
    ),
    "checkpoint.extra-tensors": Entry(
        "Tensors that a 6n+2 residual network does not have",
        _WARNING,
        "remove the layers that the assignment does not name",
    ),
    "checkpoint.ambiguous-order": Entry(
        "The order of the convolutions cannot be told",
        _WARNING,
        "save model.state_dict() as it is: its order and its names say which layer is which",
    ),
    "checkpoint.not-evaluated": Entry(
        "The checkpoint was not evaluated independently",
        _NOTE,
        "the findings about the checkpoint say why",
    ),
    "checkpoint.disagrees": Entry(
        "The predictions are not those of the checkpoint",
        _WARNING,
        "hand in the very checkpoint that made the predictions, and preprocess as in training",
    ),
    "checkpoint.class-order": Entry(
        "The network's outputs stand in another order than the assignment's classes",
        _NOTE,
        "number the classes in the assignment's order, or save their names beside the weights",
    ),
    "checkpoint.training-mode": Entry(
        "The predictions look as if the network was in training mode",
        _WARNING,
        "call model.eval() before predicting",
    ),
    "checkpoint.norm-told-by-behaviour": Entry(
        "Only the predictions tell which normalisation this is",
        _NOTE,
        "save the name of the normalisation beside the weights",
    ),
    # ---- result: what the numbers say together (stages/measure.py)
    "result.not-measured": Entry(
        "The truth has nothing to measure this against",
        _NOTE,
        "the course has to give labels (--labels) or masks (--gt)",
        Fault.GRADER,
    ),
    "result.below-baseline": Entry(
        "Not above what is reached without looking at the image",
        _WARNING,
        "check preprocessing, class order and model.eval() against the training code",
    ),
    "result.constant-labels": Entry(
        "Every image got the same label",
        _WARNING,
        "check that the checkpoint is loaded and that the input is normalised as in training",
    ),
    "result.class-order": Entry(
        "The labels fit much better in another order of the classes",
        _WARNING,
        "save the class names with the checkpoint, in the order of the network's outputs",
    ),
    "result.shifted-rows": Entry(
        "The labels fit much better one row further",
        _WARNING,
        "keep each name together with its prediction instead of joining two lists afterwards",
    ),
    "result.identical-masks": Entry(
        "Every image got the same mask",
        _WARNING,
        "check that each mask is computed from its own image",
    ),
    "result.empty-masks": Entry(
        "Masks without any foreground",
        _WARNING,
        "check the threshold, and that the foreground is written as 255",
    ),
    "result.full-masks": Entry(
        "Masks without any background",
        _WARNING,
        "check the threshold, and that the background is written as 0",
    ),
    "result.printed-accuracy": Entry(
        "The accuracy that the program prints is not what its files give",
        _WARNING,
        "print what is computed from the images of this very run, or nothing",
    ),
    "result.wrong-class-order": Entry(
        "The checkpoint is right, but its outputs are named in another order",
        _WARNING,
        "name the outputs in the order of training: sorted class folders, saved with the weights",
    ),
    # ---- result, of the probe: for a person to look at, never a mark (stages/probe.py)
    "result.probe-disagrees": Entry(
        "The answers are lost when the images are renamed and re-encoded",
        _WARNING,
        "a question for a person, not a verdict: read the code and ask the student; no mark "
        "was changed",
    ),
    "result.probe-mirrored": Entry(
        "The answers are lost when the images are mirrored",
        _NOTE,
        "a network that never saw mirrored images may lose them too: compare with the evaluation "
        "of the checkpoint before asking the student",
    ),
    "result.probe-failed": Entry(
        "The program ended differently on the varied images",
        _NOTE,
        "look at how it ended; it may rest on names or on a format, or have been close to a limit",
    ),
    "result.answers-vary": Entry(
        "The program gives other answers each time it runs",
        _NOTE,
        "call model.eval() before predicting, and fix every seed",
    ),
    # ---- result, of experiments and layers that are run by themselves (stages/run_probes.py, …)
    "result.layer-absent": Entry(
        "A layer that has to be written is not there",
        _ERROR,
        "write the class into the file that the assignment names; its name has to say what it is",
    ),
    "result.layer-stopped": Entry(
        "The layers could not be run by themselves",
        _ERROR,
        "the file has to be importable on its own: no data, no arguments and no training at import",
    ),
    "result.layer-differs": Entry(
        "A layer of your own gives other numbers than its definition",
        _WARNING,
        "compare it with PyTorch's own layer on random maps, in training and in evaluation mode",
    ),
    "result.ready-made-layer": Entry(
        "A layer that has to be written from scratch is PyTorch's own",
        _WARNING,
        "compute mean, variance, scale and shift yourself, without a ready-made normalisation",
    ),
    "checkpoint.ready-made-norm": Entry(
        "Ready-made normalisation layers run where your own should",
        _WARNING,
        "replace every nn.BatchNorm2d (and its kin) in the network, the shortcuts' too, not only "
        "some; print(model) shows what is left",
    ),
    "checkpoint.shared": Entry(
        "Several experiments have the same checkpoint",
        _WARNING,
        "save every experiment under a name of its own; the last one has overwritten the others",
    ),
    "result.log-unreadable": Entry(
        "A training log cannot be read",
        _WARNING,
        "write one row for each epoch with named columns, as the assignment says",
    ),
    "result.log-missing-numbers": Entry(
        "A training log lacks numbers that the assignment asks for",
        _WARNING,
        "log accuracy, micro and macro F1 of training and validation for each epoch",
    ),
    "result.log-impossible": Entry(
        "A training log holds numbers that cannot be",
        _WARNING,
        "shares lie in [0, 1], and with one label an image micro F1 is the accuracy",
    ),
    "result.log-differs": Entry(
        "A training log says something else than its checkpoint",
        _WARNING,
        "save the log and the checkpoint of the same run; a person will look at the curves",
    ),
    "result.log-shared": Entry(
        "Several experiments have the same training log",
        _WARNING,
        "every experiment has curves of its own",
    ),
    "result.heatmaps-malformed": Entry(
        "Heatmaps are not as the assignment asks",
        _WARNING,
        "write one grey picture per image, of the size of the last feature maps, that varies",
    ),
    "result.heatmaps-insensitive": Entry(
        "Heatmaps hardly depend on the weights",
        _WARNING,
        "a map that stays the same when the weights are drawn anew shows the image's edges or a "
        "fixed shape, not what the network looks at: take the gradients of the class's score",
    ),
    "result.heatmaps-not-tested": Entry(
        "Heatmaps could not be held against other weights",
        _NOTE,
        "save tensors in dictionaries, as state_dict() gives them, and no whole module",
    ),
    # ---- similar: what was compared with other submissions (similarity/source/)
    "similar.no-source": Entry(
        "Nothing to compare: no Python text in the submission",
        _NOTE,
        "look whether the zip holds .py or .ipynb files at all",
    ),
    "similar.not-all-compared": Entry(
        "A part of the source was too large to be compared",
        _NOTE,
        "look at the file yourself: coursework of this size is rare",
    ),
    "similar.unreadable": Entry(
        "A source file could not be read",
        _NOTE,
        "look at the file yourself: it was not compared",
    ),
    # ---- what a submission says by itself, read for a person (similarity/): never a mark
    "zip.other-entry-number": Entry(
        "An entry number that is not the student's",
        _WARNING,
        "look at the place: a partner, a template and a source that is named are honest reasons",
    ),
    "zip.other-email": Entry(
        "An e-mail address that is not the student's",
        _NOTE,
        "look at the place: authors of libraries and teachers are honest reasons",
    ),
    "zip.late-times": Entry(
        "Files that carry a time after the deadline",
        _NOTE,
        "a weak sign: clocks and time zones differ; compare with the platform's own time",
    ),
    "checkpoint.public-weights": Entry(
        "The weights derive from published ones",
        _WARNING,
        "look whether the assignment allows weights that others have trained",
    ),
    "checkpoint.older-than-code": Entry(
        "The checkpoint is older than the code that trains it",
        _NOTE,
        "a weak sign: a comment that was added later looks the same",
    ),
    "checkpoint.unknown-names": Entry(
        "The submitted code names no such layers",
        _WARNING,
        "ask how the checkpoint was made: the code handed in does not build a network like it",
    ),
    "result.unreproduced-log": Entry(
        "A log or report claims more than the checkpoint gives",
        _NOTE,
        "a weak sign: the images differ, and accuracy on known ones is higher; ask for the run",
    ),
    # ---- class: who handed in what, and when (classroom/intake.py)
    "class.unknown-person": Entry(
        "Nobody of the class is called so",
        _WARNING,
        "correct the zip's name, or add the person to roster.csv; it is graded all the same",
        Fault.GRADER,
    ),
    "class.entry-differs": Entry(
        "The zip is named after another entry number than its sender's",
        _WARNING,
        "name the zip after your own entry number; the marks go to whoever handed it in",
    ),
    "class.entry-inside": Entry(
        "A name inside the zip says another entry number",
        _WARNING,
        "look whose work it is: a partner's folder and a template are honest reasons",
    ),
    "class.entry-shared": Entry(
        "Several people name the same entry number",
        _WARNING,
        "say who is who in roster.csv (moodle id or canvas id, and entry_number)",
        Fault.GRADER,
    ),
    "class.two-submissions": Entry(
        "Two submissions of one person, and nothing says which one counts",
        _WARNING,
        "take one of them away, or name the one that counts in the column zip of roster.csv; until "
        "then neither is exported",
    ),
    "class.superseded": Entry(
        "Another submission of the same person counts",
        _NOTE,
        "nothing to do; it is graded, but not exported",
    ),
    "class.resubmitted": Entry(
        "One of several submissions: this one counts", _NOTE, "nothing to do"
    ),
    "class.same-zip": Entry(
        "The same bytes were handed in by somebody else, too",
        _WARNING,
        "look whether they are a team (column team of roster.csv) before asking anybody",
    ),
    "class.team": Entry(
        "Handed in by several people together", _NOTE, "nothing to do; each gets these marks"
    ),
    "class.loose-files": Entry(
        "Loose files instead of a zip",
        _NOTE,
        "nothing to do: some platforms unpack zips; the files were packed again",
        Fault.GRADER,
    ),
    "class.late": Entry(
        "Handed in after the deadline", _WARNING, "the assignment says what a day costs"
    ),
    "class.too-late": Entry(
        "Handed in after the cut-off",
        _WARNING,
        "no marks are left; an extension stands in the column deadline of roster.csv",
    ),
    "class.late-unknown": Entry(
        "Late, nobody knows by how much",
        _WARNING,
        "add the column submitted_at to roster.csv; until then nothing is charged",
        Fault.GRADER,
    ),
    # ---- grader: the grader's own faults
}


def found(
    code: str,
    message: str,
    *,
    path: str | None = None,
    line: int | None = None,
    hint: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Finding:
    """Make the finding `code`: `message` says what was found and what was expected.

    The hint comes from the catalogue unless this place knows better. Raises KeyError for a code
    that the catalogue lacks: a programming error, caught by the tests.
    """
    entry = CATALOGUE[code]
    return Finding(
        code=code,
        severity=entry.severity,
        fault=entry.fault,
        message=message,
        hint=entry.hint if hint is None else hint,
        place=None if path is None else Place(path, line),
        evidence=dict(evidence or {}),
    )


def quoted(text: str, limit: int = 60) -> str:
    """`text` of a stranger for a message: bounded, on one line, nothing that a terminal obeys."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text[:limit]
    )
    return f"{shown}…" if len(text) > limit else shown


def listed(names: Iterable[str], limit: int = 3) -> str:
    """The first names of many, quoted: `a, b, c and 47 more`."""
    everything = list(names)
    first = ", ".join(quoted(name) for name in everything[:limit])
    rest = len(everything) - limit
    return f"{first} and {rest} more" if rest > 0 else first
