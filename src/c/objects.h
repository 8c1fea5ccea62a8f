#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <type_traits>

#include "edgeattn/block.h"
#include "edgeattn/edgeattn.h"
#include "edgeattn/plan.h"
#include "plan/sizes.h"

// What the opaque pointers of the C API point to. Each stands at the start of the caller's memory; what the C++ API asks for
// follows at the next multiple of the alignment.

struct edgeattn_plan {
  edgeattn::Plan plan;
  edgeattn::Gemm gemm;
};

struct edgeattn_prepared {
  edgeattn::Prepared prepared;
};

struct edgeattn_block {
  edgeattn::Block block;
};

namespace edgeattn::c {

/// Bytes before what follows an object.
template <class Object>
inline constexpr std::size_t kHeaderBytes = sizes::round_up(sizeof(Object), Plan::kAlignment);

/// Places an object, which nobody will destroy, into memory that is large enough and aligned.
template <class Object>
Object* place(void* memory) noexcept {
  static_assert(std::is_trivially_destructible_v<Object> && alignof(Object) <= Plan::kAlignment);
  return ::new (memory) Object{};
}

/// What a C caller has to provide for a plan, in multiples of the alignment.
struct Bytes {
  std::size_t prepared, persistent, scratch, external;
};

inline Bytes bytes_of(const Plan& plan) noexcept {
  const auto whole = [](std::size_t bytes) { return sizes::round_up(bytes, Plan::kAlignment); };
  return {.prepared = sizes::add(kHeaderBytes<edgeattn_prepared>, whole(plan.prepared_bytes)),
          .persistent = sizes::add(kHeaderBytes<edgeattn_block>, whole(plan.persistent_bytes)),
          .scratch = whole(plan.scratch_bytes),
          .external = plan.external_bytes};
}

inline std::span<std::byte> span_of(void* memory, std::size_t bytes) noexcept {
  return {static_cast<std::byte*>(memory), bytes};
}

}  // namespace edgeattn::c
