#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "counted_malloc.h"
#include "edgeattn/edgeattn.h"
#include "edgeattn/edgeattn_io.h"
#include "edgeattn/tensor.h"
#include "files.h"
#include "harness.h"
#include "weights_file.h"

/// Every public call with its first allocation failing, its second, … until it needs no more: a status each time, nothing lost,
/// nothing half done.
namespace edgeattn::test {
namespace {

/// A public call.
struct Call {
  const char* name;
  std::function<Status()> run;
  std::function<bool()> untouched = [] { return true; };  ///< whether results are as they were
  std::function<void()> discard = [] {};                  ///< gives up what a good call made
  StatusCode outcome = StatusCode::kOk;                   ///< with all the memory that it asks for
  int spared = 0;                                         ///< allocations that a good call does without: std::stable_sort's
};

enum class Nth { kFailed, kSpared, kNotReached };

/// Checks the call with its nth allocation failing.
Nth check_nth(const Call& call, long nth, Failing how) {
  const long before = count().live_bytes;
  Status status;
  bool failed = false;
  {
    const FailingAllocation failing(nth, how);
    status = call.run();
    failed = failing.happened();
  }
  // A call that fails anyway may do without memory for libc's words about it.
  const bool spared = failed && (call.spared > 0 || call.outcome != StatusCode::kOk) && status.code() == call.outcome;
  const bool untouched = status.ok() || call.untouched();
  call.discard();
  const long kept = count().live_bytes - before;

  CAPTURE(nth);
  CAPTURE(std::string(status.message()));
  REQUIRE(status.code() == (failed && !spared ? StatusCode::kOutOfMemory : call.outcome));
  CHECK((status.message()[0] == '\0') == status.ok());
  CHECK(untouched);
  CHECK(kept == 0);
  return spared ? Nth::kSpared : failed ? Nth::kFailed : Nth::kNotReached;
}

void check_faults(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    CAPTURE(std::string(call.name));
    long allocations = 0;
    for (const Failing how : {Failing::kOnce, Failing::kFromThereOn}) {
      int spared = 0;
      Nth nth{};
      for (allocations = 0; (nth = check_nth(call, allocations + 1, how)) != Nth::kNotReached; ++allocations)
        spared += nth == Nth::kSpared;
      CHECK((spared <= call.spared || call.outcome != StatusCode::kOk));
    }
    std::printf("%4ld allocations failed one by one: %s\n", allocations, call.name);
  }
}

/// Calls that need no memory at all: nothing can fail.
void check_no_allocation(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    CAPTURE(std::string(call.name));
    CHECK(check_nth(call, 1, Failing::kFromThereOn) == Nth::kNotReached);
  }
}

#if EDGEATTN_XNNPACK
/// What a process of its own that has not used XNNPACK yet exits with.
template <class Child>
int exit_code_of(Child child) {
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) _exit(child());
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// What XNNPACK takes a want of memory in cpuinfo for: that of 2024 for a processor that it does not support.
#if EDGEATTN_XNNPACK_2024
constexpr StatusCode kOfCpuinfo = StatusCode::kGemm;
#else
constexpr StatusCode kOfCpuinfo = StatusCode::kOutOfMemory;
#endif

// The first case of this file: nothing has used XNNPACK yet.
TEST_CASE("allocations of the process's first probe fail one by one") {
  const Machine machine = detect_machine();
  constexpr int kAllMemory = 100, kRecovered = 101, kStays = 102;
  for (const Failing how : {Failing::kOnce, Failing::kFromThereOn}) {
    int code = 0, recovered = 0, stays = 0;
    for (long nth = 1; code != kAllMemory; ++nth) {
      CAPTURE(nth);
      code = exit_code_of([&] {
        Gemm traits;
        Status status;
        bool failed = false;
        {
          const FailingAllocation failing(nth, how);
          status = gemm_traits(machine, traits, GemmChoice::kXnnpack);
          failed = failing.happened();
        }
        if (!failed) return status.ok() ? kAllMemory : 1;
        if (status.code() != StatusCode::kOutOfMemory && status.code() != kOfCpuinfo) return 10 + static_cast<int>(status.code());
        if (traits.probe != nullptr || traits.operator_bytes != 0) return 2;
        const Status again = gemm_traits(machine, traits, GemmChoice::kXnnpack);
        if (again.ok()) return kRecovered;
        return again.code() == kOfCpuinfo ? kStays : 3;
      });
      CAPTURE(code);
      REQUIRE((code == kAllMemory || code == kRecovered || code == kStays));
      recovered += code == kRecovered;
      stays += code == kStays;
    }
    std::printf("%4d allocations of the first probe, %d of them for good\n", recovered + stays, stays);
    CHECK(recovered > 0);
  }
}
#endif

