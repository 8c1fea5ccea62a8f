#include "cli/text.h"

#include <charconv>

namespace edgeattn::cli {

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return line;
}

std::string significant(double value, int digits) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, digits).ptr;
  return {buffer, end};
}

std::string describe_run(const Plan& plan) {
  const auto text = [](std::size_t value) { return std::to_string(value); };
  return "batch " + text(plan.shape.batch) + ", " + text(plan.spec.channels) + " channels, " +
         text(plan.shape.height) + " x " + text(plan.shape.width) + " pixels, " + to_string(plan.layout) +
                     "; " + text(plan.threads) + (plan.threads == 1 ? " thread, " : " threads, ") +
         to_string(plan.isa);
}

std::string describe(const Plan& plan) {
  const auto text = [](std::size_t value) { return std::to_string(value); };
  std::string line = describe_run(plan) + ", " + to_string(plan.precision) + ", " + plan.gemm_name + "; tiles of " + text(plan.query_tile) +
                     " queries by " + text(plan.key_block) + " keys";
  if (plan.operand_sets > 1) line += ", " + text(plan.operand_sets) + " sets of operands";
  if (plan.budget_reduced_keys) line += " (fewer keys than without the budget: sums have another order)";
  return line;
}

std::string describe(const Spec& spec) {
  std::string text = to_string(spec.norm);
  if (spec.norm == Norm::kGroup) text += " with " + std::to_string(spec.groups) + " groups";
  if (spec.norm != Norm::kNone) text += ", eps " + significant(spec.eps, 6);
  if (spec.heads != 1) text += ", " + std::to_string(spec.heads) + " heads";
  if (spec.scale != 0) text += ", scores times " + significant(spec.scale, 6);
  if (!spec.residual) text += ", no residual";
  if (spec.rescale_output != 1) text += ", output over " + significant(spec.rescale_output, 6);
  return text;
}

std::string describe(const io::BlockWeights& weights) {
  const std::string name = weights.prefix.empty() ? "(no prefix)" : "'" + weights.prefix + "'";
  return name + ", " + weights.style + ", " + describe(weights.spec);
}

}  // namespace edgeattn::cli
