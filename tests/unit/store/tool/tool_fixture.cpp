// SPDX-License-Identifier: Apache-2.0
#include "tool_fixture.h"

#include <sstream>

#include "file_store.h"

namespace mooncake::test {

Json::Value Said::json() const {
    Json::Value json;
    std::istringstream text(out);
    std::string errors;
    EXPECT_TRUE(Json::parseFromStream(Json::CharReaderBuilder(), text, &json, &errors))
        << errors << "\n"
        << out;
    EXPECT_EQ(json["schema"], 1);
    return json;
}

Said ToolTest::tool(std::vector<std::string> words, const std::string& input) const {
    words.insert(words.begin(), {"mooncake_file_store", "--directory=" + directory});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::istringstream in(input);
    std::ostringstream out, err;
    store::tool::Output output(in, out, err, false);
    Said said;
    said.status = store::tool::run(static_cast<int>(words.size()), argv.data(), output);
    said.out = out.str();
    said.err = err.str();
    return said;
}

Json::Value ToolTest::ask(std::vector<std::string> words) const {
    words.push_back("--json");
    const Said said = tool(std::move(words));
    EXPECT_EQ(said.status, 0) << said.out << said.err;
    return said.json();
}

}  // namespace mooncake::test