const Spec kSpec{.channels = 24, .groups = 3};
const Shape kShape{1, 9, 8};

std::span<std::byte> span_of(AlignedBytes& bytes) { return {bytes.data(), bytes.size()}; }

TEST_CASE("allocations of the core fail one by one") {
  const Machine machine = detect_machine();
  const PlanOptions options = options_under_test({.threads = 2, .key_block = 32});
  const io::BlockWeights weights = random_weights(kSpec, 81);
  Gemm traits;
  Plan planned;
  BmmPlan product;
  Prepared prepared;
  std::size_t bytes = 0;
  Plan whole;
  REQUIRE_OK(plan(kSpec, kShape, options, machine, gemm(), whole));
  AlignedBytes memory(whole.prepared_bytes), persistent(whole.persistent_bytes), scratch(whole.scratch_bytes);
  check_faults({
      {.name = "gemm_traits",
       .run = [&] { return gemm_traits(machine, traits); },
       .untouched = [&] { return traits.probe == nullptr && traits.operator_bytes == 0; },
       .discard = [&] { traits = {}; }},
      {.name = "plan",
       .run = [&] { return plan(kSpec, kShape, options, machine, gemm(), planned); },
       .untouched = [&] { return planned.scratch_bytes == 0; },
       .discard = [&] { planned = {}; }},
      {.name = "plan of a product",
       .run = [&] { return plan(BmmShape{5, 6, 7}, gemm(), product); },
       .untouched = [&] { return product.scratch_bytes == 0; },
       .discard = [&] { product = {}; }},
      {.name = "prepared_bytes",
       .run = [&] { return prepared_bytes(kSpec, detect_machine(), gemm(), bytes); },
       .untouched = [&] { return bytes == 0; },
       .discard = [&] { bytes = 0; }},
      {.name = "prepare",
       .run = [&] { return prepare(kSpec, weights.view(), machine, gemm(), span_of(memory), prepared); },
       .untouched = [&] { return prepared.norm == nullptr; },
       .discard = [&] { prepared = {}; }},
  });

  std::vector<float> folded(2 * kSpec.channels * (kSpec.channels + 1)), x(kSpec.channels * kShape.tokens(), 1.0f);
  const std::span<float> all(folded);
  const std::size_t square = kSpec.channels * kSpec.channels;
  const FoldedSpans spans{all.subspan(0, square), all.subspan(square, kSpec.channels), all.subspan(square + kSpec.channels, square),
                          all.last(kSpec.channels)};
  REQUIRE_OK(prepare(kSpec, weights.view(), machine, gemm(), span_of(memory), prepared));
  REQUIRE_OK(plan(BmmShape{5, 6, 7}, gemm(), product));
  AlignedBytes product_persistent(product.persistent_bytes), product_scratch(product.scratch_bytes);
  const Pool pool = make_pool(2);
  Block block;
  Bmm bound;
  check_no_allocation({
      {.name = "detect_machine",
       .run = [&] { return detect_machine() == machine ? Status() : Status::error(StatusCode::kMismatch, "another machine"); }},
      {.name = "fold", .run = [&] { return fold(kSpec, weights.view(), machine, spans); }},
      {.name = "bind",
       .run = [&] { return edgeattn::bind(whole, prepared, span_of(persistent), span_of(scratch), pool.get(), block); }},
      {.name = "run", .run = [&] { return block.run(x.data(), x.data()); }},
      {.name = "bind a product",
       .run = [&] { return edgeattn::bind(product, span_of(product_persistent), span_of(product_scratch), bound); }},
  });
}

