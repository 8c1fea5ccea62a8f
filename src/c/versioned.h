#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "edgeattn/status.h"

// Inline, for both libraries use them and neither exports them.
namespace edgeattn::c {

/// The bytes of a struct up to and with `field`: its size in the first version that had it.
#define EDGEATTN_SIZE_UP_TO(type, field) (offsetof(type, field) + sizeof(type::field))

/// No version of a struct will be as large: a size beyond is a field that was not set.
inline constexpr std::size_t kMostStructBytes = 4096;

inline Status given_bytes(const char* name, const void* given, std::size_t oldest, std::size_t& bytes) noexcept {
  if (given == nullptr) return Status::error(StatusCode::kInvalidArgument, name, " is null");
  std::memcpy(&bytes, given, sizeof bytes);
  if (bytes >= oldest && bytes <= kMostStructBytes) return {};
  return Status::error(StatusCode::kInvalidArgument, name, ".size must be the size of the struct, at least ", oldest,
                       " bytes, and is ", bytes);
}

inline bool all_zero(const void* begin, std::size_t bytes) noexcept {
  const auto* const first = static_cast<const unsigned char*>(begin);
  return std::all_of(first, first + bytes, [](unsigned char byte) { return byte == 0; });
}

inline const std::byte* at(const void* begin, std::size_t offset) noexcept { return static_cast<const std::byte*>(begin) + offset; }

/// Reads a caller's struct of `oldest` bytes or more into `known`, one of ours: fields that the caller's version lacks become
/// zero, and those that ours lacks must be. Errors name the struct.
inline Status read_struct(const char* name, const void* given, std::size_t oldest, void* known, std::size_t known_bytes) noexcept {
  std::size_t bytes = 0;
  EDGEATTN_TRY(given_bytes(name, given, oldest, bytes));
  const std::size_t common = std::min(bytes, known_bytes);
  if (!all_zero(at(given, common), bytes - common))
    return Status::error(StatusCode::kUnsupported, name, " sets a field past byte ", common,
                         ", which this version of edgeattn does not know");
  std::memcpy(known, given, common);
  std::memset(static_cast<std::byte*>(known) + common, 0, known_bytes - common);
  return {};
}

/// Whether fields that the caller's version of a struct lacks may be dropped.
enum class Cut : bool { kForbidden, kAllowed };

/// Writes `known` into a caller's struct of `oldest` bytes or more: fields that the caller's version lacks are dropped, or with
/// kForbidden must be zero; those that ours lacks become zero. Errors name the struct, and leave it alone.
inline Status write_struct(const char* name, const void* known, std::size_t known_bytes, std::size_t oldest, Cut cut,
                    void* given) noexcept {
  std::size_t bytes = 0;
  EDGEATTN_TRY(given_bytes(name, given, oldest, bytes));
  const std::size_t common = std::min(bytes, known_bytes);
  if (cut == Cut::kForbidden && !all_zero(at(known, common), known_bytes - common))
    return Status::error(StatusCode::kUnsupported, name, ".size is ", bytes, ", but a field past it is needed: at least ",
                         known_bytes, " bytes");
  auto* const out = static_cast<std::byte*>(given);
  std::memcpy(out + sizeof bytes, at(known, sizeof bytes), common - sizeof bytes);
  std::memset(out + common, 0, bytes - common);
  return {};
}

}  // namespace edgeattn::c
