"""Untrusted bytes → checked values.

`READERS` names what a definition may ask for: name → "module:function", so that a definition can
be checked without importing numpy or an image library.
"""

from __future__ import annotations

READERS: dict[str, str] = {
    "labels_csv": "grader.readers.labels_csv:read_labels_csv",
    "json_file": "grader.readers.json_file:read_json_file",
    "heatmap_images": "grader.readers.heatmap_images:read_heatmap_images",
    "mask_images": "grader.readers.mask_image:read_mask_images",
    "folder": "grader.readers.folder:read_folder",
}
