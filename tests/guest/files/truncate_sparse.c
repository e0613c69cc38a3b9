// truncate, ftruncate, holes, fallocate.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static off_t size_of(int fd) {
    struct stat st;
    EXPECT(fstat(fd, &st) == 0);
    return st.st_size;
}

static void shrink_and_grow(int fd) {
    char buffer[64];
    memset(buffer, 'x', sizeof buffer);
    EXPECT(write(fd, buffer, 64) == 64);
    EXPECT(ftruncate(fd, 10) == 0 && size_of(fd) == 10);
    EXPECT(ftruncate(fd, 20000) == 0 && size_of(fd) == 20000);
    EXPECT(pread(fd, buffer, 64, 0) == 64 && buffer[9] == 'x' && buffer[10] == 0);
    EXPECT(truncate("f", 5) == 0 && size_of(fd) == 5);
    EXPECT(lseek(fd, 0, SEEK_CUR) == 64);
    EXPECT(write(fd, "end", 3) == 3 && size_of(fd) == 67);
    EXPECT(pread(fd, buffer, 64, 0) == 64 && buffer[4] == 'x' && buffer[5] == 0 && buffer[63] == 0);
    FAILS(ftruncate(fd, -1), EINVAL);
    FAILS(truncate("none", 0), ENOENT);
    FAILS(truncate(".", 0), EISDIR);
    int read_only = open("f", O_RDONLY);
    FAILS(ftruncate(read_only, 0), EINVAL);
    close(read_only);
}

static void holes(int fd) {
    const off_t far = (off_t)1 << 32;
    EXPECT(ftruncate(fd, 0) == 0);
    EXPECT(pwrite(fd, "far", 3, far) == 3);
    EXPECT(size_of(fd) == far + 3);
    struct stat st;
    EXPECT(fstat(fd, &st) == 0 && st.st_blocks < 4096);
    char buffer[8] = "########";
    EXPECT(pread(fd, buffer, 8, far / 2) == 8);
    for (int i = 0; i < 8; i++) EXPECT(buffer[i] == 0);
    EXPECT(lseek(fd, 0, SEEK_HOLE) == 0);
    EXPECT(lseek(fd, 0, SEEK_DATA) <= far);
    FAILS(lseek(fd, far + 3, SEEK_DATA), ENXIO);
    EXPECT(lseek(fd, far, SEEK_HOLE) == far + 3);
}

static void allocation(int fd) {
    EXPECT(ftruncate(fd, 0) == 0);
    EXPECT(posix_fallocate(fd, 0, 8192) == 0 && size_of(fd) == 8192);
    char page[4096];
    memset(page, 'p', sizeof page);
    EXPECT(pwrite(fd, page, 4096, 0) == 4096 && pwrite(fd, page, 4096, 4096) == 4096);
    EXPECT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000) == 0 && size_of(fd) == 8192);
    EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
    EXPECT(pread(fd, page, 4096, 0) == 4096 && page[0] == 0 && page[4095] == 0);
    EXPECT(pread(fd, page, 4096, 4096) == 4096 && page[0] == 'p');
    FAILS(fallocate(fd, 0, 0, 0), EINVAL);
}

int main(void) {
    enter_scratch();
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0);
    shrink_and_grow(fd);
    part("truncate");
    holes(fd);
    part("holes");
    allocation(fd);
    return done();
}
