// SPDX-License-Identifier: Apache-2.0
// Ports that make names of nodes different.
#pragma once

#include <cstdint>

namespace mooncake::python {

// A free TCP port from 12300 to 14300, where Mooncake's clients have theirs. As long as this lives
// no other one gets it; a listener with SO_REUSEADDR, as the engine has, can still have the port.
class NamedPort {
 public:
    NamedPort();
    ~NamedPort();
    NamedPort(const NamedPort&) = delete;
    NamedPort& operator=(const NamedPort&) = delete;

    // 0 where none is free.
    uint16_t number() const { return number_; }

 private:
    int fd_ = -1;
    uint16_t number_ = 0;
};

}  // namespace mooncake::python
