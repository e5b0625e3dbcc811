/* Settings of a module: NAME=value lines in a file beside it, else the environment.  Two copies of a module in one
 * process, loaded at any moment and in any order, so have settings of their own. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of `name`, NULL if there is none; never freed, since modules read it once. */
static const char *setting(const char *name) {
    Dl_info module;
    char path[4096], line[4096];
    if (dladdr((void *)setting, &module) && snprintf(path, sizeof path, "%s.settings", module.dli_fname) > 0) {
        FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            size_t length = strlen(name);
            if (strncmp(line, name, length) || line[length] != '=')
                continue;
            fclose(file);
            line[strcspn(line, "\n")] = 0;
            return strdup(line + length + 1);
        }
        if (file)
            fclose(file);
    }
    return getenv(name);
}