TEST_CASE("operators that are refused are not bound") {
  Plan planned;
  REQUIRE_OK(plan(kSpec, kShape, options_under_test({.threads = 2, .key_block = 32}), detect_machine(), gemm(), planned));
  const io::BlockWeights weights = random_weights(kSpec, 83);
  AlignedBytes memory(planned.prepared_bytes), persistent(planned.persistent_bytes), scratch(planned.scratch_bytes);
  Prepared prepared;
  REQUIRE_OK(prepare(kSpec, weights.view(), detect_machine(), gemm(), span_of(memory), prepared));
  Block block;
  planned.operator_bytes -= 64;  // there is no room for an operator, so XNNPACK is refused its memory
  const bool own = planned.gemm_name == std::string_view("edgeattn");
  CHECK_FAILS(edgeattn::bind(planned, prepared, span_of(persistent), span_of(scratch), nullptr, block), StatusCode::kGemm,
              own ? "an operator takes 64 bytes, given 0" : "XNNPACK refused a 24 to 24 operator");
  CHECK_FAILS(block.run(memory.floats(), memory.floats()), StatusCode::kInvalidArgument, "not bound");
}

/// Weights files in a folder of their own.
struct Files {
  Files() {
    WeightsFile ddpm, parts, guided, folded, two;
    ddpm.add_ddpm("am.");
    parts.add_block("", kDiffusers, {});
    guided.add_block("", kGuidedDiffusion, {1});
    folded.add_folded("am.");
    two.add_ddpm("a.");
    two.add_ddpm("b.");
    write_file(folder / "ddpm", ddpm.bytes());
    write_file(folder / "diffusers", parts.bytes());
    write_file(folder / "guided", guided.bytes());
    write_file(folder / "folded", folded.bytes());
    write_file(folder / "two", two.bytes());
    write_file(folder / "hostile", safetensors("{\"x\":[}"));
    write_file(folder / "foreign", "<!DOCTYPE html>");
    write_file(folder / "one", safetensors(kGoodHeader, zeros(8)));
    write_file(folder / "index", R"({"weight_map":{"x":"one"}})");
    write_file(folder / "lacking", R"({"weight_map":{"x":"one","y":"another"}})");
  }
  [[nodiscard]] io::SafetensorsFile open(const char* name) const {
    io::SafetensorsFile file;
    REQUIRE_OK(io::SafetensorsFile::open(folder / name, file));
    return file;
  }

  TempDirectory folder;
};

