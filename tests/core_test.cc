#include <cpuinfo.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "harness.h"

/// The emulated processor is the one that XNNPACK and detect_machine see, and operands are packed as known of it.
namespace edgeattn::test {
namespace {

struct Core {
  std::string_view name;  ///< of tools/cross.sh
  cpuinfo_uarch uarch;
  std::uint32_t nr, sr;   ///< as XNNPACK of 2022 packs
  bool reduced = false;   ///< has dot products and arithmetic of half precision; none of these has matrix products
};

const Core kCores[] = {
    {"cortex-a15", cpuinfo_uarch_cortex_a15, 8, 1}, {"cortex-a53", cpuinfo_uarch_cortex_a53, 8, 1},
    {"cortex-a72", cpuinfo_uarch_cortex_a72, 8, 1}, {"cortex-a76", cpuinfo_uarch_cortex_a76, 8, 1, true},
    {"Nehalem", cpuinfo_uarch_nehalem, 8, 1},       {"Haswell", cpuinfo_uarch_haswell, 16, 1},
    {"EPYC", cpuinfo_uarch_zen, 16, 4},
};

TEST_CASE("XNNPACK and the planner see the core that is emulated") {
  const char* const name = std::getenv("EDGEATTN_CORE");
  REQUIRE_MESSAGE(name != nullptr, "EDGEATTN_CORE names no core");
  CAPTURE(name);
  const Core* const core = std::find_if(std::begin(kCores), std::end(kCores), [&](const Core& c) { return c.name == name; });
  REQUIRE(core != std::end(kCores));
  REQUIRE(cpuinfo_initialize());
  CHECK(cpuinfo_get_cores_count() > 0);
  CHECK(cpuinfo_get_core(0)->uarch == core->uarch);
  const Machine machine = detect_machine();
  CHECK(machine.dotprod == core->reduced);
  CHECK(machine.fp16 == core->reduced);
  CHECK(!machine.i8mm);
  CHECK(!machine.bf16);
#if EDGEATTN_XNNPACK_2022
  PanelLayout layout;
  REQUIRE_OK(gemm().probe(64, 64, layout));
  CHECK(layout.nr == core->nr);
  CHECK(layout.kr == 1);
  CHECK(layout.sr == core->sr);
#endif
}

}  // namespace
}  // namespace edgeattn::test
