#pragma once

#include "edgeattn/edgeattn.h"
#include "edgeattn/status.h"

namespace edgeattn::c {

/// Hands a status to a C caller, its message to `message` unless that is null.
inline edgeattn_status report(const Status& status, edgeattn_message* message) noexcept {
  static_assert(Status::kMessageBytes <= sizeof message->text);
  if (message != nullptr) __builtin_memcpy(message->text, status.message(), Status::kMessageBytes);
  return static_cast<edgeattn_status>(status.code());
}

/// The error of a pointer argument that is null.
inline Status is_null(const char* name) noexcept { return Status::error(StatusCode::kInvalidArgument, name, " is null"); }

}  // namespace edgeattn::c
