#pragma once

namespace edgeattn {

/// Keeps the program or library that holds the code at `function` in memory for the life of the process, whatever is closed
/// with dlclose. False where that cannot be promised.
bool keep_in_memory(void (*function)()) noexcept;

}  // namespace edgeattn
