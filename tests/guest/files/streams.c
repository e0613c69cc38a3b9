// C streams and large files: buffering, seeking, 64 MiB through write and read.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static void text_stream(void) {
    FILE *file = fopen("t", "w+");
    NEED(file != NULL);
    for (int i = 0; i < 20000; i++) fprintf(file, "line %d\n", i);
    EXPECT(fseek(file, 0, SEEK_SET) == 0);
    char line[64];
    long sum = 0, lines = 0;
    while (fgets(line, sizeof line, file) != NULL) sum += atoi(line + 5), lines++;
    printf("%ld lines, sum %ld\n", lines, sum);
    EXPECT(feof(file) && !ferror(file));
    EXPECT(fseek(file, 100, SEEK_SET) == 0 && fputs("PATCH", file) >= 0 && ftell(file) == 105);
    EXPECT(fseek(file, -5, SEEK_CUR) == 0 && fgetc(file) == 'P');
    EXPECT(ungetc('X', file) == 'X' && fgetc(file) == 'X');
    EXPECT(fclose(file) == 0);
    file = fopen("t", "a+");
    EXPECT(fputs("last\n", file) >= 0 && fflush(file) == 0 && fseek(file, -5, SEEK_END) == 0);
    EXPECT(fgets(line, sizeof line, file) != NULL && strcmp(line, "last\n") == 0);
    fclose(file);
    EXPECT(fopen("t/x", "r") == NULL && errno == ENOTDIR);
}

static void large_file(void) {
    enum { CHUNK = 1 << 20, COUNT = 64 };
    static uint32_t chunk[CHUNK / 4];
    int fd = open("large", O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0);
    for (uint32_t n = 0; n < COUNT; n++) {
        for (uint32_t i = 0; i < CHUNK / 4; i++) chunk[i] = (n * (CHUNK / 4) + i) * 2654435761u;
        NEED(write(fd, chunk, CHUNK) == CHUNK);
    }
    struct stat st;
    EXPECT(fstat(fd, &st) == 0 && st.st_size == (off_t)CHUNK * COUNT);
    EXPECT(fsync(fd) == 0 && fdatasync(fd) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    uint32_t at = 0, wrong = 0;
    // An odd size makes every read cross pages differently.
    for (ssize_t length; (length = read(fd, chunk, 99996)) > 0;) {
        for (ssize_t i = 0; i < length / 4; i++, at++) wrong += chunk[i] != at * 2654435761u;
    }
    EXPECT(at == COUNT * (CHUNK / 4) && wrong == 0);
    close(fd);
}

int main(void) {
    enter_scratch();
    text_stream();
    part("text");
    large_file();
    return done();
}
