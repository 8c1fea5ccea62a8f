#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "edgeattn/edgeattn.h"
#include "edgeattn/edgeattn_io.h"
#include "weights_file.h"

/// Structs of any version of the C API, each in memory of its own that is as large as its `size` says: no call may touch more.
namespace edgeattn::fuzz {
namespace {

/// A caller's struct: `size` and bytes behind it. One that claims to be larger than any has its first 8 bytes only, of which
/// nothing more may be read.
class Given {
 public:
  Given(FuzzedDataProvider& input, std::size_t usual) {
    constexpr std::size_t kMost = 4096;
    std::size_t size = usual;
    if (input.ConsumeBool()) size = input.ConsumeBool() ? input.ConsumeIntegralInRange<std::size_t>(0, 2 * usual) : input.ConsumeIntegral<std::size_t>();
    bytes_.resize(size <= kMost ? std::max(size, sizeof size) : sizeof size);
    const std::vector<std::uint8_t> content = input.ConsumeBytes<std::uint8_t>(input.ConsumeIntegralInRange<std::size_t>(0, bytes_.size()));
    std::copy(content.begin(), content.end(), bytes_.begin());
    std::memcpy(bytes_.data(), &size, sizeof size);
    bytes_.shrink_to_fit();
  }

  /// Overwrites a field, as far as this version of the struct has it.
  template <class Field>
  void set(std::size_t offset, const Field& value) {
    if (offset + sizeof value <= bytes_.size()) {
      std::memcpy(bytes_.data() + offset, &value, sizeof value);
    } else if (offset < bytes_.size()) {
      std::fill(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), bytes_.end(), 0);
    }
  }

