#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "edgeattn/machine.h"
#include "gemm/arena_hook.h"
#include "gemm/layout.h"
#include "gemm/pinned.h"
#include "gemm/traits.h"
#include "gemm/xnnpack_operator.h"
#include "plan/sizes.h"

namespace edgeattn {
namespace {

constexpr std::size_t kAlignment = 64;
/// An operand beside those of check_operands, whose layout must be understood too.
constexpr std::size_t kWideInputs = 40, kWideOutputs = 64;
/// More than any XNNPACK's operator object.
constexpr std::size_t kObjectRoom = 32 * 1024;

using sizes::round_up;

struct Free {
  void operator()(void* pointer) const noexcept { std::free(pointer); }
};

/// Zeroed temporary memory; empty when there is none.
class Temporary {
 public:
  explicit Temporary(std::size_t bytes) noexcept : memory_(std::aligned_alloc(kAlignment, round_up(bytes, kAlignment))) {
    if (memory_ == nullptr) return;
    span_ = {static_cast<std::byte*>(memory_.get()), round_up(bytes, kAlignment)};
    for (std::byte& byte : span_) byte = std::byte{0};
  }

  [[nodiscard]] bool empty() const noexcept { return span_.empty(); }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return span_; }
  [[nodiscard]] std::span<std::uint32_t> words() const noexcept {
    return {static_cast<std::uint32_t*>(memory_.get()), span_.size() / sizeof(std::uint32_t)};
  }
  [[nodiscard]] float* floats() const noexcept { return static_cast<float*>(memory_.get()); }

 private:
  std::unique_ptr<void, Free> memory_;
  std::span<std::byte> span_;
};

Status no_memory(std::size_t bytes) noexcept {
  return Status::error(StatusCode::kOutOfMemory, "probing XNNPACK: no temporary memory of ", bytes, " bytes");
}

Status probe_layout(std::size_t inputs, std::size_t outputs, PanelLayout& layout) noexcept {
  // The packed operand may be up to two times as large, or 64 outputs or 16 inputs larger.
  constexpr std::size_t kMost = std::min(kLargestMarked, static_cast<std::size_t>(PTRDIFF_MAX) / (4 * sizeof(float)));
  EDGEATTN_TRY(check_operand_size(inputs, outputs, kMost));
  const PanelLayout largest{.inputs = inputs, .outputs = outputs, .nr = 64, .kr = 4, .sr = 4};
  const Temporary object(kObjectRoom);
  const Temporary kernel(inputs * outputs * sizeof(float));
  const Temporary bias(outputs * sizeof(float));
  const Temporary packed(largest.size() * sizeof(float));
  if (object.empty() || kernel.empty() || bias.empty() || packed.empty())
    return no_memory((inputs * outputs + outputs + largest.size()) * sizeof(float) + kObjectRoom);

  for (std::size_t output = 0; output < outputs; ++output) {
    bias.words()[output] = bias_mark(output);
    for (std::size_t input = 0; input < inputs; ++input)
      kernel.words()[output * inputs + input] = element_mark(input, output, outputs);
  }
  const OperatorShape shape{.inputs = inputs, .outputs = outputs, .input_stride = inputs, .output_stride = outputs};
  xnnpack::Created created;
  EDGEATTN_TRY(xnnpack::create_serialized(shape, kernel.floats(), bias.floats(), object.bytes(), packed.bytes(), created));
  return explain_layout(packed.words().first(created.packed_bytes / sizeof(std::uint32_t)), inputs, outputs, layout);
}

/// Learns the size of an operator, and where it keeps the address of its operand: the one word that follows the address when
/// that changes. Other words may hold it by chance, left over from XNNPACK's stack.
Status find_operand(std::size_t& operator_bytes, std::size_t& operand_offset) noexcept {
  constexpr std::size_t kTries = 4, kPackedRoom = 16 * 1024;
  const Temporary object(kObjectRoom);
  const Temporary packed(kTries * kPackedRoom);
  const Temporary excluded(kObjectRoom);
  if (object.empty() || packed.empty() || excluded.empty()) return no_memory(2 * kObjectRoom + kTries * kPackedRoom);

  constexpr OperatorShape kShape{.inputs = 1, .outputs = 1, .input_stride = 1, .output_stride = 1};
  constexpr float kOne = 1;
  auto* const words = reinterpret_cast<const void**>(object.bytes().data());
  std::size_t found = 0;
  for (std::size_t attempt = 0; attempt < kTries; ++attempt) {
    const std::span<std::byte> operand = packed.bytes().subspan(attempt * kPackedRoom, kPackedRoom);
    xnnpack::Created created;
    EDGEATTN_TRY(xnnpack::create_serialized(kShape, &kOne, &kOne, object.bytes(), operand, created));
    operator_bytes = round_up(created.bytes, kAlignment);
    found = 0;
    for (std::size_t i = 0; i < created.bytes / sizeof(void*); ++i) {
      if (words[i] != operand.data()) excluded.bytes()[i] = std::byte{1};
      if (excluded.bytes()[i] != std::byte{0}) continue;
      operand_offset = i * sizeof(void*);
      ++found;
    }
  }
  if (found == 1) return {};
  return Status::error(StatusCode::kGemm, xnnpack::kName, ": ", found,
                       " words of an operator follow the address of its operand, where 1 is expected");
}

/// Proves with small whole numbers, which every order of sums gets exactly, that a created operator multiplies with the
/// operand it is told to, whichever that is.
Status check_operands(std::size_t operand_offset) noexcept {
  constexpr std::size_t kInputs = 6, kOutputs = 5, kRows = 3;
  PanelLayout layout;
  EDGEATTN_TRY(probe_layout(kInputs, kOutputs, layout));
  const Temporary object(kObjectRoom);
  const Temporary work(layout.size() * sizeof(float) + kAlignment);
  const Temporary operands[2] = {Temporary(layout.size() * sizeof(float) + kAlignment),
                                 Temporary(layout.size() * sizeof(float) + kAlignment)};
  const Temporary input(kRows * kInputs * sizeof(float) + kInputPaddingBytes);
  const Temporary output(kRows * kOutputs * sizeof(float));
  if (object.empty() || work.empty() || operands[0].empty() || operands[1].empty() || input.empty() || output.empty())
    return no_memory(kObjectRoom);

  const auto weight = [](std::size_t which, std::size_t k, std::size_t n) {
    return static_cast<float>((which + 1) * (k + 1)) - static_cast<float>(7 * n);
  };
  for (std::size_t i = 0; i < kRows * kInputs; ++i) input.floats()[i] = static_cast<float>(i % 11);
  for (std::size_t which = 0; which < 2; ++which)
    for (std::size_t n = 0; n < kOutputs; ++n)
      for (std::size_t k = 0; k < kInputs; ++k)
        operands[which].floats()[layout.offset(k, n)] = weight(which, k, n);

  const OperatorShape shape{.inputs = kInputs, .outputs = kOutputs, .input_stride = kInputs, .output_stride = kOutputs};
  Operator op;
  EDGEATTN_TRY(xnnpack::create_operator(shape, operand_offset, object.bytes(), work.bytes(), op));
  for (std::size_t which : {1u, 0u, 1u}) {
    bool right = xnnpack::run_operator(op, operands[which].floats(), kRows, input.floats(), output.floats());
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t n = 0; n < kOutputs; ++n) {
        float expected = 0;
        for (std::size_t k = 0; k < kInputs; ++k)
          expected += input.floats()[row * kInputs + k] * weight(which, k, n);
        right = right && output.floats()[row * kOutputs + n] == expected;
      }
    }
    if (!right)
      return Status::error(StatusCode::kGemm, xnnpack::kName, ": an operator does not multiply with the operand it is given");
  }
  return {};
}

