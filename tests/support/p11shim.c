/* A PKCS#11 module that stands between a client and a real module: it counts, delays, fails and holds calls,
 * and speaks the dialects of other vendors: IVs made by the token, numbers of its own, limits of length.
 *
 * The 2.40 function list is a version (2 bytes, padded to a pointer) and 68 function pointers.  Each function
 * takes at most 8 word-sized arguments, so one trampoline body serves all of them: on x86-64 and AArch64 Linux
 * handing 8 words to a function that reads fewer is harmless.
 *
 * Read at the first C_GetFunctionList from a file beside the module, its name and ".settings", of lines NAME=value,
 * else from the environment; a copy of the module under another name is another instance:
 *   P11SHIM_TARGET  the real module
 *   P11SHIM_STATE   a file, mapped into memory here and in the test: struct state below
 *   SOFTHSM2_CONF   SoftHSM's, put into the environment before its C_Initialize
 *
 * Build: gcc -O2 -fPIC -shared -o p11shim.so p11shim.c -ldl
 */
#define _GNU_SOURCE
#include "beside.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define FUNCTIONS 68
#define GENERAL_ERROR 5
#define ANY_CODE (~0UL) /* as `answer`: a code drawn anew for each call */

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

struct list {
    unsigned char major, minor;
    function functions[FUNCTIONS];
};

/* What the test writes takes effect on the next call. */
struct state {
    uint64_t delay_us;          /* each call takes this long at least, as over a network */
    uint64_t answer;            /* CK_RV to give instead of calling, 0 for none */
    uint64_t hold;              /* 1: calls wait until it is 0 */
    uint64_t only;              /* index + 1 of the one function that the above apply to, 0 for all */
    uint64_t times;             /* how often to give `answer`, 0 for always; it counts down */
    uint64_t skip;              /* calls to let pass before `answer` applies; it counts down */
    uint64_t held;              /* calls waiting now */
    uint64_t random_answers;    /* n > 0: every n-th call, by a generator of our own, is answered `answer` */
    uint64_t lies;              /* n > 0: every n-th call that succeeds tells a wrong length or handle */
    uint64_t spent_ns;          /* what delayed calls took in all: timers are never exact */
    uint64_t own_iv;            /* who makes the IV of an encryption: struct below */
    uint64_t standard, vendor;  /* a mechanism's number of the standard, and the vendor's that stands for it */
    uint64_t most_bytes;        /* the longest data of one encryption, tag not counted; 0 for no limit */
    uint64_t wants_value_len;   /* 1: unwrapping needs CKA_VALUE_LEN */
    uint64_t lax;               /* 1: unwrap templates are kept and told, but not enforced */
    uint64_t calls[FUNCTIONS];  /* calls per function */
};

/* own_iv: the caller; the token, 16 bytes behind the tag, and none may be given (Luna in FIPS mode); the
 * token, 12 bytes written over the zeros that the caller gives (CloudHSM). */
enum { CALLERS, AT_END, IN_PARAMETER };
enum { IV_AT_END = 16, IV_IN_PARAMETER = 12, TAG = 16 };

enum {
    GET_MECHANISM_LIST = 7,
    GET_MECHANISM_INFO = 8,
    GET_ATTRIBUTE_VALUE = 24,
    ENCRYPT_INIT = 29,
    ENCRYPT = 30,
    DECRYPT_INIT = 33,
    DECRYPT = 34,
    GENERATE_KEY = 58,
    UNWRAP_KEY = 61,
};
enum {
    DATA_LEN_RANGE = 0x21,
    ENCRYPTED_DATA_LEN_RANGE = 0x41,
    MECHANISM_INVALID = 0x70,
    MECHANISM_PARAM_INVALID = 0x71,
    TEMPLATE_INCOMPLETE = 0xd0,
    TEMPLATE_INCONSISTENT = 0xd1,
    BUFFER_TOO_SMALL = 0x150,
    AES_GCM = 0x1087,
    VALUE_LEN = 0x161,
    UNWRAP_TEMPLATE = 0x40000212,
};

struct mechanism {
    word type;
    void *parameter;
    word length;
};
struct gcm {
    unsigned char *iv;
    word iv_length, iv_bits;
    void *aad;
    word aad_length, tag_bits;
};
struct attribute {
    word type;
    void *value;
    word length;
};

static struct list *real, mine;
static struct state *state;