TEST_CASE("allocations of reading weights fail one by one") {
  const Files files;
  const std::string missing = files.folder / "missing", hostile = files.folder / "hostile", ddpm = files.folder / "ddpm",
                    foreign = files.folder / "foreign", index = files.folder / "index", lacking = files.folder / "lacking";
  const std::string bytes = read_file(ddpm), no_prefix = "zz.";
  const io::SafetensorsFile ddpm_file = files.open("ddpm"), diffusers = files.open("diffusers"), guided = files.open("guided"),
                            folded = files.open("folded"), two = files.open("two");
  io::SafetensorsFile file;
  const auto closed = [&] { return file.tensors().empty() && file.path().empty(); };
  const auto close = [&] { file = {}; };
  std::vector<float> values;
  std::vector<io::BlockEntry> blocks;
  io::BlockWeights weights;
  const auto no_weights = [&] { return weights.style.empty() && weights.out_weight.empty(); };
  const auto drop_weights = [&] { const io::BlockWeights dropped = std::move(weights); };
  // Without a known prefix, all blocks are looked for.
  const auto load = [&](const char* name, const io::SafetensorsFile& from, const io::BlockRequest& request,
                        StatusCode outcome = StatusCode::kOk) {
    return Call{.name = name,
                .run = [&weights, &from, request] { return io::load_block(from, request, weights); },
                .untouched = no_weights,
                .discard = drop_weights,
                .outcome = outcome,
                .spared = 1};
  };
  check_faults({
      {.name = "open", .run = [&] { return io::SafetensorsFile::open(ddpm, file); }, .untouched = closed, .discard = close},
      {.name = "open no file",
       .run = [&] { return io::SafetensorsFile::open(missing, file); },
       .untouched = closed,
       .discard = close,
       .outcome = StatusCode::kNotFound},
      {.name = "open a hostile file",
       .run = [&] { return io::SafetensorsFile::open(hostile, file); },
       .untouched = closed,
       .discard = close,
       .outcome = StatusCode::kFormat},
      {.name = "open another kind of file",
       .run = [&] { return io::SafetensorsFile::open(foreign, file); },
       .untouched = closed,
       .discard = close,
       .outcome = StatusCode::kFormat},
      {.name = "open an index",
       .run = [&] { return io::SafetensorsFile::open(index, file); },
       .untouched = closed,
       .discard = close},
      {.name = "open an index that lacks a shard",
       .run = [&] { return io::SafetensorsFile::open(lacking, file); },
       .untouched = closed,
       .discard = close,
       .outcome = StatusCode::kNotFound},
      {.name = "open a pipe",
       .run =
           [&] {
             int ends[2];
             if (::pipe(ends) != 0 || ::write(ends[1], bytes.data(), bytes.size()) < 0)
               return Status::error(StatusCode::kIo, "no pipe");
             ::close(ends[1]);
             const Status status = io::SafetensorsFile::open("/dev/fd/" + std::to_string(ends[0]), file);
             ::close(ends[0]);
             return status;
           },
       .untouched = closed,
       .discard = close},
      {.name = "parse",
       .run = [&] { return io::SafetensorsFile::parse(bytes_of(bytes), "the bytes of a file in memory", file); },
       .untouched = closed,
       .discard = close},
      {.name = "read",
       .run = [&] { return ddpm_file.read(ddpm_file.tensors()[0], values); },
       .untouched = [&] { return values.empty(); },
       .discard = [&] { values = std::vector<float>(); }},
      {.name = "find_blocks",
       .run = [&] { return io::find_blocks(two, blocks); },
       .untouched = [&] { return blocks.empty(); },
       .discard = [&] { blocks = std::vector<io::BlockEntry>(); },
       .spared = 1},
      load("load_block, ddpm", ddpm_file, {.groups = 2}),
      load("load_block, diffusers", diffusers, {.groups = 2, .eps = 1e-6, .heads = 1}),
      load("load_block, guided-diffusion, legacy order", guided, {.groups = 2, .heads = 2, .qkv_order = io::QkvOrder::kLegacy}),
      load("load_block, folded", folded, {}),
      load("load_block, which of two", two, {}, StatusCode::kNotFound),
      load("load_block, no such prefix", two, {.prefix = &no_prefix}, StatusCode::kNotFound),
      load("load_block, groups that do not fit", ddpm_file, {.groups = 3}, StatusCode::kInvalidArgument),
      load("load_block, other eps than folded with", folded, {.eps = 1e-3}, StatusCode::kInvalidArgument),
  });
}

