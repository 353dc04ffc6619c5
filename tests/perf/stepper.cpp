// SPDX-License-Identifier: Apache-2.0
// stepper [-v] <program> [arguments]
//
// Runs a program and single-steps each of its threads from one breakpoint (int3) to that thread's
// next, one section after the other. Counts instructions, those that lock a cache line, and system
// calls. Prints a line of JSON: the least of all sections of each, and how many lines were locked
// in sections of every thread. With -v each locking instruction on standard error: section, thread,
// library, offset in it (addr2line -Cfe library offset), line. x86-64.
// Exit status: the program's; 1 when it has no section or ended otherwise.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr uint8_t kBreakpoint = 0xCC;
constexpr uint64_t kLine = 64;

struct Section {
    pid_t thread;
    long instructions = 0, locked = 0, systemCalls = 0;
    std::set<uint64_t> lines = {};
};

/// One decoded instruction, as far as it matters here.
struct Instruction {
    bool locks = false, systemCall = false, breakpoint = false;
    uint64_t address = 0;  // that it locks; 0 of a fence, which locks none
};

Instruction decode(const uint8_t* code, const user_regs_struct& registers) {
    Instruction result;
    result.breakpoint = code[0] == kBreakpoint;
    size_t at = 0;
    bool lock = false;
    uint8_t rex = 0;
    uint64_t base = 0;
    for (;; ++at) {
        const uint8_t byte = code[at];
        if (byte == 0xF0) {
            lock = true;
        } else if ((byte & 0xF0) == 0x40) {
            rex = byte;
        } else if (byte == 0x64) {
            base = registers.fs_base;
        } else if (byte == 0x65) {
            base = registers.gs_base;
        } else if (std::strchr("\x66\x67\x2E\x36\x3E\x26\xF2\xF3", byte) == nullptr || byte == 0) {
            break;
        }
    }
    const bool twoBytes = code[at] == 0x0F;
    const size_t opcode = twoBytes ? at + 1 : at;
    result.systemCall = twoBytes && code[opcode] == 0x05;
    const uint8_t modrm = code[opcode + 1];
    const uint8_t mode = modrm >> 6;
    const bool exchange = !twoBytes && (code[opcode] == 0x86 || code[opcode] == 0x87) && mode != 3;
    const bool fence = twoBytes && code[opcode] == 0xAE && modrm == 0xF0;
    result.locks = lock || exchange || fence;
    if (!result.locks || fence) return result;
    const uint64_t numbered[16] = {registers.rax, registers.rcx, registers.rdx, registers.rbx,
                                   registers.rsp, registers.rbp, registers.rsi, registers.rdi,
                                   registers.r8,  registers.r9,  registers.r10, registers.r11,
                                   registers.r12, registers.r13, registers.r14, registers.r15};
    size_t next = opcode + 2;
    const auto displacement = [&code, &next] {
        int32_t value = 0;
        std::memcpy(&value, code + next, sizeof(value));
        return static_cast<uint64_t>(static_cast<int64_t>(value));
    };
    uint64_t address = base;
    const uint8_t low = modrm & 7;
    if (low == 4) {
        const uint8_t sib = code[next++];
        const size_t index = static_cast<size_t>(((sib >> 3) & 7) | ((rex & 2) << 2));
        if (index != 4) address += numbered[index] << (sib >> 6);
        if ((sib & 7) == 5 && mode == 0) {
            address += displacement();
        } else {
            address += numbered[static_cast<size_t>((sib & 7) | ((rex & 1) << 3))];
        }
    } else if (low == 5 && mode == 0) {
        // Relative to the next instruction: none of those that lock with such an address has more
        // behind the displacement than an immediate, of up to four bytes, which a line forgives.
        address += registers.rip + next + 4 + displacement();
    } else {
        address += numbered[static_cast<size_t>(low | ((rex & 1) << 3))];
    }
    if (mode == 1)
        address += static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(code[next])));
    if (mode == 2) address += displacement();
    result.address = address;
    return result;
}

[[noreturn]] void die(const std::string& what) {
    std::cerr << "stepper: " << what << ": " << std::strerror(errno) << '\n';
    _exit(1);
}

