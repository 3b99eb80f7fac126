/* An example of libflexverify: is it true what a node said about a record?
 *
 *   cc flexverify.c $(pkg-config --cflags --libs flexverify) -o example
 *   ./example genesis.json balance.proof        exit 0: proven, 4: not
 *
 * The genesis file is what you compared with the operators; the proof is what anybody gave you. */
#include <flexverify.h>

#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path, size_t *size)
{
    enum { SIZE_MAX_READ = 8 * 1024 * 1024 };
    FILE *file = fopen(path, "rb");
    char *bytes = file != NULL ? malloc(SIZE_MAX_READ) : NULL;
    if (bytes == NULL) {
        fprintf(stderr, "%s can't be read\n", path);
        exit(2);
    }
    *size = fread(bytes, 1, SIZE_MAX_READ, file);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    char problem[FLEXVERIFY_PROBLEM_SIZE];
    struct flexverify_trust *trust;
    struct flexverify_proof *proof;
    size_t size;
    if (argc != 3) {
        fprintf(stderr, "usage: example GENESIS PROOF\n");
        return 2;
    }
    char *genesis = read_file(argv[1], &size);
    if (flexverify_open(&trust, genesis, size, problem) != FLEXVERIFY_OK) {
        fprintf(stderr, "%s: %s\n", argv[1], problem);
        return 2;
    }
    char *text = read_file(argv[2], &size);
    enum flexverify_result result = flexverify_proof_read(&proof, trust, text, size, problem);
    if (result == FLEXVERIFY_OK) {
        printf("%s %s: %s\n", flexverify_proof_kind(proof), flexverify_proof_id(proof),
               flexverify_proof_present(proof) ? "proven" : "proven to be absent");
        printf("%s\n", flexverify_proof_json(proof));
    } else {
        fprintf(stderr, "%s is NOT proven: %s\n", argv[2], problem);
    }
    flexverify_proof_close(proof);
    flexverify_close(trust);
    free(text);
    free(genesis);
    return result == FLEXVERIFY_OK ? 0 : 4;
}
