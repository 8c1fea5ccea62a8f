#pragma once

#include <string_view>

#include "gemm/operator.h"

/// The GEMM of arch/: operators that are no more than a shape and a kernel.
namespace edgeattn::builtin {

inline constexpr char kName[] = "edgeattn";

/// Whether `name` of a Gemm or a plan is that of the built-in one, whose products add to what their output holds.
constexpr bool is_name(std::string_view name) noexcept { return name == kName; }

/// `gemm`, and if it is the built-in one, with the kernels of `set`: the instruction set of a plan is that of its products too.
Gemm with_kernels(const Gemm& gemm, KernelSet set) noexcept;

Status create_operator(const OperatorShape& shape, gemm_fn* kernel, std::span<std::byte> object, Operator& op) noexcept;
void run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output,
                  const float* rescale) noexcept;

}  // namespace edgeattn::builtin
