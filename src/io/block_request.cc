#include "block_request.h"

#include <cmath>

#include "errors.h"
#include "number.h"

namespace edgeattn::io {
namespace {

/// Fails with `path: parts…`.
class Complaint {
 public:
  explicit Complaint(const SafetensorsFile& file) : file_(file) {}

  template <class... Parts>
  Status operator()(Parts... parts) const {
    return file_error(StatusCode::kInvalidArgument, file_.path(), parts...);
  }

 private:
  const SafetensorsFile& file_;
};

/// Whether the chosen spec is the one that the weights were folded for, where that says anything.
Status check_folded(const SafetensorsFile& file, const Spec& own, const Spec& spec) {
  const Complaint fail(file);
  const auto differ = [&](const char* name, const std::string& expected, const std::string& given) {
    return fail(name, ": the weights were folded for ", expected.c_str(), ", given ", given.c_str());
  };
  const auto quoted = [](const char* name) { return '\'' + std::string(name) + '\''; };
  const auto yes_or_no = [](bool value) { return std::string(value ? "true" : "false"); };
  if (spec.norm != own.norm) return differ("norm", quoted(to_string(own.norm)), quoted(to_string(spec.norm)));
  if (own.norm == Norm::kGroup && spec.groups != own.groups)
    return differ("groups", to_text(own.groups), to_text(spec.groups));
  if (own.norm != Norm::kNone && spec.eps != own.eps) return differ("eps", to_text(own.eps), to_text(spec.eps));
  if (spec.heads != own.heads) return differ("heads", to_text(own.heads), to_text(spec.heads));
  if (spec.residual != own.residual)
    return differ("residual", yes_or_no(own.residual), yes_or_no(spec.residual));
  if (spec.rescale_output != own.rescale_output)
    return differ("rescale_output", to_text(own.rescale_output), to_text(spec.rescale_output));
  return {};
}

/// Asks for what files of this style do not tell.
Status check_answers(const SafetensorsFile& file, const KeyStyle& style, const BlockRequest& request, const Spec& spec) {
  const Complaint fail(file);
  const std::uint32_t needed = open_questions(style, request, spec).needed;
  if ((needed & Untold::kEps) != 0) {
    return fail("eps: expected a number above 0, because style ", style.name,
                " has two and its files do not tell which: 1e-6 (VAEs) or 1e-5, given none (--eps)");
  }
  if ((needed & Untold::kHeads) != 0) {
    return fail("heads: expected how many, because files of style ", style.name, " do not tell, given none (--heads)");
  }
  if ((needed & Untold::kGroups) != 0) {
    return fail("groups: expected how many, because files of style ", style.name, " do not tell, and the usual ", spec.groups,
                " do not divide the ", spec.channels, " channels, given none (--groups)");
  }
  if (!style.any_order && request.qkv_order != QkvOrder::kUnsaid) {
    return fail("qkv_order: style ", style.name, " has but one, given ", to_string(request.qkv_order));
  }
  if ((needed & Untold::kQkvOrder) != 0) {
    return fail("qkv_order: expected new or legacy, because files of style ", style.name,
                " with several heads do not tell, given none (--qkv-order)");
  }
  return {};
}

/// The scale that was folded in; channels are known only when the tensors are.
Status check_folded_scale(const SafetensorsFile& file, const BlockRequest& request, const Spec& spec) {
  const double own = spec.scale != 0 ? spec.scale : 1 / std::sqrt(static_cast<double>(spec.head_channels()));
  if (request.scale == 0 || request.scale == own) return {};
  return Complaint(file)("scale: the weights were folded for ", to_text(own).c_str(), ", given ", to_text(request.scale).c_str());
}

}  // namespace

const char* to_string(QkvOrder order) noexcept {
  switch (order) {
    case QkvOrder::kUnsaid: return "unsaid";
    case QkvOrder::kNew: return "new";
    case QkvOrder::kLegacy: return "legacy";
  }
  return "?";
}

OpenQuestions open_questions(const KeyStyle& style, const BlockRequest& request, const Spec& spec) {
  OpenQuestions open;
  if (style.folded) return open;
  const auto ask = [](bool is_open, std::uint32_t bit, std::uint32_t& set) { set |= is_open ? bit : 0; };
  ask(request.heads == 0, Untold::kHeads, style.any_heads ? open.needed : open.assumed);
  const bool usual_fits = spec.channels % spec.groups == 0;
  ask(request.groups == 0 && spec.norm == Norm::kGroup, Untold::kGroups, usual_fits ? open.assumed : open.needed);
  ask(request.eps == 0 && spec.norm != Norm::kNone, Untold::kEps, style.eps == 0 ? open.needed : open.assumed);
  ask(request.rescale_output == 0 && style.any_rescale, Untold::kRescaleOutput, open.assumed);
  ask(request.qkv_order == QkvOrder::kUnsaid && style.any_order && spec.heads > 1, Untold::kQkvOrder, open.needed);
  return open;
}

Status apply_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, Spec& spec) {
  const Spec own = spec;
  if (request.norm != nullptr) spec.norm = *request.norm;
  if (request.groups != 0) spec.groups = request.groups;
  if (request.eps != 0) spec.eps = request.eps;
  if (request.heads != 0) spec.heads = request.heads;
  if (request.residual != nullptr) spec.residual = *request.residual;
  if (request.rescale_output != 0) spec.rescale_output = request.rescale_output;
  if (place.style->folded) return check_folded(file, own, spec);
  spec.scale = request.scale;
  return {};
}

Status check_request(const SafetensorsFile& file, const BlockPlace& place, const BlockRequest& request, const Spec& spec) {
  const Complaint fail(file);
  EDGEATTN_TRY(check_answers(file, *place.style, request, spec));
  if (place.style->folded) EDGEATTN_TRY(check_folded_scale(file, request, spec));
  if (!std::isfinite(spec.eps) || spec.eps <= 0)
    return fail("eps: expected a finite number above 0, given ", to_text(spec.eps).c_str());
  if (spec.norm == Norm::kGroup && (spec.groups == 0 || spec.channels % spec.groups != 0))
    return fail("groups: expected a divisor of the ", spec.channels, " channels, given ", spec.groups);
  if (!std::isfinite(spec.scale) || spec.scale < 0)
    return fail("scale: expected a finite number above 0, given ", to_text(spec.scale).c_str());
  if (spec.heads == 0 || spec.channels % spec.heads != 0)
    return fail("heads: expected a divisor of the ", spec.channels, " channels, given ", spec.heads);
  return {};
}

}  // namespace edgeattn::io
