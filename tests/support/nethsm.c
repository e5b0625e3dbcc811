/* A network HSM that a test can kill: one source, two programs.
 *
 *   module  gcc -O2 -fPIC -shared -DCLIENT -o nethsm.so nethsm.c -lpthread
 *   server  gcc -O2 -o nethsmd nethsm.c -ldl -lpthread
 *
 * The server, `nethsmd PORT MODULE [DELAY_US]`, serves any PKCS#11 module on 127.0.0.1.  kill -9 is an
 * appliance lost, SIGSTOP one that hangs; started again, it is back without its sessions.
 *
 * The module reads at the first C_GetFunctionList, from a file beside it, its name and ".settings", of lines
 * NAME=value, else from the environment; copy the module for a second member:
 *   P11NET_PORT        the server's port
 *   P11NET_TIMEOUT_MS  receive timeout, 0 to wait for ever
 *   P11NET_STICKY      if set: after an error answer CKR_DEVICE_ERROR until finalised, as real clients do
 *
 * A frame is a 4-byte length, the function's number (1 byte), then words of 8 bytes and byte strings led by
 * their length (~0 for NULL).  Both sides walk the same string of argument kinds per function:
 *   u word                U word out              i bytes in (pointer, length)
 *   o bytes out (pointer, length pointer)         r bytes out (pointer, length)
 *   m mechanism           a template (pointer, count)       g attribute query (pointer, count)
 *   H handles out (pointer, room, count)          L slots (bool, pointer, count)
 *   l mechanism list (pointer, count)             s<n> struct of n bytes out       n ignored
 *
 * A connection per client thread, which begins with the client's process id (8 bytes); a server thread per
 * connection; a server process, with the module loaded, per client process.  Sessions and the login belong to
 * one application (PKCS#11 2.40 section 2.6): what one closes, another keeps.
 */
#define _GNU_SOURCE
#include "beside.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define FUNCTIONS 68
#define NONE (~0UL)
#define MAX_FRAME (64u << 20)

enum {
    CKR_OK = 0,
    CKR_ARGUMENTS_BAD = 0x07,
    CKR_DEVICE_ERROR = 0x30,
    CKR_FUNCTION_NOT_SUPPORTED = 0x54,
    CKR_BUFFER_TOO_SMALL = 0x150,
    CKR_CRYPTOKI_NOT_INITIALIZED = 0x190,
    CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191,
    CKM_AES_GCM = 0x1087,
};

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

struct list {
    unsigned char major, minor;
    function functions[FUNCTIONS];
};
struct mechanism {
    word type;
    void *parameter;
    word length;
};
struct attribute {
    word type;
    void *value;
    word length;
};
struct gcm {
    void *iv;
    word iv_length, iv_bits;
    void *aad;
    word aad_length, tag_bits;
};

static const char *kinds[FUNCTIONS] = {
    [2] = "s88",     [4] = "L",       [5] = "us112",   [6] = "us208",    [7] = "ul",     [8] = "uus24",
    [10] = "ui",     [11] = "uii",    [12] = "uunnU",  [13] = "u",       [14] = "u",     [15] = "us32",
    [16] = "uo",     [18] = "uui",    [19] = "u",      [20] = "uaU",     [21] = "uuaU",  [22] = "uu",
    [23] = "uuU",    [24] = "uug",    [25] = "uua",    [26] = "ua",      [27] = "uH",    [28] = "u",
    [29] = "umu",    [30] = "uio",    [31] = "uio",    [32] = "uo",      [33] = "umu",   [34] = "uio",
    [35] = "uio",    [36] = "uo",     [37] = "um",     [38] = "uio",     [39] = "ui",    [40] = "uu",
    [41] = "uo",     [42] = "umu",    [43] = "uio",    [44] = "ui",      [45] = "uo",    [48] = "umu",
    [49] = "uii",    [50] = "ui",     [51] = "ui",     [58] = "umaU",    [59] = "umaaUU", [60] = "umuuo",
    [61] = "umuiaU", [62] = "umuaU",  [63] = "ui",     [64] = "ur",
};