/// Rows of XNNPACK's float32 microkernels (its init.c and gemm-config.c); a tile of whole multiples wastes no work.
std::size_t microkernel_rows(const Machine& machine) noexcept {
  if (machine.avx512) return 7;
  if (machine.avx2) return 5;
#if defined(__aarch64__)
  return 6;
#else
  return 4;
#endif
}

/// The first of the files that cpuinfo cannot do without and that has nothing to read; null for none.
const char* unreadable_file() noexcept {
  for (const char* path : {"/proc/cpuinfo", "/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present"}) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    char byte = 0;
    const bool readable = file >= 0 && read(file, &byte, 1) == 1;
    if (file >= 0) close(file);
    if (!readable) return path;
  }
  return nullptr;
}

/// Why XNNPACK cannot be initialised, for which it gives `status`. That of a failure of cpuinfo is "out of memory" in 2022 and
/// "unsupported hardware" in 2024, whatever failed; and cpuinfo tries only once in a process, so that the first answer stays,
/// whatever can be read later.
Status why_not_initialised(xnn_status status) noexcept {
  enum Cause : std::uint8_t { kUnknown, kMemory, kFiles, kProcessor };
  static std::atomic<std::uint8_t> known{kUnknown};
  std::uint8_t cause = kUnknown;
  const std::uint8_t found = unreadable_file() != nullptr ? kFiles : status == xnn_status_out_of_memory ? kMemory : kProcessor;
  if (known.compare_exchange_strong(cause, found)) cause = found;
  constexpr char kWho[] = "XNNPACK cannot run in this process: it could not find out about the processor, for want of ";
  if (cause == kMemory) return Status::error(StatusCode::kOutOfMemory, kWho, "memory");
  if (cause == kFiles) return Status::error(StatusCode::kGemm, kWho, "/proc/cpuinfo or /sys/devices/system/cpu");
  return Status::error(StatusCode::kGemm, "XNNPACK cannot run on this processor: xnn_initialize returned ",
                       static_cast<std::size_t>(status));
}

/// Initialises XNNPACK with our allocator, which it keeps for the life of the process.
Status initialise() noexcept {
  static std::atomic<bool> kept{false};
  if (!kept.load(std::memory_order_relaxed)) {
    if (!keep_in_memory(reinterpret_cast<void (*)()>(arena_allocator().allocate)))
      return Status::error(StatusCode::kGemm, "XNNPACK cannot be used: it would keep functions of edgeattn for the life of the "
                           "process, and the library that holds them cannot be kept from being unloaded");
    kept.store(true, std::memory_order_relaxed);
  }
  const xnn_status status = xnn_initialize(&arena_allocator());
  return status == xnn_status_success ? Status{} : why_not_initialised(status);
}

}  // namespace

Status xnnpack_gemm(const Machine& machine, Gemm& gemm) noexcept {
  EDGEATTN_TRY(initialise());
  Gemm traits;
  EDGEATTN_TRY(find_operand(traits.operator_bytes, traits.operand_offset));
  EDGEATTN_TRY(check_operands(traits.operand_offset));
  // Of as many outputs as a block has, the layout may be another one than of a few.
  PanelLayout wide;
  EDGEATTN_TRY(probe_layout(kWideInputs, kWideOutputs, wide));
  traits.packs_at_creation = xnnpack::kPacksAtCreation;
  traits.mr = microkernel_rows(machine);
  traits.name = xnnpack::kName;
  traits.probe = probe_layout;
  gemm = traits;
  return {};
}

}  // namespace edgeattn
