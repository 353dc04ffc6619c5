// SPDX-License-Identifier: Apache-2.0
// Which process this is, counted by forks.
#pragma once

namespace mooncake::python {

// Another number in each forked child. What was made under another one has threads, connections and
// files that are the parent's: it is left alone, and never freed.
//
// Thread rule: any thread.
unsigned processNumber();

// To be called once, before anything that it tells apart is made.
void watchForks();

}  // namespace mooncake::python
