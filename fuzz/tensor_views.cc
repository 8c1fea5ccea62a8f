#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "check.h"
#include "edgeattn/tensor.h"

/// Views of tensors against a list of where every element is; layouts of any sizes and strides against arithmetic that is twice as
/// wide.
namespace edgeattn::fuzz {
namespace {

using Wide = __int128;
using View = TensorView<std::uint8_t>;

constexpr std::size_t kElements = 96;

/// The elements of a view in the order of their indices, by address.
std::vector<const std::uint8_t*> places_of(const View& view) {
  if (view.elements() == 0) return {};
  std::vector<const std::uint8_t*> places = {view.data()};
  for (std::size_t d = 0; d < view.rank(); ++d) {
    std::vector<const std::uint8_t*> finer;
    for (const std::uint8_t* place : places)
      for (std::size_t i = 0; i < view.size(d); ++i) finer.push_back(place + i * view.stride(d));
    places = std::move(finer);
  }
  return places;
}

std::vector<std::ptrdiff_t> numbers(FuzzedDataProvider& input, std::ptrdiff_t low, std::ptrdiff_t high) {
  std::vector<std::ptrdiff_t> numbers(input.ConsumeIntegralInRange<std::size_t>(0, kMostDims + 1));
  for (std::ptrdiff_t& number : numbers) number = input.ConsumeIntegralInRange<std::ptrdiff_t>(low, high);
  return numbers;
}

void require_inside(const View& view, const std::vector<std::uint8_t>& memory) {
  for (const std::uint8_t* place : places_of(view))
    require(place >= memory.data() && place < memory.data() + memory.size(), "every element is in the memory");
}

void permute_any(FuzzedDataProvider& input, View& view) {
  std::vector<std::ptrdiff_t> dims(view.rank());
  std::iota(dims.begin(), dims.end(), 0);
  for (std::size_t i = dims.size(); i > 1; --i) std::swap(dims[i - 1], dims[input.ConsumeIntegralInRange<std::size_t>(0, i - 1)]);
  if (input.ConsumeBool()) dims = numbers(input, -9, 8);
  View made;
  if (!permute(view, Dims(dims), made).ok()) return;
  std::vector<bool> used(view.rank());
  for (std::size_t i = 0; i < made.rank(); ++i) {
    const auto from = static_cast<std::size_t>(dims[i] < 0 ? dims[i] + static_cast<std::ptrdiff_t>(view.rank()) : dims[i]);
    require(from < view.rank() && !used[from] && made.size(i) == view.size(from) && made.stride(i) == view.stride(from), "permuted");
    used[from] = true;
  }
  view = made;
}

void narrow_any(FuzzedDataProvider& input, View& view) {
  const auto dim = input.ConsumeIntegralInRange<std::ptrdiff_t>(-9, 8);
  const auto first = input.ConsumeIntegralInRange<std::size_t>(0, 12), size = input.ConsumeIntegralInRange<std::size_t>(0, 12);
  View made;
  if (!narrow(view, dim, first, size, made).ok()) return;
  const auto d = static_cast<std::size_t>(dim < 0 ? dim + static_cast<std::ptrdiff_t>(view.rank()) : dim);
  require(first + size <= view.size(d) && made.size(d) == size, "narrowed");
  view = made;
}

void split_any(FuzzedDataProvider& input, View& view) {
  const std::vector<std::ptrdiff_t> sizes = numbers(input, -1, 8);
  const auto dim = input.ConsumeIntegralInRange<std::ptrdiff_t>(-9, 8);
  std::vector<View> parts(input.ConsumeIntegralInRange<std::size_t>(0, kMostDims));
  const Status status = input.ConsumeBool() ? split(view, Dims(sizes), dim, std::span(parts))
                                            : split(view, input.ConsumeIntegralInRange<int>(-1, 9), dim, std::span(parts));
  if (!status.ok()) return;
  std::size_t elements = 0;
  for (const View& part : parts) elements += part.elements();
  require(elements == view.elements(), "the parts are the whole");
  if (!parts.empty()) view = parts[input.ConsumeIntegralInRange<std::size_t>(0, parts.size() - 1)];
}

void view_any(FuzzedDataProvider& input, View& view) {
  const std::vector<std::ptrdiff_t> sizes = numbers(input, -1, 12);
  View made;
  if (!edgeattn::view(view, Dims(sizes), made).ok()) return;
  require(places_of(made) == places_of(view), "the same elements in the same order");
  view = made;
}

void copy(View& view) {
  std::vector<std::uint8_t> buffer(view.elements());
  View made;
  require(contiguous(view, buffer, made).ok() && is_contiguous(made), "any tensor can be copied");
  const std::vector<const std::uint8_t*> from = places_of(view);
  for (std::size_t i = 0; i < from.size(); ++i) require(buffer[i] == *from[i], "copied in order");
}

void fuzz_views(FuzzedDataProvider& input) {
  std::vector<std::uint8_t> memory(input.ConsumeIntegralInRange<std::size_t>(0, kElements));
  std::iota(memory.begin(), memory.end(), std::uint8_t{0});
  View view;
  const std::vector<std::ptrdiff_t> sizes = numbers(input, 0, 6);
  const Status wrapped = input.ConsumeBool() ? wrap(memory, Dims(sizes), view) : wrap(memory, Dims(sizes), Dims(numbers(input, 0, 20)), view);
  if (!wrapped.ok()) return;
  for (int steps = 0; steps < 12 && input.remaining_bytes() > 0; ++steps) {
    if (view.elements() > 4096) return;  // repeated elements
    require_inside(view, memory);
    switch (input.ConsumeIntegralInRange(0, 4)) {
      case 0: permute_any(input, view); break;
      case 1: narrow_any(input, view); break;
      case 2: split_any(input, view); break;
      case 3: view_any(input, view); break;
      default: copy(view); break;
    }
  }
}

std::vector<std::ptrdiff_t> wide_numbers(FuzzedDataProvider& input) {
  std::vector<std::ptrdiff_t> numbers(input.ConsumeIntegralInRange<std::size_t>(0, kMostDims + 1));
  for (std::ptrdiff_t& number : numbers) number = input.ConsumeIntegral<std::ptrdiff_t>() >> input.ConsumeIntegralInRange(0, 63);
  return numbers;
}

/// Nothing here touches memory.
void fuzz_layouts(FuzzedDataProvider& input) {
  const std::vector<std::ptrdiff_t> sizes = wide_numbers(input), strides = wide_numbers(input);
  TensorLayout layout;
  const bool strided = input.ConsumeBool();
  const Status status = strided ? lay_out(Dims(sizes), Dims(strides), layout) : lay_out(Dims(sizes), layout);
  if (!status.ok()) return require(layout == TensorLayout(), "a refused layout is left alone");
  Wide elements = 1, last = 0;
  for (std::size_t d = 0; d < layout.rank; ++d) {
    elements *= static_cast<Wide>(layout.sizes[d]);
    last += (static_cast<Wide>(layout.sizes[d]) - 1) * static_cast<Wide>(layout.strides[d]);
  }
  require(static_cast<Wide>(layout.elements()) == elements, "elements");
  require(static_cast<Wide>(layout.extent()) == (elements == 0 ? 0 : last + 1), "extent");
  require(strided || layout.contiguous(), "contiguous");
  const TensorLayout merged = merge(layout);
  require(merged.elements() == layout.elements() && merged.extent() == layout.extent(), "merged");
  TensorLayout viewed;
  if (view(layout, Dims(wide_numbers(input)), viewed).ok())
    require(viewed.elements() == layout.elements() && viewed.extent() == layout.extent(), "viewed");
}

}  // namespace
}  // namespace edgeattn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  if (input.ConsumeBool()) {
    edgeattn::fuzz::fuzz_views(input);
  } else {
    edgeattn::fuzz::fuzz_layouts(input);
  }
  return 0;
}