TEST_CASE("allocations of writing fail one by one, and leave no file behind") {
  const TempDirectory folder;
  const std::string fresh = folder / "a-name-that-is-not-short", old = folder / "old-name-that-is-not-short";
  const std::string nowhere = folder / "no-such-folder/file";
  write_file(old, "kept");
  const io::BlockWeights trained = random_weights(kSpec, 82);
  io::BlockWeights folded, made;
  REQUIRE_OK(io::fold_block(trained, detect_machine(), folded));
  const std::vector<float> six(6), x(kSpec.channels * kShape.batch * kShape.tokens());
  io::ExactOutput exact;
  const std::size_t shape[] = {2, 3};
  const std::vector<io::NamedTensor> tensors = {{"first", {2, 3}, six}, {"second", {6}, six}};
  const io::Metadata metadata = {{"key", "a value that is not short"}};
  const auto untouched = [&] { return folder.entries() == 1 && read_file(old) == "kept"; };
  const auto discard = [&] {
    std::filesystem::remove(fresh);
    write_file(old, "kept");
  };
  check_faults({
      {.name = "write_safetensors",
       .run = [&] { return io::write_safetensors(fresh, tensors, metadata); },
       .untouched = untouched,
       .discard = discard},
      {.name = "write_safetensors, one tensor, over an old file",
       .run = [&] { return io::write_safetensors(old, "output", shape, six); },
       .untouched = untouched,
       .discard = discard},
      {.name = "write_safetensors, 16 bits",
       .run = [&] { return io::write_safetensors(fresh, "output", shape, six, io::Dtype::kBf16); },
       .untouched = untouched,
       .discard = discard},
      {.name = "write_safetensors, no such folder",
       .run = [&] { return io::write_safetensors(nowhere, "output", shape, six); },
       .untouched = untouched,
       .discard = discard,
       .outcome = StatusCode::kIo},
      {.name = "write_text", .run = [&] { return io::write_text(fresh, "text"); }, .untouched = untouched, .discard = discard},
      {.name = "write_folded",
       .run = [&] { return io::write_folded(fresh, folded); },
       .untouched = untouched,
       .discard = discard},
      {.name = "fold_block",
       .run = [&] { return io::fold_block(trained, detect_machine(), made); },
       .untouched = [&] { return made.style.empty(); },
       .discard = [&] { made = {}; }},
      {.name = "random_block",
       .run = [&] { return io::random_block({.channels = 4, .norm = Norm::kBatch}, 1, made); },
       .untouched = [&] { return made.style.empty(); },
       .discard = [&] { made = {}; }},
      {.name = "exact_output",
       .run = [&] { return io::exact_output(trained, kShape, Layout::kNchw, x, nullptr, exact); },
       .untouched = [&] { return exact.y.empty(); },
       .discard = [&] { exact = {}; }},
  });
}

TEST_CASE("allocations of reports fail one by one") {
  io::BenchReport bench{.plan = {}, .reps = 5, .best_ms = 1, .median_ms = 2, .fma_peak_gflops = 100, .phase_ms = {0, 1, 2, 3, 4}};
  REQUIRE_OK(plan(kSpec, kShape, options_under_test({.threads = 2}), detect_machine(), gemm(), bench.plan));
  std::string text = "before";
  const auto call = [&](const char* name, auto report, const auto& of) {
    return Call{.name = name,
                .run = [&text, report, &of] { return report(of, text); },
                .untouched = [&text] { return text == "before"; },
                .discard = [&text] { std::string("before").swap(text); }};
  };
  check_faults({call("plan_text", io::plan_text, bench.plan), call("plan_json", io::plan_json, bench.plan),
                call("plan_svg", io::plan_svg, bench.plan), call("bench_text", io::bench_text, bench),
                call("bench_json", io::bench_json, bench), call("bench_svg", io::bench_svg, bench)});
}

