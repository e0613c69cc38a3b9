// An exception nobody catches: the runtime reports it on stderr and aborts.
#include <iostream>
#include <stdexcept>

int main() {
    std::cout << "throwing" << std::endl;
    throw std::runtime_error("nobody catches this");
}