/* Frames. */

struct frame {
    unsigned char *bytes;
    size_t length, room, at;
    int broken; /* read past its end */
};

static void put(struct frame *frame, const void *bytes, size_t length) {
    if (frame->length + length > frame->room) {
        frame->room = (frame->length + length) * 2 + 256;
        frame->bytes = realloc(frame->bytes, frame->room);
    }
    if (length)
        memcpy(frame->bytes + frame->length, bytes, length);
    frame->length += length;
}

static void put_word(struct frame *frame, word value) {
    put(frame, &value, 8);
}

static void put_bytes(struct frame *frame, const void *bytes, word length) {
    put_word(frame, bytes ? length : NONE);
    if (bytes)
        put(frame, bytes, length);
}

static void *get(struct frame *frame, size_t length) {
    if (length > frame->length - frame->at) {
        frame->broken = 1;
        return NULL;
    }
    void *here = frame->bytes + frame->at;
    frame->at += length;
    return here;
}

static word get_word(struct frame *frame) {
    word value = 0;
    void *here = get(frame, 8);
    if (here)
        memcpy(&value, here, 8);
    return value;
}

static void *get_bytes(struct frame *frame, word *length) {
    *length = get_word(frame);
    if (*length == NONE) {
        *length = 0;
        return NULL;
    }
    return get(frame, *length);
}

/* Start a frame: room for its length, then nothing. */
static void begin(struct frame *frame) {
    frame->length = 0;
    put_word(frame, 0);
    frame->length = 4;
}

static int move(int fd, void *bytes, size_t length, int sending) {
    for (char *here = bytes; length;) {
        ssize_t moved = sending ? send(fd, here, length, MSG_NOSIGNAL) : recv(fd, here, length, 0);
        if (moved <= 0)
            return -1;
        here += moved;
        length -= moved;
    }
    return 0;
}

static int send_frame(int fd, struct frame *frame) {
    uint32_t length = frame->length - 4;
    memcpy(frame->bytes, &length, 4);
    return move(fd, frame->bytes, frame->length, 1);
}

static int receive_frame(int fd, struct frame *frame) {
    uint32_t length;
    if (move(fd, &length, 4, 0) || length > MAX_FRAME)
        return -1;
    if (length > frame->room) {
        frame->room = length;
        frame->bytes = realloc(frame->bytes, length);
    }
    frame->length = length;
    frame->at = 0;
    frame->broken = 0;
    return move(fd, frame->bytes, length, 0);
}

/* Step over the digits of an s<n> kind; n. */
static int struct_size(const char **kind) {
    int size = atoi(*kind + 1);
    while ((*kind)[1] >= '0' && (*kind)[1] <= '9')
        ++*kind;
    return size;
}

#ifdef CLIENT

static int port, timeout_ms, sticky, initialized;
static volatile int dead;
static volatile unsigned generation; /* of connections; a new one closes those before */
static __thread int connection = -1;
static __thread unsigned connection_generation;
static __thread struct frame request, reply;
static struct list mine;