static struct state *map_state(void) {
    const char *path = setting("P11SHIM_STATE");
    int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
    if (file < 0 || ftruncate(file, sizeof *state) != 0)
        return NULL;
    void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* Take one from a counter that several threads share; whether there was one to take. */
static int take(uint64_t *counter) {
    uint64_t seen = __atomic_load_n(counter, __ATOMIC_SEQ_CST);
    while (seen)
        if (__atomic_compare_exchange_n(counter, &seen, seen - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 1;
    return 0;
}

static __thread uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t drawn(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Mostly a code of the standard, at times one that nobody knows; never success. */
static word drawn_code(void) {
    word code = drawn();
    return code % 8 ? 1 + code % 0x200 : code | 1;
}

static int applies(int index) {
    return !state->only || state->only == (uint64_t)index + 1;
}

static word before(int index) {
    volatile struct state *now = state;
    __atomic_fetch_add(&state->calls[index], 1, __ATOMIC_SEQ_CST);
    if (!applies(index))
        return 0;
    if (now->hold) {
        __atomic_fetch_add(&state->held, 1, __ATOMIC_SEQ_CST);
        while (now->hold)
            usleep(500);
        __atomic_fetch_sub(&state->held, 1, __ATOMIC_SEQ_CST);
    }
    if (!now->answer || take(&state->skip))
        return 0;
    word answer = now->answer == ANY_CODE ? drawn_code() : now->answer;
    if (now->random_answers)
        return drawn() % now->random_answers ? 0 : answer;
    if (now->times) {
        if (now->times == 1)
            now->answer = 0;
        take(&state->times);
    }
    return answer;
}

/* Overwrite the length or handle that a call gave out; of attributes, that of a template within one. */
static void lie(int index, word *v) {
    if (index == GET_ATTRIBUTE_VALUE && drawn() % state->lies == 0) {
        struct attribute *outer = (struct attribute *)v[2], *inner = outer->value;
        if (outer->type != UNWRAP_TEMPLATE)
            return;
        word count = inner ? outer->length / sizeof *inner : 0, which = drawn() % (count + 1);
        word *length = which ? &inner[which - 1].length : &outer->length;
        *length = drawn() % 2 ? drawn() : drawn() % 1000;
        return;
    }
    int place = index == 30 || index == 34 || index == 58 ? 4 : index == 60 ? 5 : index == 61 ? 7 : -1;
    if (place < 0 || drawn() % state->lies)
        return;
    word truth = *(word *)v[place], kind = drawn() % 4;
    *(word *)v[place] = kind == 0 ? drawn() : kind == 1 ? drawn() % (truth + 1) : kind == 2 ? truth + drawn() % 64 : 0;
}

/* Sleep until `microseconds` after `since`, to within some 10 us. */
static void wait_until(struct timespec since, uint64_t microseconds) {
    static __thread int is_precise;
    if (!is_precise)
        is_precise = prctl(PR_SET_TIMERSLACK, 1) == 0;
    since.tv_sec += microseconds / 1000000;
    since.tv_nsec += microseconds % 1000000 * 1000;
    if (since.tv_nsec >= 1000000000) {
        since.tv_sec++;
        since.tv_nsec -= 1000000000;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &since, NULL))
        ;
}

static word call_real(int index, word *v) {
    return real->functions[index](v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
}

/* C_Initialize: SoftHSM reads here where its tokens are, from the environment that all modules of the process share. */
static word initialize(word *v) {
    const char *conf = setting("SOFTHSM2_CONF");
    int turn = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    flock(turn, LOCK_EX);
    if (conf)
        setenv("SOFTHSM2_CONF", conf, 1);
    word answer = call_real(0, v);
    close(turn);
    return answer;
}

/* Dialects. */

static __thread unsigned char made[IV_AT_END]; /* the IV of the encryption under way, on one session per thread */
static __thread unsigned char *tell;           /* where to write it */

static word encrypt_init(word *v, struct mechanism *told) {
    if (!state->own_iv || told->type != AES_GCM)
        return call_real(ENCRYPT_INIT, v);
    static const unsigned char zeros[IV_IN_PARAMETER];
    struct gcm *theirs = told->parameter, ours = *theirs;
    word length = state->own_iv == AT_END ? IV_AT_END : IV_IN_PARAMETER;
    if (state->own_iv == AT_END
            ? theirs->iv_length != 0
            : theirs->iv_length != length || memcmp(theirs->iv, zeros, length))
        return MECHANISM_PARAM_INVALID;
    if (getrandom(made, length, 0) != (ssize_t)length)
        return GENERAL_ERROR;
    tell = theirs->iv;
    ours.iv = made;
    ours.iv_length = length;
    ours.iv_bits = length * 8;
    struct mechanism changed = {told->type, &ours, sizeof ours};
    v[1] = (word)&changed;
    return call_real(ENCRYPT_INIT, v);
}

static word encrypt(word *v) {
    word *length = (word *)v[4], room = *length;
    if (state->most_bytes && v[2] > state->most_bytes)
        return DATA_LEN_RANGE;
    word answer = call_real(ENCRYPT, v);
    if (answer || !state->own_iv)
        return answer;
    if (state->own_iv == IN_PARAMETER) {
        memcpy(tell, made, IV_IN_PARAMETER);
        return answer;
    }
    if (v[3] && *length + IV_AT_END > room)
        return BUFFER_TOO_SMALL;
    if (v[3])
        memcpy((unsigned char *)v[3] + *length, made, IV_AT_END);
    *length += IV_AT_END;
    return answer;
}

/* SoftHSM enforces them, so what a lax token would unwrap as asked is unwrapped as `strict` wants it. */
static word unwrap_laxly(word *v) {
    word secret_key = 4, aes = 0x1f;
    unsigned char yes = 1, no = 0;
    struct attribute strict[] = {{0, &secret_key, 8}, {0x100, &aes, 8}, {1, &no, 1}, {0x103, &yes, 1}, {0x162, &no, 1}};
    v[5] = (word)strict;
    v[6] = sizeof strict / sizeof *strict;
    return call_real(UNWRAP_KEY, v);
}

static word unwrap(word *v) {
    if (!state->wants_value_len) {
        word answer = call_real(UNWRAP_KEY, v);
        return answer == TEMPLATE_INCONSISTENT && state->lax ? unwrap_laxly(v) : answer;
    }
    struct attribute *asked = (struct attribute *)v[5], others[v[6] + 1]; /* SoftHSM takes no CKA_VALUE_LEN here */
    word count = 0;
    for (word n = 0; n < v[6]; n++)
        if (asked[n].type != VALUE_LEN)
            others[count++] = asked[n];
    if (count == v[6])
        return TEMPLATE_INCOMPLETE;
    v[5] = (word)others;
    v[6] = count;
    return call_real(UNWRAP_KEY, v);
}

static word in_dialect(int index, word *v) {
    struct mechanism told;
    if (index == ENCRYPT_INIT || index == DECRYPT_INIT || (index >= GENERATE_KEY && index <= UNWRAP_KEY)) {
        told = *(struct mechanism *)v[1];
        if (state->vendor && told.type == state->standard)
            return MECHANISM_INVALID;
        if (state->vendor && told.type == state->vendor)
            told.type = state->standard;
        v[1] = (word)&told;
    }
    switch (index) {
    case GET_MECHANISM_INFO:
        if (state->vendor && v[1] == state->standard)
            return MECHANISM_INVALID;
        if (state->vendor && v[1] == state->vendor)
            v[1] = state->standard;
        return call_real(index, v);
    case GET_MECHANISM_LIST: {
        word answer = call_real(index, v);
        for (word n = 0; !answer && v[1] && n < *(word *)v[2]; n++)
            if (state->vendor && ((word *)v[1])[n] == state->standard)
                ((word *)v[1])[n] = state->vendor;
        return answer;
    }
    case ENCRYPT_INIT:
        return encrypt_init(v, &told);
    case ENCRYPT:
        return encrypt(v);
    case DECRYPT:
        if (state->most_bytes && v[2] > state->most_bytes + TAG)
            return ENCRYPTED_DATA_LEN_RANGE;
        return call_real(index, v);
    case UNWRAP_KEY:
        return unwrap(v);
    }
    return call_real(index, v);
}

static word pass(int index, word *v) {
    uint64_t delay_us = applies(index) ? state->delay_us : 0;
    struct timespec began;
    if (delay_us)
        clock_gettime(CLOCK_MONOTONIC, &began);
    word answer = before(index);
    if (!answer) {
        answer = index == 0 ? initialize(v) : in_dialect(index, v);
        if (!answer && state->lies && applies(index))
            lie(index, v);
    }
    if (delay_us) {
        struct timespec ended;
        wait_until(began, delay_us);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        uint64_t spent_ns = (ended.tv_sec - began.tv_sec) * 1000000000L + ended.tv_nsec - began.tv_nsec;
        __atomic_fetch_add(&state->spent_ns, spent_ns, __ATOMIC_SEQ_CST);
    }
    return answer;
}

#define TRAMPOLINE(i)                                                                   \
    static word call##i(word a, word b, word c, word d, word e, word f, word g, word h) { \
        word v[8] = {a, b, c, d, e, f, g, h};                                           \
        return pass(i, v);                                                              \
    }
#define PUT(i) mine.functions[i] = call##i;
#define EACH(X) /* every index but 3, C_GetFunctionList */                                          \
    X(0) X(1) X(2) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17)   \
    X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)      \
    X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47)      \
    X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62)      \
    X(63) X(64) X(65) X(66) X(67)
EACH(TRAMPOLINE)

word C_GetFunctionList(struct list **out) {
    if (!real) {
        void *target = dlopen(setting("P11SHIM_TARGET"), RTLD_NOW | RTLD_LOCAL);
        word (*get)(struct list **) = target ? (word(*)(struct list **))dlsym(target, "C_GetFunctionList") : NULL;
        state = map_state();
        if (!get || !state) {
            fprintf(stderr, "p11shim: %s\n", get ? "P11SHIM_STATE cannot be mapped" : dlerror());
            return GENERAL_ERROR;
        }
        word answer = get(&real);
        if (answer)
            return answer;
        mine.major = 2;
        mine.minor = 40;
        EACH(PUT)
        mine.functions[3] = (function)(void *)C_GetFunctionList;
    }
    *out = &mine;
    return 0;
}
