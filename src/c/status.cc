#include "edgeattn/status.h"

#include "edgeattn/edgeattn.h"

namespace edgeattn {

#define EDGEATTN_SAME(c_name, name) static_assert(EDGEATTN_##c_name == static_cast<int>(StatusCode::k##name))
EDGEATTN_SAME(OK, Ok);
EDGEATTN_SAME(INVALID_ARGUMENT, InvalidArgument);
EDGEATTN_SAME(TOO_SMALL, TooSmall);
EDGEATTN_SAME(UNSUPPORTED, Unsupported);
EDGEATTN_SAME(MISMATCH, Mismatch);
EDGEATTN_SAME(GEMM, Gemm);
EDGEATTN_SAME(OUT_OF_MEMORY, OutOfMemory);
EDGEATTN_SAME(NOT_FOUND, NotFound);
EDGEATTN_SAME(IO, Io);
EDGEATTN_SAME(FORMAT, Format);
#undef EDGEATTN_SAME

}  // namespace edgeattn

const char* edgeattn_status_string(edgeattn_status status) {
  return status >= EDGEATTN_OK && status <= EDGEATTN_FORMAT ? to_string(static_cast<edgeattn::StatusCode>(status)) : "unknown";
}

const char* edgeattn_version() { return EDGEATTN_VERSION; }