static int connected(void) {
    if (connection >= 0 && connection_generation == generation)
        return 1;
    if (connection >= 0)
        close(connection);
    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection_generation = generation;
    int one = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (timeout_ms) {
        struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    word application = getpid();
    if (connect(connection, (void *)&server, sizeof server) == 0 &&
        move(connection, &application, sizeof application, 1) == 0)
        return 1;
    close(connection);
    connection = -1;
    return 0;
}

static word exchange(void) {
    if (dead && sticky)
        return CKR_DEVICE_ERROR;
    if (!connected() || send_frame(connection, &request) || receive_frame(connection, &reply)) {
        if (connection >= 0)
            close(connection);
        connection = -1;
        dead = 1;
        return CKR_DEVICE_ERROR;
    }
    dead = 0;
    return get_word(&reply);
}

/* Write the request of one function; 0 if an argument is missing. */
static int write_request(int index, word *v) {
    unsigned char number = index;
    begin(&request);
    put(&request, &number, 1);
    for (const char *kind = kinds[index]; *kind; kind++)
        switch (*kind) {
        case 'u':
            put_word(&request, *v++);
            break;
        case 'U':
        case 'n':
            v++;
            break;
        case 'i':
            put_bytes(&request, (void *)v[0], v[1]);
            v += 2;
            break;
        case 'L':
            put_word(&request, *v++ & 0xff);
            /* fall through */
        case 'o':
        case 'l':
            put_word(&request, v[0] ? *(word *)v[1] : NONE);
            v += 2;
            break;
        case 'r':
            put_word(&request, v[1]);
            v += 2;
            break;
        case 'H':
            put_word(&request, v[1]);
            v += 3;
            break;
        case 's':
            struct_size(&kind);
            v++;
            break;
        case 'm': {
            struct mechanism *mechanism = (void *)*v++;
            if (!mechanism)
                return 0;
            put_word(&request, mechanism->type);
            if (mechanism->type == CKM_AES_GCM && mechanism->length == sizeof(struct gcm)) {
                struct gcm *gcm = mechanism->parameter;
                put_bytes(&request, gcm->iv, gcm->iv_length);
                put_bytes(&request, gcm->aad, gcm->aad_length);
                put_word(&request, gcm->tag_bits);
            } else {
                put_bytes(&request, mechanism->parameter, mechanism->length);
            }
            break;
        }
        case 'a':
        case 'g': {
            struct attribute *attribute = (void *)v[0];
            put_word(&request, v[1]);
            for (word n = v[1]; n--; attribute++) {
                put_word(&request, attribute->type);
                if (*kind == 'a')
                    put_bytes(&request, attribute->value, attribute->length);
                else
                    put_word(&request, attribute->value ? attribute->length : NONE);
            }
            v += 2;
            break;
        }
        }
    return 1;
}

static void read_reply(int index, word rv, word *v) {
    int sized = rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL; /* lengths out mean something */
    for (const char *kind = kinds[index]; *kind; kind++) {
        word length, count;
        void *bytes;
        switch (*kind) {
        case 'u':
        case 'm':
        case 'n':
            v++;
            break;
        case 'i':
        case 'a':
            v += 2;
            break;
        case 'U':
            count = get_word(&reply);
            if (rv == CKR_OK)
                *(word *)*v = count;
            v++;
            break;
        case 'r':
            bytes = get_bytes(&reply, &length);
            if (bytes && rv == CKR_OK)
                memcpy((void *)v[0], bytes, length);
            v += 2;
            break;
        case 'L':
            v++;
            /* fall through */
        case 'o':
        case 'l':
            count = get_word(&reply);
            bytes = get_bytes(&reply, &length);
            if (sized)
                *(word *)v[1] = count;
            if (bytes && rv == CKR_OK)
                memcpy((void *)v[0], bytes, length);
            v += 2;
            break;
        case 'H':
            bytes = get_bytes(&reply, &length);
            if (rv == CKR_OK) {
                if (bytes)
                    memcpy((void *)v[0], bytes, length);
                *(word *)v[2] = length / 8;
            }
            v += 3;
            break;
        case 's':
            struct_size(&kind);
            bytes = get_bytes(&reply, &length);
            if (bytes && rv == CKR_OK)
                memcpy((void *)*v, bytes, length);
            v++;
            break;
        case 'g': {
            struct attribute *attribute = (void *)v[0];
            for (word n = v[1]; n-- && !reply.broken; attribute++) {
                count = get_word(&reply);
                bytes = get_bytes(&reply, &length);
                if (bytes && attribute->value)
                    memcpy(attribute->value, bytes, length);
                attribute->length = count;
            }
            v += 2;
            break;
        }
        }
    }
}

static word call(int index, word *v) {
    if (!initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    if (!kinds[index])
        return CKR_FUNCTION_NOT_SUPPORTED;
    if (!write_request(index, v))
        return CKR_ARGUMENTS_BAD;
    word rv = exchange();
    if (rv == CKR_DEVICE_ERROR && connection < 0)
        return rv;
    read_reply(index, rv, v);
    return reply.broken ? CKR_DEVICE_ERROR : rv;
}

/* C_Initialize and C_Finalize: the server closes this application's sessions on both. */
static word greet(unsigned char number) {
    begin(&request);
    put(&request, &number, 1);
    return exchange();
}

static word initialize(word args) {
    (void)args;
    if (initialized)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    generation++;
    dead = 0;
    word rv = greet(0);
    initialized = rv == CKR_OK;
    return rv;
}

static word finalize(word reserved) {
    (void)reserved;
    if (!initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    dead = 0;
    greet(1);
    generation++;
    initialized = 0;
    return CKR_OK;
}

#define TRAMPOLINE(i)                                                                     \
    static word call##i(word a, word b, word c, word d, word e, word f, word g, word h) { \
        word v[8] = {a, b, c, d, e, f, g, h};                                             \
        return call(i, v);                                                                \
    }
#define PUT(i) mine.functions[i] = call##i;
#define EACH(X) /* every index but 0, 1 and 3, which stand below */                                 \
    X(2) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18)       \
    X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32) X(33)      \
    X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) X(48)      \
    X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63)      \
    X(64) X(65) X(66) X(67)