/// Library and offset of an address.
std::string placeOf(pid_t process, uint64_t address) {
    std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
    std::map<std::string, uint64_t> bases;
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::string range, rights, offset, device, inode, path;
        words >> range >> rights >> offset >> device >> inode >> path;
        const size_t dash = range.find('-');
        const uint64_t from = std::stoull(range.substr(0, dash), nullptr, 16);
        const uint64_t to = std::stoull(range.substr(dash + 1), nullptr, 16);
        bases.try_emplace(path, from - std::stoull(offset, nullptr, 16));
        if (address < from || address >= to) continue;
        std::ostringstream place;
        place << path << " 0x" << std::hex << address - bases[path];
        return place.str();
    }
    return "?";
}

/// Steps the thread, which has just passed a breakpoint, to its next one and past that.
/// @return false when the thread ended meanwhile
bool step(pid_t process, bool verbose, size_t number, Section& section) {
    for (;;) {
        user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, section.thread, 0, &registers) != 0) die("reading registers");
        uint8_t code[16];
        for (size_t i = 0; i < sizeof(code); i += 8) {
            errno = 0;
            const long word = ptrace(PTRACE_PEEKTEXT, section.thread, registers.rip + i, 0);
            if (errno != 0) die("reading code");
            std::memcpy(code + i, &word, 8);
        }
        const Instruction instruction = decode(code, registers);
        if (!instruction.breakpoint) {
            ++section.instructions;
            section.systemCalls += instruction.systemCall;
            section.locked += instruction.locks;
            if (instruction.address != 0) section.lines.insert(instruction.address / kLine);
            if (instruction.locks && verbose) {
                fprintf(stderr, "%zu %d %s line 0x%lx\n", number, section.thread,
                        placeOf(process, registers.rip).c_str(),
                        instruction.address / kLine * kLine);
            }
        }
        int status = 0;
        if (ptrace(PTRACE_SINGLESTEP, section.thread, 0, 0) != 0) die("stepping");
        if (waitpid(section.thread, &status, __WALL) < 0) die("waitpid");
        if (!WIFSTOPPED(status)) return false;
        if (instruction.breakpoint) return true;
    }
}

int run(bool verbose, char** program) {
    const pid_t process = fork();
    if (process < 0) die("fork");
    if (process == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(program[0], program);
        std::cerr << "stepper: " << program[0] << ": " << std::strerror(errno) << '\n';
        _exit(127);
    }
    int status = 0;
    if (waitpid(process, &status, 0) < 0) die("waitpid");
    ptrace(PTRACE_SETOPTIONS, process, 0,
           PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
    ptrace(PTRACE_CONT, process, 0, 0);
    std::vector<Section> sections;
    int result = 1;
    for (;;) {
        const pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0) break;
        if (!WIFSTOPPED(status)) {
            if (thread == process) result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
            continue;
        }
        int deliver = WSTOPSIG(status);
        if (deliver == SIGSTOP || status >> 16 != 0) {
            deliver = 0;  // of a new thread, or told about one
        } else if (deliver == SIGTRAP) {
            deliver = 0;
            sections.push_back({thread});
            if (!step(process, verbose, sections.size(), sections.back())) sections.pop_back();
        }
        ptrace(PTRACE_CONT, thread, 0, deliver);
    }
    if (sections.empty()) {
        std::cerr << "stepper: the program had no section between two breakpoints\n";
        return 1;
    }
    const auto least = [&sections](long Section::*count) {
        long found = sections.front().*count;
        for (const Section& section : sections) found = std::min(found, section.*count);
        return found;
    };
    // A line that every thread locked at least once is one that they pass to each other.
    std::map<pid_t, std::set<uint64_t>> byThread;
    for (const Section& section : sections)
        byThread[section.thread].insert(section.lines.begin(), section.lines.end());
    std::map<uint64_t, size_t> users;
    for (const auto& [thread, lines] : byThread) {
        for (const uint64_t line : lines) ++users[line];
    }
    const auto shared = std::count_if(users.begin(), users.end(), [&](const auto& line) {
        return byThread.size() > 1 && line.second == byThread.size();
    });
    std::cout << R"({"values":{"instructions":)" << least(&Section::instructions)
              << R"(,"locked_instructions":)" << least(&Section::locked) << R"(,"system_calls":)"
              << least(&Section::systemCalls) << R"(,"lines_of_all_threads":)" << shared << "}}"
              << std::endl;
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    const bool verbose = argc > 1 && std::strcmp(argv[1], "-v") == 0;
    if (argc < (verbose ? 3 : 2)) {
        std::cerr << "usage: stepper [-v] <program> [arguments]\n";
        return 2;
    }
    return run(verbose, argv + (verbose ? 2 : 1));
}
