// remap_file_pages: pages of a shared mapping in another order, across what are several mappings by then.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { PAGES = 16, PAGE = 4096 };

static void fill(volatile int *data) {
    for (int i = 0; i < PAGES; i++) data[i * PAGE / 4] = i;
}

static int shows(volatile int *data, const int *order) {
    for (int i = 0; i < PAGES; i++) {
        if (data[i * PAGE / 4] != order[i]) return 0;
    }
    return 1;
}

static void reorder(char *data, const int *order) {
    for (int i = 0; i < PAGES; i++) EXPECT(remap_file_pages(data + i * PAGE, PAGE, 0, order[i], 0) == 0);
    EXPECT(shows((int *)data, order));
}

static void orders(char *data) {
    int order[PAGES];
    fill((int *)data);
    for (int i = 0; i < PAGES; i++) order[i] = PAGES - 1 - i;
    reorder(data, order);
    for (int i = 0; i < PAGES; i++) order[i] = i * 7 % PAGES;
    reorder(data, order);
    // Two pages are one, and what is written to one is in the other.
    for (int i = 0; i < PAGES; i++) order[i] = 3;
    reorder(data, order);
    *(int *)(data + 5 * PAGE) = 77;
    EXPECT(*(int *)(data + 9 * PAGE) == 77);
    *(int *)(data + 5 * PAGE) = 3;
    // All at once; the address is rounded down.
    EXPECT(remap_file_pages(data + 1, PAGES * PAGE, 0, 0, 0) == 0);
    for (int i = 0; i < PAGES; i++) order[i] = i;
    EXPECT(shows((int *)data, order));
}

int main(void) {
    char *data = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(data != MAP_FAILED);
    orders(data);
    part("anonymous");
    enter_scratch();
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    NEED(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
    char *file = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(file != MAP_FAILED);
    orders(file);
    part("file");
    char *own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(own != MAP_FAILED);
    FAILS(remap_file_pages(own, PAGE, 0, 1, 0), EINVAL);
    FAILS(remap_file_pages(data, PAGE, PROT_READ, 1, 0), EINVAL);
    FAILS(remap_file_pages(data, 0, 0, 1, 0), EINVAL);
    FAILS(remap_file_pages(data, PAGE, 0, -1, 0), EINVAL);
    NEED(munmap(data + 4 * PAGE, PAGE) == 0);
    FAILS(remap_file_pages(data + 4 * PAGE, PAGE, 0, 0, 0), EINVAL);
    FAILS(remap_file_pages(data + 3 * PAGE, 2 * PAGE, 0, 0, 0), EINVAL);
    NEED(mprotect(data, PAGE, PROT_READ) == 0);
    FAILS(remap_file_pages(data, 2 * PAGE, 0, 0, 0), EINVAL);
    EXPECT(remap_file_pages(data, PAGE, 0, 2, 0) == 0 && *(int *)data == 2);
    return done();
}