EACH(TRAMPOLINE)

static int number_from(const char *variable) {
    const char *text = setting(variable);
    return text ? atoi(text) : 0;
}

word C_GetFunctionList(struct list **out) {
    if (!port) {
        port = number_from("P11NET_PORT");
        timeout_ms = number_from("P11NET_TIMEOUT_MS");
        sticky = setting("P11NET_STICKY") != NULL;
        mine.major = 2;
        mine.minor = 40;
        EACH(PUT)
        mine.functions[0] = (function)(void *)initialize;
        mine.functions[1] = (function)(void *)finalize;
        mine.functions[3] = (function)(void *)C_GetFunctionList;
    }
    *out = &mine;
    return CKR_OK;
}

#else /* the server */

#define MAX_ALLOCATIONS 64
#define MAX_ATTRIBUTES 48 /* each may allocate once */

static struct list *real;
static useconds_t delay_us;

static word run(int index, word *v) {
    return real->functions[index](v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
}

static void close_all_sessions(void) {
    word slots[64], count = 64, v[8] = {1, (word)slots, (word)&count};
    if (run(4, v) == CKR_OK)
        for (word i = 0; i < count; i++) {
            word slot[8] = {slots[i]};
            run(14, slot);
        }
}

/* Memory of one request, zeroed. */
struct arena {
    void *blocks[MAX_ALLOCATIONS];
    int count;
};

static word allocate(struct arena *arena, size_t size) {
    void *block = calloc(1, size + 16);
    arena->blocks[arena->count++] = block;
    return (word)block;
}

static void read_mechanism(struct frame *request, struct mechanism *mechanism, struct gcm *gcm) {
    mechanism->type = get_word(request);
    if (mechanism->type != CKM_AES_GCM) {
        mechanism->parameter = get_bytes(request, &mechanism->length);
        return;
    }
    gcm->iv = get_bytes(request, &gcm->iv_length);
    gcm->iv_bits = gcm->iv_length * 8;
    gcm->aad = get_bytes(request, &gcm->aad_length);
    gcm->tag_bits = get_word(request);
    mechanism->parameter = gcm;
    mechanism->length = sizeof *gcm;
}

static void read_template(struct frame *request, struct arena *arena, word *v, int is_query) {
    word count = get_word(request);
    if (count > MAX_ATTRIBUTES) {
        request->broken = 1;
        return;
    }
    struct attribute *attribute = (void *)(v[0] = allocate(arena, count * sizeof *attribute));
    v[1] = count;
    for (; count--; attribute++) {
        attribute->type = get_word(request);
        if (is_query) {
            word length = get_word(request);
            attribute->length = length == NONE ? 0 : length;
            attribute->value = length == NONE || length > MAX_FRAME ? NULL : (void *)allocate(arena, length);
        } else {
            attribute->value = get_bytes(request, &attribute->length);
        }
    }
}

/* Room for `unit` times the length that the client has; NULL if it only asks for the length. */
static void read_room(struct frame *request, struct arena *arena, word *v, size_t unit) {
    word room = get_word(request);
    if (room != NONE && room > MAX_FRAME) {
        request->broken = 1;
        return;
    }
    v[0] = room == NONE ? 0 : allocate(arena, room * unit);
    v[1] = allocate(arena, 8);
    *(word *)v[1] = room == NONE ? 0 : room;
}

static word serve(int index, struct frame *request, struct frame *reply) {
    if (index == 0 || index == 1) {
        close_all_sessions();
        return CKR_OK;
    }
    if (index >= FUNCTIONS || !kinds[index])
        return CKR_FUNCTION_NOT_SUPPORTED;
    struct arena arena = {.count = 0};
    struct mechanism mechanism;
    struct gcm gcm;
    word v[16] = {0}, *next = v;
    for (const char *kind = kinds[index]; *kind; kind++)
        switch (*kind) {
        case 'u':
            *next++ = get_word(request);
            break;
        case 'n':
            *next++ = 0;
            break;
        case 'U':
            *next++ = allocate(&arena, 8);
            break;
        case 'i':
            next[0] = (word)get_bytes(request, &next[1]);
            next += 2;
            break;
        case 'o':
            read_room(request, &arena, next, 1);
            next += 2;
            break;
        case 'L':
            *next++ = get_word(request);
            /* fall through */
        case 'l':
            read_room(request, &arena, next, 8);
            next += 2;
            break;
        case 'r':
        case 'H': {
            word room = get_word(request);
            if (room > MAX_FRAME) {
                request->broken = 1;
                break;
            }
            next[0] = allocate(&arena, room * 8);
            next[1] = room;
            if (*kind == 'H')
                next[2] = allocate(&arena, 8);
            next += *kind == 'H' ? 3 : 2;
            break;
        }
        case 's':
            *next++ = allocate(&arena, struct_size(&kind));
            break;
        case 'm':
            read_mechanism(request, &mechanism, &gcm);
            *next++ = (word)&mechanism;
            break;
        case 'a':
        case 'g':
            read_template(request, &arena, next, *kind == 'g');
            next += 2;
            break;
        }
    word rv = request->broken ? CKR_ARGUMENTS_BAD : run(index, v);
    next = v;
    for (const char *kind = kinds[index]; *kind && !request->broken; kind++)
        switch (*kind) {
        case 'u':
        case 'm':
        case 'n':
            next++;
            break;
        case 'i':
        case 'a':
            next += 2;
            break;
        case 'U':
            put_word(reply, *(word *)*next++);
            break;
        case 'r':
            put_bytes(reply, (void *)next[0], next[1]);
            next += 2;
            break;
        case 'L':
            next++;
            /* fall through */
        case 'o':
        case 'l': {
            word length = *(word *)next[1], unit = *kind == 'o' ? 1 : 8;
            put_word(reply, length);
            put_bytes(reply, rv ? NULL : (void *)next[0], length * unit);
            next += 2;
            break;
        }
        case 'H':
            put_bytes(reply, (void *)next[0], rv ? 0 : *(word *)next[2] * 8);
            next += 3;
            break;
        case 's':
            put_bytes(reply, (void *)*next++, struct_size(&kind));
            break;
        case 'g': {
            struct attribute *attribute = (void *)next[0];
            for (word n = next[1]; n--; attribute++) {
                put_word(reply, attribute->length);
                put_bytes(reply, attribute->length == NONE ? NULL : attribute->value, attribute->length);
            }
            next += 2;
            break;
        }
        }
    while (arena.count)
        free(arena.blocks[--arena.count]);
    return rv;
}

static void *serve_connection(void *argument) {
    int fd = (int)(intptr_t)argument, one = 1;
    struct frame request = {0}, reply = {0};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (receive_frame(fd, &request) == 0) {
        unsigned char *number = get(&request, 1);
        if (!number)
            break;
        if (delay_us)
            usleep(delay_us);
        begin(&reply);
        put_word(&reply, 0); /* the return code's place */
        word rv = serve(*number, &request, &reply);
        memcpy(reply.bytes + 4, &rv, 8);
        if (send_frame(fd, &reply))
            break;
    }
    close(fd);
    free(request.bytes);
    free(reply.bytes);
    return NULL;
}

static void serve_for_ever(int fd) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0)
        pthread_detach(thread);
    else
        close(fd);
}

