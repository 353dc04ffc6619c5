// SPDX-License-Identifier: Apache-2.0
// Whose an entry of the store is, and how to ask its owner whether it lives: who asks adds a member
// to the entry, and the owner, who looks after it, puts its own text back. Others ignore the
// member.
#pragma once

#include <string>

namespace mooncake {

struct RecordOwner {
    bool garbage = false;     // nobody's: no node could read it
    std::string incarnation;  // empty where its publisher writes none, as Mooncake's nodes do
    std::string challenge;    // the incarnation that asks whether the owner lives; empty: nobody
    std::string address;      // where it says its node is, for messages

    std::string text() const;  // for messages
};

RecordOwner ownerOf(const std::string& record);

// The record of a living owner with the question of the incarnation `by`. `record` is no garbage.
std::string withChallenge(const std::string& record, const std::string& by);

// Whether both say the same; servers may order and space the members of what they keep anew.
bool sayTheSame(const std::string& record, const std::string& other);

}  // namespace mooncake