  /// A field, 0 if this version lacks it.
  [[nodiscard]] std::size_t get(std::size_t offset) const {
    std::size_t value = 0;
    if (offset + sizeof value <= bytes_.size()) std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  template <class Struct>
  Struct* as() { return reinterpret_cast<Struct*>(bytes_.data()); }
  [[nodiscard]] std::vector<std::uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

edgeattn_message message;

/// A status that is documented, and one line when it is no success.
bool good(edgeattn_status status) {
  const std::string text(message.text, strnlen(message.text, sizeof message.text));
  require(text.size() < sizeof message.text && text.empty() == (status == EDGEATTN_OK), "a message with every error: " + text);
  require(status >= EDGEATTN_OK && status <= EDGEATTN_FORMAT && status != EDGEATTN_GEMM, "a status: " + text);
  return status == EDGEATTN_OK;
}

/// Checks a call that writes a struct: its size stays, and so does all of it when the call fails.
template <class Struct, class Write>
void require_result(FuzzedDataProvider& input, Write write) {
  Given out(input, sizeof(Struct));
  const std::vector<std::uint8_t> before = out.bytes();
  const bool ok = good(write(out.as<Struct>()));
  require(ok ? std::memcmp(before.data(), out.bytes().data(), sizeof(std::size_t)) == 0 : before == out.bytes(), "results are whole or untouched");
}

struct CloseFile {
  void operator()(edgeattn_file* file) const { edgeattn_close_file(file); }
};
struct FreeBlock {
  void operator()(edgeattn_loaded* loaded) const { edgeattn_free_block(loaded); }
};

const edgeattn_file* weights_file() {
  static const std::string bytes = [] {
    test::WeightsFile weights;
    weights.add_ddpm("a.");
    weights.add_block("g.", test::kGuidedDiffusion, {1});
    return weights.bytes();
  }();
  static const std::unique_ptr<edgeattn_file, CloseFile> file([] {
    edgeattn_file* made = nullptr;
    require(edgeattn_open_memory(bytes.data(), bytes.size(), "weights", &made, &message) == EDGEATTN_OK, message.text);
    return made;
  }());
  return file.get();
}

/// Whether planning takes long: XNNPACK is probed with operands of so many elements, unless they are too many.
bool is_slow(const Given& spec, const Given& shape, const Given& options) {
  using Wide = unsigned __int128;
  const Wide channels = spec.get(offsetof(edgeattn_spec, channels));
  const Wide tokens = Wide{shape.get(offsetof(edgeattn_shape, height))} * shape.get(offsetof(edgeattn_shape, width));
  const Wide keys = std::min<Wide>(tokens, std::max<Wide>(256, options.get(offsetof(edgeattn_options, key_block))));
  const Wide elements = channels * std::max(channels, keys);
  return elements > (1u << 20) && elements < (Wide{1} << 33);
}

void fuzz_plan(FuzzedDataProvider& input) {
  Given spec(input, sizeof(edgeattn_spec)), shape(input, sizeof(edgeattn_shape)), options(input, sizeof(edgeattn_options));
  const auto small = [&](Given& given, std::size_t offset, std::size_t most) {
    if (input.ConsumeIntegralInRange(0, 7) > 0) given.set(offset, input.ConsumeIntegralInRange<std::size_t>(0, most));
  };
  // Most numbers that are no sizes are refused early.
  small(spec, offsetof(edgeattn_spec, channels), 40);
  small(spec, offsetof(edgeattn_spec, groups), 4);
  small(spec, offsetof(edgeattn_spec, heads), 4);
  if (input.ConsumeBool()) spec.set(offsetof(edgeattn_spec, eps), 1e-5);
  for (const std::size_t field : {offsetof(edgeattn_shape, batch), offsetof(edgeattn_shape, height), offsetof(edgeattn_shape, width)})
    small(shape, field, 20);
  small(options, offsetof(edgeattn_options, threads), 9);
  if (input.ConsumeBool()) options.set(offsetof(edgeattn_options, precision), input.ConsumeIntegralInRange<edgeattn_precision>(0, 2));

  if (is_slow(spec, shape, options)) return;

  // Not aligned to 64 bytes by itself.
  std::vector<std::uint8_t> memory(edgeattn_plan_bytes() + EDGEATTN_ALIGNMENT);
  auto* const place = memory.data() + (EDGEATTN_ALIGNMENT - reinterpret_cast<std::uintptr_t>(memory.data()) % EDGEATTN_ALIGNMENT);
  edgeattn_plan* plan = nullptr;
  const bool made = good(edgeattn_make_plan(place, edgeattn_plan_bytes(), spec.as<edgeattn_spec>(), shape.as<edgeattn_shape>(),
                                            input.ConsumeBool() ? nullptr : options.as<edgeattn_options>(), &plan, &message));
  require(made == (plan != nullptr), "a plan or none");
  if (!made) return;
  require_result<edgeattn_plan_info>(input, [&](edgeattn_plan_info* info) { return edgeattn_describe_plan(plan, info, &message); });
  const edgeattn_plan* const plans[] = {plan, plan};
  require_result<edgeattn_memory>(input, [&](edgeattn_memory* sum) { return edgeattn_sum_memory(plans, 2, sum, &message); });
}

void fuzz_weights(FuzzedDataProvider& input) {
  Given request(input, sizeof(edgeattn_request));
  const std::string prefix = input.ConsumeBool() ? "a." : input.ConsumeBool() ? "g." : input.ConsumeRandomLengthString(20);
  const edgeattn_norm norm = input.ConsumeIntegralInRange<edgeattn_norm>(-1, 4);
  request.set(offsetof(edgeattn_request, prefix), input.ConsumeIntegralInRange(0, 7) > 0 ? prefix.c_str() : nullptr);
  request.set(offsetof(edgeattn_request, norm), input.ConsumeBool() ? &norm : nullptr);
  if (input.ConsumeBool()) request.set(offsetof(edgeattn_request, groups), input.ConsumeIntegralInRange<std::size_t>(0, 4));
  if (input.ConsumeBool()) request.set(offsetof(edgeattn_request, heads), input.ConsumeIntegralInRange<std::size_t>(0, 4));
  if (input.ConsumeBool()) request.set(offsetof(edgeattn_request, eps), 1e-5);
  edgeattn_loaded* made = nullptr;
  const bool ok = good(edgeattn_load_block(weights_file(), request.as<edgeattn_request>(), &made, &message));
  require(ok == (made != nullptr), "a block or none");
  const std::unique_ptr<edgeattn_loaded, FreeBlock> loaded(made);
  if (!ok) return;
  require_result<edgeattn_spec>(input, [&](edgeattn_spec* spec) { return edgeattn_view_block(made, spec, nullptr, &message); });
  require_result<edgeattn_weights>(input,
                                   [&](edgeattn_weights* weights) { return edgeattn_view_block(made, nullptr, weights, &message); });
}

void fuzz_tensor(FuzzedDataProvider& input) {
  const std::string name = input.ConsumeBool() ? "a.to_qkv.weight" : input.ConsumeRandomLengthString(20);
  require_result<edgeattn_tensor>(
      input, [&](edgeattn_tensor* tensor) { return edgeattn_find_tensor(weights_file(), name.c_str(), tensor, &message); });
  std::vector<float> values(input.ConsumeIntegralInRange<std::size_t>(0, 60));
  float none = 0;
  static_cast<void>(good(edgeattn_read_tensor(weights_file(), name.c_str(), values.empty() ? &none : values.data(), values.size(), &message)));
}

}  // namespace
}  // namespace edgeattn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  switch (input.ConsumeIntegralInRange(0, 2)) {
    case 0: edgeattn::fuzz::fuzz_plan(input); break;
    case 1: edgeattn::fuzz::fuzz_weights(input); break;
    default: edgeattn::fuzz::fuzz_tensor(input); break;
  }
  return 0;
}
