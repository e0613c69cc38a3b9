#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

int main() {
    std::map<std::string, std::vector<int>> table;
    for (int i = 0; i < 10; ++i) table[i % 2 ? "odd" : "even"].push_back(i);
    for (const auto &[name, values] : table) {
        std::cout << name;
        for (int value : values) std::cout << ' ' << value;
        std::cout << '\n';
    }
    try {
        table.at("none");
    } catch (const std::out_of_range &) {
        std::cout << "caught out_of_range\n";
    }
    std::cerr << "to stderr\n";
}
