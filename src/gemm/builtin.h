#pragma once

#include "gemm/operator.h"

/// The GEMM of arch/: operators that are no more than a shape and a kernel.
namespace edgeattn::builtin {

inline constexpr char kName[] = "edgeattn";

Status create_operator(const OperatorShape& shape, gemm_fn* kernel, std::span<std::byte> object, Operator& op) noexcept;
void run_operator(const Operator& op, const float* operand, std::size_t rows, const float* input, float* output) noexcept;

}  // namespace edgeattn::builtin
