#include "cli/untold.h"

#include "cli/text.h"
#include "io/json_text.h"

namespace edgeattn::cli {
namespace {

std::string no_text(const Spec& /*spec*/) { return {}; }
std::string describe_heads(const Spec& spec) { return std::to_string(spec.heads) + (spec.heads == 1 ? " head" : " heads"); }
std::string describe_groups(const Spec& spec) { return "gn with " + std::to_string(spec.groups) + " groups"; }
std::string describe_eps(const Spec& spec) { return "eps " + significant(spec.eps, 6); }
std::string describe_rescale(const Spec& spec) { return "an output over " + significant(spec.rescale_output, 6); }

constexpr UntoldField kFields[] = {
    {io::Untold::kHeads, "heads", "--heads", describe_heads, [](const Spec& spec) { return io::json_value(spec.heads); }},
    {io::Untold::kGroups, "groups", "--groups", describe_groups, [](const Spec& spec) { return io::json_value(spec.groups); }},
    {io::Untold::kEps, "eps", "--eps", describe_eps, [](const Spec& spec) { return io::json_value(spec.eps); }},
    {io::Untold::kRescaleOutput, "rescale_output", "--rescale-output", describe_rescale,
     [](const Spec& spec) { return io::json_value(spec.rescale_output); }},
    {io::Untold::kQkvOrder, "qkv_order", "--qkv-order", no_text, no_text},
};

}  // namespace

std::span<const UntoldField> untold_fields() { return kFields; }

std::string untold_options(std::uint32_t untold) {
  std::string options;
  for (const UntoldField& field : kFields)
    if ((untold & field.bit) != 0) options += (options.empty() ? "" : ", ") + std::string(field.option);
  return options;
}

std::string describe_assumed(std::uint32_t assumed, const Spec& spec) {
  std::string text;
  for (const UntoldField& field : kFields)
    if ((assumed & field.bit) != 0) text += (text.empty() ? "" : ", ") + field.describe(spec);
  return text;
}

std::string assumed_json(std::uint32_t assumed, const Spec& spec) {
  io::JsonObject object;
  for (const UntoldField& field : kFields)
    if ((assumed & field.bit) != 0) object.add_json(field.name, field.json(spec));
  return object.text();
}

}  // namespace edgeattn::cli