TEST_CASE("C: allocations fail one by one") {
  const Files files;
  const std::string path = files.folder / "ddpm", bytes = read_file(path);
  edgeattn_message message;
  const auto status = [&](edgeattn_status code) {
    return code == EDGEATTN_OK ? Status() : Status::error(static_cast<StatusCode>(code), message.text);
  };
  auto spec = sized<edgeattn_spec>();
  spec.channels = kChannels;
  spec.groups = 2;
  spec.eps = 1e-5;
  const edgeattn_shape shape{.size = sizeof shape, .batch = 1, .height = 8, .width = 8};
  AlignedBytes memory(edgeattn_plan_bytes());
  edgeattn_plan* plan = nullptr;
  edgeattn_file* file = nullptr;
  edgeattn_loaded* loaded = nullptr;
  const auto close = [&] {
    edgeattn_close_file(file);
    file = nullptr;
  };
  const auto no_file = [&] { return file == nullptr; };
  const auto make_plan = [&] {
    return status(edgeattn_make_plan(memory.data(), memory.size(), &spec, &shape, nullptr, &plan, &message));
  };
  check_faults({
      {.name = "edgeattn_initialize", .run = [&] { return status(edgeattn_initialize(&message)); }},
      {.name = "edgeattn_make_plan",
       .run = make_plan,
       .untouched = [&] { return plan == nullptr; },
       .discard = [&] { plan = nullptr; }},
      {.name = "edgeattn_open_file",
       .run = [&] { return status(edgeattn_open_file(path.c_str(), &file, &message)); },
       .untouched = no_file,
       .discard = close,
       .spared = 1},
      {.name = "edgeattn_open_memory",
       .run = [&] { return status(edgeattn_open_memory(bytes.data(), bytes.size(), "the bytes of a file", &file, &message)); },
       .untouched = no_file,
       .discard = close,
       .spared = 1},
  });

  REQUIRE_OK(make_plan());
  REQUIRE_OK(status(edgeattn_open_file(path.c_str(), &file, &message)));
  auto request = sized<edgeattn_request>();
  request.prefix = "am.";
  request.groups = 2;
  const auto load = [&] { return status(edgeattn_load_block(file, &request, &loaded, &message)); };
  auto info = sized<edgeattn_plan_info>();
  REQUIRE_OK(status(edgeattn_describe_plan(plan, &info, &message)));
  AlignedBytes prepared_memory(info.prepared_bytes), persistent(info.persistent_bytes), scratch(info.scratch_bytes);
  const edgeattn_prepared* prepared = nullptr;
  auto weights = sized<edgeattn_weights>();
  std::vector<float> values(kChannels, 42.0f), x(kChannels * 64, 1.0f);
  const auto prepare = [&] {
    return status(edgeattn_prepare(plan, &weights, prepared_memory.data(), prepared_memory.size(), &prepared, &message));
  };
  check_faults({
      {.name = "edgeattn_load_block",
       .run = load,
       .untouched = [&] { return loaded == nullptr; },
       .discard =
           [&] {
             edgeattn_free_block(loaded);
             loaded = nullptr;
           }},
      {.name = "edgeattn_read_tensor",
       .run = [&] { return status(edgeattn_read_tensor(file, "am.norm.bias", values.data(), values.size(), &message)); },
       .untouched = [&] { return values[0] == 42.0f; },
       .discard = [&] { values[0] = 42.0f; }},
  });
  REQUIRE_OK(load());
  REQUIRE_OK(status(edgeattn_view_block(loaded, nullptr, &weights, &message)));
  check_faults({{.name = "edgeattn_prepare",
                 .run = prepare,
                 .untouched = [&] { return prepared == nullptr; },
                 .discard = [&] { prepared = nullptr; }}});

  REQUIRE_OK(prepare());
  edgeattn_block* block = nullptr;
  auto sum = sized<edgeattn_memory>();
  auto tensor = sized<edgeattn_tensor>();
  check_no_allocation({
      {.name = "edgeattn_describe_plan", .run = [&] { return status(edgeattn_describe_plan(plan, &info, &message)); }},
      {.name = "edgeattn_sum_memory", .run = [&] { return status(edgeattn_sum_memory(&plan, 1, &sum, &message)); }},
      {.name = "edgeattn_bind",
       .run =
           [&] {
             return status(edgeattn_bind(plan, prepared, persistent.data(), persistent.size(), scratch.data(), scratch.size(),
                                         nullptr, &block, &message));
           }},
      {.name = "edgeattn_run", .run = [&] { return status(edgeattn_run(block, x.data(), x.data(), &message)); }},
      {.name = "edgeattn_view_block", .run = [&] { return status(edgeattn_view_block(loaded, &spec, &weights, &message)); }},
      {.name = "edgeattn_find_tensor",
       .run = [&] { return status(edgeattn_find_tensor(file, "am.norm.bias", &tensor, &message)); }},
      {.name = "edgeattn_find_tensor, no such tensor",
       .run = [&] { return status(edgeattn_find_tensor(file, "a name that is not there", &tensor, &message)); },
       .outcome = StatusCode::kNotFound},
      {.name = "edgeattn_block_count and _prefix",
       .run =
           [&] {
             const bool right = edgeattn_block_count(file) == 1 && edgeattn_block_prefix(file, 0) == std::string_view("am.");
             return right ? Status() : Status::error(StatusCode::kMismatch, "count or prefix");
           }},
  });
  edgeattn_free_block(loaded);
  close();
}

}  // namespace
}  // namespace edgeattn::test
