"""Whether a document conforms to a JSON Schema (2020-12): yes or no, fast.

jsonschema explains what is wrong, and takes a tenth of a second to import; nearly every document
is right. jsonschema-rs answers that first, and jsonschema is imported only to explain a no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs


def conforms(schema: Mapping[str, Any], document: Any) -> bool:
    """True where `document` certainly conforms; False where jsonschema has to say what is wrong.

    A reference to anything outside `schema` is not followed and answers False.
    """
    try:
        return jsonschema_rs.Draft202012Validator(dict(schema), retriever=_refuse).is_valid(
            document
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False


def is_schema(schema: Any) -> bool:
    """True where `schema` certainly is a JSON Schema."""
    try:
        return jsonschema_rs.meta.is_valid(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return False


def _refuse(uri: str) -> Any:
    """Nothing is ever fetched."""
    raise ValueError(f"{uri} lies outside the schema")
