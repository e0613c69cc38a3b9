// A segment that the monitor maps from the file: read at both ends, and written without harm to the file.
#include "guest.h"

enum { PAGES = 64, PAGE = 4096 };

#define TEXT(place, text) [place] = text
__attribute__((section(".root"), aligned(PAGE))) const char root[PAGES][PAGE] = {
    TEXT(0, "first page\n"),
    TEXT(PAGES - 1, "last page\n"),
};

void main(const struct start_info *info) {
    (void)info;
    debug(root[0]);
    debug(root[PAGES - 1]);
    char *volatile page = (char *)root[1];
    copy(page, "written\n", 9);
    debug(page);
    quit(0);
}