/* One client process, served by a process of its own. */
struct application {
    word id;
    int channel; /* takes its connections there */
    struct application *next;
};
static struct application *applications;
static int spare; /* the channel of a process without a client */

/* A message that carries `fd`, or room for one. */
struct parcel {
    struct msghdr head;
    struct iovec part;
    char byte;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
};

static void prepare(struct parcel *parcel) {
    memset(parcel, 0, sizeof *parcel);
    parcel->part = (struct iovec){&parcel->byte, 1};
    parcel->head = (struct msghdr){.msg_iov = &parcel->part,
                                   .msg_iovlen = 1,
                                   .msg_control = &parcel->control,
                                   .msg_controllen = sizeof parcel->control};
}

static int hand_over(int channel, int fd) {
    struct parcel parcel;
    prepare(&parcel);
    parcel.control.head =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&parcel.control.head), &fd, sizeof fd);
    return sendmsg(channel, &parcel.head, MSG_NOSIGNAL) == 1;
}

/* The next connection; -1 if the server is gone. */
static int take(int channel) {
    struct parcel parcel;
    int fd = -1;
    prepare(&parcel);
    if (recvmsg(channel, &parcel.head, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&parcel.head))
        memcpy(&fd, CMSG_DATA(&parcel.control.head), sizeof fd);
    return fd;
}

