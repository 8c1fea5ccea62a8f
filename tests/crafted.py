"""safetensors files made by hand, right and wrong, for cli_test.py."""
import array
import json
import struct

FLOAT = {"F32": "f", "F64": "d"}


def with_header(header, data=b"", length=None):
    """File bytes: a header as text, and optionally a lie about its length."""
    text = header.encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def encoded(tensors):
    """File bytes of {name: (shape, values)} or {name: (shape, values, dtype)}."""
    header, data = {}, b""
    for name, (shape, values, *dtype) in tensors.items():
        dtype = dtype[0] if dtype else "F32"
        chunk = values if isinstance(values, bytes) else array.array(FLOAT[dtype], values).tobytes()
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(chunk)]}
        data += chunk
    return with_header(json.dumps(header), data)


def halves(dtype, values):
    """Bytes of numbers rounded to F16 or BF16, to nearest, ties to even."""
    if dtype == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    bits = array.array("I", array.array("f", values).tobytes())
    return array.array("H", [(b + 0x7FFF + (b >> 16 & 1)) >> 16 for b in bits]).tobytes()


def from_halves(dtype, data):
    """Their numbers, as an array of float32."""
    if dtype == "F16":
        return array.array("f", struct.unpack(f"<{len(data) // 2}e", data))
    return array.array("f", array.array("I", [b << 16 for b in array.array("H", data)]).tobytes())


def dtypes(data):
    """{name: dtype} of file bytes."""
    (length,) = struct.unpack("<Q", data[:8])
    return {name: entry["dtype"] for name, entry in json.loads(data[8:8 + length]).items() if name != "__metadata__"}


def decoded(data):
    """{name: (shape, array of float32)} of file bytes whose tensors are all F32, F16 or BF16."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        chunk = data[8 + length + begin:8 + length + end]
        values = array.array("f", chunk) if entry["dtype"] == "F32" else from_halves(entry["dtype"], chunk)
        tensors[name] = (entry["shape"], values)
    return tensors


def ddpm_block(channels, prefix="", **changes):
    """Tensors of a small block; `changes` replaces some: to_qkv_weight=([6, 2], values), or None to leave one out."""
    c = channels
    wave = [((7 * i) % 11 - 5) / 10 for i in range(3 * c * c)]
    tensors = {"norm.weight": ([c], [1.0] * c), "norm.bias": ([c], [0.1] * c),
               "to_qkv.weight": ([3 * c, c, 1, 1], wave), "to_qkv.bias": ([3 * c], wave[:3 * c]),
               "to_out.weight": ([c, c, 1, 1], wave[:c * c]), "to_out.bias": ([c], wave[:c])}
    for key, tensor in changes.items():
        name = key[::-1].replace("_", ".", 1)[::-1]
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    return {prefix + name: tensor for name, tensor in tensors.items()}


def transposed(shape, values):
    """A [B, C, H, W] tensor as [B, H, W, C]."""
    b, c, h, w = shape
    pixels = h * w
    result = array.array("f", bytes(4 * len(values)))
    for image in range(b):
        begin = image * c * pixels
        for channel in range(c):
            plane = values[begin + channel * pixels:begin + (channel + 1) * pixels]
            result[begin + channel:begin + c * pixels:c] = plane
    return [b, h, w, c], result
