#include <algorithm>
#include <deque>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string>

#include "harness.h"
#include "tensors.h"

/// Chains of view operations with the results that PyTorch gave them (make_tensor_chains.py, which tells the format).
namespace edgeattn::test {
namespace {

constexpr std::size_t kChains = 1000;

using Numbers = std::vector<std::ptrdiff_t>;

/// The numbers up to a colon or the end.
Numbers read_numbers(std::istream& text) {
  Numbers numbers;
  for (std::string word; text >> word && word != ":";) numbers.push_back(std::stol(word));
  return numbers;
}

std::vector<std::string> pieces_of(const std::string& line) {
  std::vector<std::string> pieces;
  std::stringstream stream(line);
  for (std::string piece; std::getline(stream, piece, '|');) pieces.push_back(piece);
  return pieces;
}

/// A tensor on its way through a chain.
class Chain {
 public:
  explicit Chain(const Numbers& sizes) {
    TensorLayout layout;
    REQUIRE_OK(lay_out(sizes, layout));
    std::vector<int>& elements = memory_.emplace_back(layout.elements());
    std::iota(elements.begin(), elements.end(), 0);
    REQUIRE_OK(wrap(elements, sizes, tensor_));
  }

  const TensorView<int>& tensor() const { return tensor_; }

  Status step(char kind, const Numbers& numbers, std::istream& rest) {
    switch (kind) {
      case 'p': return permute(tensor_, numbers, tensor_);
      case 't': return transpose(tensor_, numbers.at(0), numbers.at(1), tensor_);
      case 'v': return view(tensor_, numbers, tensor_);
      case 'c': return contiguous(tensor_, memory_.emplace_back(tensor_.elements()), tensor_);
      case 's': {
        const std::ptrdiff_t size = numbers.at(0), dim = numbers.at(1);
        std::size_t d = 0;
        EDGEATTN_TRY(find_dim(tensor_.rank(), dim, d));
        const std::size_t each = static_cast<std::size_t>(size);
        std::vector<TensorView<int>> parts(std::max<std::size_t>((tensor_.size(d) + each - 1) / each, 1));
        EDGEATTN_TRY(split(tensor_, size, dim, parts));
        tensor_ = parts.at(static_cast<std::size_t>(numbers.at(2)));
        return {};
      }
      case 'l': {
        const Numbers sizes = read_numbers(rest);
        std::vector<TensorView<int>> parts(sizes.size());
        EDGEATTN_TRY(split(tensor_, sizes, numbers.at(0), parts));
        tensor_ = parts.at(static_cast<std::size_t>(numbers.at(1)));
        return {};
      }
      default: FAIL("an unknown step"); return {};
    }
  }

 private:
  TensorView<int> tensor_;
  std::deque<std::vector<int>> memory_;  // of the first tensor and of its copies
};

TEST_CASE("chains of view operations give what PyTorch gives") {
  std::ifstream file(std::string(data_directory()) + "/tensor-chains.txt");
  REQUIRE(file.is_open());
  std::size_t chains = 0, refused = 0;
  for (std::string line; std::getline(file, line); ++chains) {
    CAPTURE(line);
    const std::vector<std::string> pieces = pieces_of(line);
    std::istringstream first(pieces.front()), last(pieces.back());
    Chain chain(read_numbers(first));
    for (std::size_t i = 1; i + 1 < pieces.size(); ++i) {
      CAPTURE(pieces[i]);
      std::istringstream text(pieces[i]);
      char kind = 0, sign = 0;
      text >> kind >> sign;
      const Numbers numbers = read_numbers(text);
      const Status status = chain.step(kind, numbers, text);
      CHECK_MESSAGE(status.ok() == (sign != '!'), std::string(status.message()));
      if (sign == '!') {
        ++refused;
      } else {
        CHECK(is_contiguous(chain.tensor()) == (sign == '+'));
      }
    }
    const Numbers sizes = read_numbers(last), elements = read_numbers(last);
    CHECK(sizes_of(chain.tensor()) == Sizes(sizes.begin(), sizes.end()));
    CHECK(elements_of(chain.tensor()) == std::vector<int>(elements.begin(), elements.end()));
  }
  CHECK(chains == kChains);
  CHECK(refused > kChains / 20);
}

}  // namespace
}  // namespace edgeattn::test
