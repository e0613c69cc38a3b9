// System V IPC: shared memory, semaphores, message queues: keys, limits, waiting, removal, /proc/sysvipc.
#include "check.h"

#include <pthread.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };

static key_t key;

// Whether a table of /proc/sysvipc has the object, in the second column.
static int listed(const char *kind, int id) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/sysvipc/%s", kind);
    FILE *table = fopen(path, "r");
    NEED(table != NULL);
    int found = 0;
    while (fgets(line, sizeof line, table)) {
        long its_key, its_id;
        if (sscanf(line, "%ld %ld", &its_key, &its_id) == 2 && its_id == id) found = 1;
    }
    fclose(table);
    return found;
}

static void memory(void) {
    FAILS(shmget(key, 100, 0), ENOENT);
    FAILS(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
    int id = shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600);
    NEED(id >= 0);
    FAILS(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    FAILS(shmget(key, 10001, 0600), EINVAL);
    EXPECT(shmget(key, 0, 0) == id && listed("shm", id));
    char *one = shmat(id, NULL, 0), *two = shmat(id, NULL, SHM_RDONLY);
    NEED(one != (void *)-1 && two != (void *)-1 && one != two);
    strcpy(one + 9000, "shared");
    EXPECT(strcmp(two + 9000, "shared") == 0 && two[0] == 0);
    FAILS(shmat(id, one + 1, 0), EINVAL);
    FAILS(shmat(id, one, 0), EINVAL);
    EXPECT(shmat(id, two, SHM_REMAP) == two);
    strcpy(two, "again");
    EXPECT(strcmp(one, "again") == 0);
    struct shmid_ds ds;
    EXPECT(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_segsz == 10000 && ds.shm_cpid == getpid() && ds.shm_atime > 0 &&
           (ds.shm_perm.mode & 0777) == 0600 && ds.shm_perm.__key == key);
    ds.shm_perm.mode = 0640;
    EXPECT(shmctl(id, IPC_SET, &ds) == 0 && shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 0777) == 0640);
    struct shminfo info;
    EXPECT(shmctl(0, IPC_INFO, (void *)&info) >= 0 && info.shmmin == 1);
    // It lives on while it is attached, without its key.
    EXPECT(shmctl(id, IPC_RMID, NULL) == 0 && shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_perm.mode & SHM_DEST);
    FAILS(shmget(key, 0, 0), ENOENT);
    EXPECT(shmdt(one) == 0 && strcmp(two, "again") == 0);
    FAILS(shmdt(one), EINVAL);
    EXPECT(shmdt(two) == 0);
    FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
    FAILS(shmat(id, NULL, 0), EINVAL);
}

static int set;

static void *post(void *unused) {
    struct sembuf up[2] = {{0, 2, 0}, {1, 1, 0}};
    while (semctl(set, 0, GETNCNT) == 0) sleep_ms(1);
    EXPECT(semop(set, up, 2) == 0);
    return unused;
}

static void *drop_to_zero(void *unused) {
    struct sembuf down = {1, -1, 0};
    while (semctl(set, 1, GETZCNT) == 0) sleep_ms(1);
    EXPECT(semop(set, &down, 1) == 0);
    return unused;
}

static void *remove_set(void *unused) {
    while (semctl(set, 0, GETNCNT) == 0) sleep_ms(1);
    EXPECT(semctl(set, 0, IPC_RMID) == 0);
    return unused;
}

