#!/usr/bin/env python3
"""Renders event payloads as JSON with Debian's python3-msgpack.

Usage: render.py FILE...
Prints one JSON object per file, by the rules that docs/events.md gives for text
and bytes.
"""

import base64
import datetime
import json
import sys

import msgpack

PURE_BYTES = {"body", "payload", "raw", "engine_id", "session_id", "random", "signature", "opaque"}


def render(value):
    if isinstance(value, dict):
        out = {}
        for key, item in value.items():
            texts, blobs = leaves(item)
            pure = key in PURE_BYTES or not texts and all(map(valid, blobs))
            if not (blobs and pure):
                out[key] = render(item)
            if blobs:
                out[key + "_b64"] = exact(item)
        return out
    if isinstance(value, list):
        return [render(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, msgpack.Timestamp):
        whole = datetime.datetime.fromtimestamp(value.seconds, datetime.timezone.utc)
        return whole.strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % value.nanoseconds
    return value


def leaves(value):
    """Returns the texts and the byte strings in a value, but not those in maps."""
    if isinstance(value, str):
        return [value], []
    if isinstance(value, bytes):
        return [], [value]
    texts, blobs = [], []
    if isinstance(value, list):
        for item in value:
            t, b = leaves(item)
            texts += t
            blobs += b
    return texts, blobs


def valid(blob):
    try:
        blob.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def exact(value):
    if isinstance(value, str):
        value = value.encode("utf-8")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return None
    return render(value)


for path in sys.argv[1:]:
    with open(path, "rb") as f:
        event = msgpack.unpackb(f.read(), raw=False, timestamp=0, strict_map_key=True)
    print(json.dumps(render(event), ensure_ascii=False, separators=(",", ":")))