static int initialize_module(void) {
    struct {
        void *mutexes[4];
        word flags;
        void *reserved;
    } args = {.flags = 2}; /* CKF_OS_LOCKING_OK */
    word v[8] = {(word)&args};
    return run(0, v) == CKR_OK;
}

static void serve_application(int channel) {
    char ready = 0;
    if (!initialize_module() || send(channel, &ready, 1, MSG_NOSIGNAL) != 1)
        _exit(1);
    for (int fd; (fd = take(channel)) >= 0;)
        serve_for_ever(fd);
    _exit(0);
}

/* Start the process of a client to come, so that none waits for a module to load; its channel, -1 if none. */
static int start_spare(int listener) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -1;
    if (fork() == 0) {
        close(listener);
        close(ends[0]);
        for (struct application *other = applications; other; other = other->next)
            close(other->channel);
        serve_application(ends[1]);
    }
    close(ends[1]);
    return ends[0];
}

/* Give a connection to its application's process. */
static void dispatch(int fd, int listener) {
    struct timeval limit = {1, 0}, none = {0, 0};
    word id;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (move(fd, &id, sizeof id, 0) == 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
        struct application *known = applications;
        while (known && known->id != id)
            known = known->next;
        if (!known || !hand_over(known->channel, fd)) {
            struct application *fresh = malloc(sizeof *fresh);
            *fresh = (struct application){id, spare, applications}; /* found before one that ended */
            applications = fresh;
            hand_over(spare, fd);
            spare = start_spare(listener);
        }
    }
    close(fd);
}

static int open_module(const char *module) {
    void *handle = dlopen(module, RTLD_NOW);
    word (*get_list)(struct list **) = handle ? (void *)dlsym(handle, "C_GetFunctionList") : NULL;
    return get_list && get_list(&real) == CKR_OK;
}

int main(int argc, char **argv) {
    if (argc < 3 || !open_module(argv[2])) {
        fprintf(stderr, "usage: nethsmd PORT MODULE [DELAY_US], and MODULE must load\n");
        return 2;
    }
    delay_us = argc > 3 ? atoi(argv[3]) : 0;
    signal(SIGCHLD, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 64)) {
        perror("nethsmd");
        return 1;
    }
    char ready;
    spare = start_spare(listener);
    if (spare < 0 || recv(spare, &ready, 1, 0) != 1) {
        fprintf(stderr, "nethsmd: the module does not initialise\n");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            dispatch(fd, listener);
    }
}
#endif
