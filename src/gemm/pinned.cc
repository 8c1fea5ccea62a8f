#include "gemm/pinned.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdint>

// A static program has neither, and needs neither.
#pragma weak dlopen
#pragma weak dladdr

namespace edgeattn {
namespace {

/// Where code lies.
struct Place {
  std::uintptr_t address;
  bool in_program = false;
};

bool holds(const dl_phdr_info& object, std::uintptr_t address) noexcept {
  for (std::size_t i = 0; i < object.dlpi_phnum; ++i) {
    const auto& segment = object.dlpi_phdr[i];
    if (segment.p_type == PT_LOAD && address - (object.dlpi_addr + segment.p_vaddr) < segment.p_memsz) return true;
  }
  return false;
}

/// Looks at the first object alone: the program, which has no name; in a namespace of dlmopen it is a library.
int visit(dl_phdr_info* object, std::size_t, void* place) noexcept {
  auto& found = *static_cast<Place*>(place);
  found.in_program = object->dlpi_name[0] == '\0' && holds(*object, found.address);
  return 1;
}

}  // namespace

bool keep_in_memory(void (*function)()) noexcept {
  Place place{.address = reinterpret_cast<std::uintptr_t>(function)};
  dl_iterate_phdr(visit, &place);
  if (place.in_program) return true;  // which is never unloaded
#if !defined(__GLIBC__) && !defined(__BIONIC__)
  return true;  // musl unloads nothing
#else
  if (dlopen == nullptr || dladdr == nullptr) return false;
  Dl_info object;
  if (dladdr(reinterpret_cast<const void*>(function), &object) == 0 || object.dli_fname == nullptr) return false;
  // By the very name that it is loaded under, so that no file is opened. The handle is never closed.
  return dlopen(object.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
#endif
}

}  // namespace edgeattn
