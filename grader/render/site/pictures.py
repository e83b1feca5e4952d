"""Pictures of images, taken out of the pages that the grader itself has written.

The results of a class hold no pictures but those in the students' reports; a page for the whole
class borrows a few from one of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html import unescape

from markupsafe import Markup

from grader.render.printable import printable

_SHOT = re.compile(
    r'<li class="shot"[^>]*\sdata-name="([^"]*)"[^>]*>\s*<figure>\s*<div class="four">\s*'
    r'<div><img src="(data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+)"'
)


def pictures_in(page: str, names: Collection[str]) -> dict[str, Markup]:
    """name → `data:` URI, for those of `names` that the gallery of a report's page shows."""
    wanted = {printable(name): name for name in names}
    return {
        # Only the base64 alphabet is matched: nothing in it needs escaping.
        wanted[shown]: Markup(match[2])
        for match in _SHOT.finditer(page)
        if (shown := unescape(match[1])) in wanted
    }
