"""edgeattn.h for Python, by ctypes: the part that a host needs to plan, prepare, bind and run blocks. No compiler, no NumPy.

Structs have the header's fields and start with their size; calls raise `Error` with the library's own line. The objects here
hold the memory that they live in, and what they need of others.
"""
import ctypes
import mmap
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_size_t, c_void_p, sizeof

NCHW, NHWC = 0, 1
NORM_GROUP, NORM_INSTANCE, NORM_BATCH, NORM_NONE = range(4)
FLOAT32, BFLOAT16, INT8 = range(3)  # precisions


class Error(Exception):
    """A status other than EDGEATTN_OK."""


class _Message(ctypes.Structure):
    _fields_ = [("text", c_char * 256)]


class _Versioned(ctypes.Structure):
    """A struct that begins with its size. Fields that are not given are zero: their usual values."""

    def __init__(self, **fields):
        super().__init__(size=sizeof(self), **fields)


class Spec(_Versioned):
    _fields_ = [("size", c_size_t), ("channels", c_size_t), ("norm", c_int32), ("no_residual", c_int32), ("groups", c_size_t),
                ("heads", c_size_t), ("eps", c_double), ("scale", c_double), ("rescale_output", c_double)]


class Shape(_Versioned):
    _fields_ = [("size", c_size_t), ("batch", c_size_t), ("height", c_size_t), ("width", c_size_t)]


class Options(_Versioned):
    _fields_ = [("size", c_size_t), ("threads", c_size_t), ("scratch_budget_bytes", c_size_t), ("query_tile", c_size_t),
                ("key_block", c_size_t), ("l2_bytes", c_size_t), ("layout", c_int32), ("isa", c_int32), ("precision", c_int32),
                ("gemm", c_int32)]


class Weights(_Versioned):
    """Addresses of float32 arrays, which are read by Plan.prepare and not kept, and of the Pool that it works on, if any."""
    _fields_ = [("size", c_size_t)] + [(name, c_void_p) for name in (
        "norm_weight", "norm_bias", "running_mean", "running_var", "qkv_weight", "qkv_bias", "out_weight", "out_bias",
        "score_weight", "score_bias", "pool")]


class PlanInfo(_Versioned):
    _fields_ = [("size", c_size_t), ("prepared_bytes", c_size_t), ("persistent_bytes", c_size_t), ("scratch_bytes", c_size_t),
                ("external_bytes", c_size_t), ("threads", c_size_t), ("query_tile", c_size_t), ("key_block", c_size_t),
                ("isa", c_int32), ("budget_reduced_keys", c_int32), ("precision", c_int32),
                ("gemm", c_int32)]


class MemorySum(_Versioned):
    _fields_ = [("size", c_size_t), ("prepared_bytes", c_size_t), ("persistent_bytes", c_size_t), ("scratch_bytes", c_size_t),
                ("external_bytes", c_size_t)]


_MESSAGE = POINTER(_Message)
_RESULT = POINTER(c_void_p)
_ARGUMENTS = {
    "edgeattn_make_plan": [c_void_p, c_size_t, POINTER(Spec), POINTER(Shape), POINTER(Options), _RESULT, _MESSAGE],
    "edgeattn_describe_plan": [c_void_p, POINTER(PlanInfo), _MESSAGE],
    "edgeattn_sum_memory": [POINTER(c_void_p), c_size_t, POINTER(MemorySum), _MESSAGE],
    "edgeattn_prepare": [c_void_p, POINTER(Weights), c_void_p, c_size_t, _RESULT, _MESSAGE],
    "edgeattn_bind": [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, _RESULT, _MESSAGE],
    "edgeattn_run": [c_void_p, c_void_p, c_void_p, _MESSAGE],
}


class Memory:
    """Zeroed memory of its own, aligned to a page."""

    def __init__(self, bytes_):
        self.bytes = bytes_
        self._pages = mmap.mmap(-1, max(bytes_, 1))
        self._view = c_char.from_buffer(self._pages)
        self.address = ctypes.addressof(self._view)


class Pool:
    """A pool of threads, of the pthreadpool that the library itself is linked to."""

    def __init__(self, library, threads):
        self._destroy = library.shared.pthreadpool_destroy
        self._destroy.argtypes = [c_void_p]
        create = library.shared.pthreadpool_create
        create.argtypes, create.restype = [c_size_t], c_void_p
        self.address = create(threads)
        if self.address is None:
            raise Error(f"pthreadpool_create: no pool of {threads} threads")

    def __del__(self):
        if getattr(self, "address", None) is not None:
            self._destroy(self.address)


class Library:
    """libedgeattn.so."""

    def __init__(self, path):
        self.shared = ctypes.CDLL(str(path))
        for name, arguments in _ARGUMENTS.items():
            getattr(self.shared, name).argtypes = arguments
        self.shared.edgeattn_plan_bytes.restype = c_size_t
        for name in ("edgeattn_version", "edgeattn_status_string"):
            getattr(self.shared, name).restype = c_char_p
        self.version = self.shared.edgeattn_version().decode()

    def call(self, name, *arguments):
        """Calls `name` with `arguments` and a message."""
        message = _Message()
        status = getattr(self.shared, name)(*arguments, byref(message))
        if status != 0:
            kind = self.shared.edgeattn_status_string(status).decode()
            raise Error(f"{name}: {kind}: {message.text.decode(errors='replace')}")

    def sum_memory(self, plans):
        """What the blocks of `plans` need together when they run one after another on one scratch memory."""
        total = MemorySum()
        addresses = (c_void_p * len(plans))(*(plan.address for plan in plans))
        self.call("edgeattn_sum_memory", addresses, len(plans), byref(total))
        return total


class Plan:
    """Tiles and memory of one block on one shape; `info` tells the bytes of what `bind` takes."""

    def __init__(self, library, spec, shape, options=None):
        self.library = library
        self._memory = Memory(library.shared.edgeattn_plan_bytes())
        plan = c_void_p()
        library.call("edgeattn_make_plan", self._memory.address, self._memory.bytes, byref(spec), byref(shape),
                     None if options is None else byref(options), byref(plan))
        self.address = plan.value
        self.info = PlanInfo()
        library.call("edgeattn_describe_plan", self.address, byref(self.info))

    def prepare(self, weights):
        return Prepared(self, weights)

    def bind(self, prepared, scratch, pool=None):
        """scratch: Memory of at least info.scratch_bytes, which other blocks may share. pool: None for the calling thread."""
        return Block(self, prepared, scratch, pool)


class Prepared:
    """Folded and packed weights, for any plan of their spec."""

    def __init__(self, plan, weights):
        self._memory = Memory(plan.info.prepared_bytes)
        prepared = c_void_p()
        plan.library.call("edgeattn_prepare", plan.address, byref(weights), self._memory.address, self._memory.bytes,
                          byref(prepared))
        self.address = prepared.value


class Block:
    """A block bound to its memory: one run at a time, also of all blocks on one scratch memory."""

    def __init__(self, plan, prepared, scratch, pool):
        self._persistent = Memory(plan.info.persistent_bytes)
        self._held = prepared, scratch, pool
        self._library = plan.library
        block = c_void_p()
        plan.library.call("edgeattn_bind", plan.address, prepared.address, self._persistent.address, self._persistent.bytes,
                          scratch.address, scratch.bytes, None if pool is None else pool.address, byref(block))
        self.address = block.value

    def run(self, x, y):
        """x, y: addresses of float32 arrays of the plan's shape and layout; the same, or disjoint."""
        self._library.call("edgeattn_run", self.address, x, y)
