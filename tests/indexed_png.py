"""Reads the PNG files that the tool writes: 8 bits an index, no filter, not interlaced."""
import struct
import zlib


def decoded(data):
    """(palette as a list of (r, g, b), rows as a list of bytes) of a whole file."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        content = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length]) == (zlib.crc32(kind + content),), kind
        chunks.append((kind, content))
        at += 12 + length
    assert at == len(data) and chunks[0][0] == b"IHDR" and chunks[-1] == (b"IEND", b"")
    width, height, *form = struct.unpack(">IIBBBBB", chunks[0][1])
    assert form == [8, 3, 0, 0, 0], form
    colours = next(content for kind, content in chunks if kind == b"PLTE")
    raw = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    assert len(raw) == height * (width + 1) and not any(raw[::width + 1]), "a row with a filter"
    rows = [raw[y * (width + 1) + 1:(y + 1) * (width + 1)] for y in range(height)]
    return [tuple(colours[i:i + 3]) for i in range(0, len(colours), 3)], rows