static void semaphores(void) {
    pthread_t thread;
    union semun arg;
    struct semid_ds ds;
    unsigned short values[2] = {9, 9};
    set = semget(key, 2, IPC_CREAT | 0600);
    NEED(set >= 0);
    EXPECT(listed("sem", set) && semget(key, 0, 0) == set);
    FAILS(semget(key, 3, 0600), EINVAL);
    arg.array = values;
    EXPECT(semctl(set, 0, GETALL, arg) == 0 && values[0] == 0 && values[1] == 0);
    // All or nothing, and waiting for what another thread adds.
    struct sembuf down[2] = {{0, -2, 0}, {1, -1, IPC_NOWAIT}};
    NEED(pthread_create(&thread, NULL, post, NULL) == 0);
    EXPECT(semop(set, down, 2) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    FAILS(semop(set, &down[1], 1), EAGAIN);
    struct timespec soon = {0, 10000000};
    FAILS(semtimedop(set, down, 1, &soon), EAGAIN);
    arg.val = 1;
    EXPECT(semctl(set, 1, SETVAL, arg) == 0 && semctl(set, 1, GETVAL) == 1 && semctl(set, 1, GETPID) == getpid());
    struct sembuf zero = {1, 0, 0};
    NEED(pthread_create(&thread, NULL, drop_to_zero, NULL) == 0);
    EXPECT(semop(set, &zero, 1) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    struct sembuf bad = {2, 1, 0}, large = {0, 32767, SEM_UNDO}, more = {0, 1, 0};
    FAILS(semop(set, &bad, 1), EFBIG);
    EXPECT(semop(set, &large, 1) == 0);
    FAILS(semop(set, &more, 1), ERANGE);
    FAILS(semop(set, &more, 0), EINVAL);
    arg.val = 32768;
    FAILS(semctl(set, 0, SETVAL, arg), ERANGE);
    FAILS(semctl(set, 5, GETVAL), EINVAL);
    values[0] = 0, values[1] = 3, arg.array = values;
    EXPECT(semctl(set, 0, SETALL, arg) == 0 && semctl(set, 1, GETVAL) == 3);
    arg.buf = &ds;
    EXPECT(semctl(set, 0, IPC_STAT, arg) == 0 && ds.sem_nsems == 2 && ds.sem_otime > 0);
    NEED(pthread_create(&thread, NULL, remove_set, NULL) == 0);
    FAILS(semop(set, down, 1), EIDRM);
    NEED(pthread_join(thread, NULL) == 0);
    FAILS(semop(set, down, 1), EINVAL);
}

struct message { long type; char text[64]; };

static int queue;

static void *answer(void *unused) {
    struct message late = {7, "late"};
    sleep_ms(10);
    EXPECT(msgsnd(queue, &late, 5, 0) == 0);
    return unused;
}

static void *take(void *unused) {
    struct message any;
    sleep_ms(10);
    EXPECT(msgrcv(queue, &any, sizeof any.text, 0, 0) > 0);
    return unused;
}

static void messages(void) {
    static const struct { long type; const char *text; } sent[] = {{3, "three"}, {1, "one"}, {2, "two"}, {1, "again"}};
    struct message message;
    struct msqid_ds ds;
    pthread_t thread;
    FAILS(msgget(key, 0), ENOENT);
    queue = msgget(key, IPC_CREAT | 0600);
    NEED(queue >= 0);
    EXPECT(listed("msg", queue));
    for (int i = 0; i < 4; i++) {
        message.type = sent[i].type;
        strcpy(message.text, sent[i].text);
        EXPECT(msgsnd(queue, &message, strlen(sent[i].text) + 1, 0) == 0);
    }
    FAILS(msgrcv(queue, &message, 2, 2, IPC_NOWAIT), E2BIG);
    EXPECT(msgrcv(queue, &message, 2, 2, MSG_NOERROR) == 2 && memcmp(message.text, "tw", 2) == 0);
    long wanted[] = {-2, 3, 0};
    for (int i = 0; i < 3; i++) {
        EXPECT(msgrcv(queue, &message, sizeof message.text, wanted[i], 0) > 0);
        printf("%ld %s\n", message.type, message.text);
    }
    FAILS(msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT), ENOMSG);
    NEED(pthread_create(&thread, NULL, answer, NULL) == 0);
    EXPECT(msgrcv(queue, &message, sizeof message.text, 7, 0) == 5 && strcmp(message.text, "late") == 0);
    NEED(pthread_join(thread, NULL) == 0);
    message.type = 0;
    FAILS(msgsnd(queue, &message, 1, 0), EINVAL);
    static struct { long type; char text[8192]; } large = {1, ""};
    EXPECT(msgsnd(queue, &large, 8192, 0) == 0 && msgsnd(queue, &large, 8192, 0) == 0);
    FAILS(msgsnd(queue, &large, 1, IPC_NOWAIT), EAGAIN);
    FAILS(msgsnd(queue, &large, 8193, 0), EINVAL);
    EXPECT(msgctl(queue, IPC_STAT, &ds) == 0 && ds.msg_qnum == 2 && ds.__msg_cbytes == 16384 && ds.msg_lspid == getpid());
    EXPECT(msgrcv(queue, &large, 8192, 0, 0) == 8192 && msgrcv(queue, &large, 8192, 0, 0) == 8192);
    ds.msg_qbytes = 8;
    EXPECT(msgctl(queue, IPC_SET, &ds) == 0);
    message.type = 1;
    EXPECT(msgsnd(queue, &message, 8, 0) == 0);
    NEED(pthread_create(&thread, NULL, take, NULL) == 0);
    EXPECT(msgsnd(queue, &message, 8, 0) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(msgctl(queue, IPC_RMID, NULL) == 0);
    FAILS(msgrcv(queue, &message, 8, 0, 0), EINVAL);
}

int main(void) {
    key = 0x43000000 + getpid();
    memory();
    part("memory");
    semaphores();
    part("semaphores");
    messages();
    return done();
}
