#include "cli/bound_block.h"
#include "cli/check_writable.h"
#include "cli/command.h"
#include "cli/failure.h"
#include "cli/places.h"
#include "cli/text.h"
#include "edgeattn/io.h"

namespace edgeattn::cli {

std::string fold_command(const FoldOptions& options) {
  check_writable(*options.output);
  const io::BlockWeights weights = read_weights(options);
  const Machine machine = detect_machine();
  const Pool pool = make_pool(threads_of(options, machine));
  io::BlockWeights folded;
  check(io::fold_block(weights, machine, folded, pool.get()), *options.weights + ", block '" + weights.prefix + "': ");
  check(io::write_folded(target_of(*options.output), folded));
  return "folded  '" + folded.prefix + "', " + std::to_string(folded.spec.channels) + " channels, " +
         describe(folded.spec) + "\noutput  " + *options.output + "\n";
}

}  // namespace edgeattn::cli
